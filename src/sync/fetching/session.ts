import { type Position, samePosition } from '../../position.ts'
import type { ChunkStore } from '../../snapshot/chunk-store.ts'
import type { CutHistory } from '../../snapshot/cut-history.ts'
import type { ChunkCoder } from '../../snapshot/encoding.ts'
import { asError } from '../../thrown.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import { AnchorGone, NoMarker } from '../errors.ts'
import type { SyncHost } from '../host.ts'
import type { OfferView } from '../wire/messages.ts'
import { Peers, type SyncNetwork } from '../wire/peers.ts'
import { ProvenFault } from '../wire/proven-fault.ts'
import { AnchorDownload } from './anchor-download.ts'
import { AnchorRequest } from './anchor-request.ts'
import type { ChunkMap } from './chunks/chunk-map.ts'
import type { FetchProgress } from './chunks/fetch.ts'
import { type OwnBasis, readOwnState } from './chunks/own-chunks.ts'
import { Faults } from './faults.ts'
import { ANCHORS_LOST_MAX, LostAnchors } from './lost-anchors.ts'
import { OfferDirectory } from './offer-directory.ts'
import { Pin } from './pin.ts'
import {
  type CaughtUp,
  SESSION_EDGES,
  type SessionEvent,
  type SessionNews,
  type SessionPhases,
  type SessionState,
} from './session-state.ts'
import { checkTransition } from './transitions.ts'

export interface SessionInit {
  /** Names this catch-up: see `CaughtUp`. */
  readonly id: string
  readonly host: SyncHost
  readonly network: SyncNetwork
  readonly clock: Clock
  /** What this replica has: only a snapshot above it is of use. */
  readonly position: Position
  readonly ttlMs: number
  readonly requestTimeoutMs: number
  readonly fetchTimeoutMs: number
  readonly coder: ChunkCoder
  /** Where verified chunks are kept for a session that follows this one. */
  readonly store?: ChunkStore | undefined
  /** What this replica cut last. */
  readonly cuts?: CutHistory | undefined
  readonly signal: AbortSignal
  /** A number from 0 up to 1. */
  readonly random: () => number
  readonly onEvent: (event: SessionEvent) => void
}

/** What a session holds: see the drawing of `SESSION_EDGES`. */
type Held =
  | { readonly status: 'new' }
  | { readonly status: 'requesting' }
  | { readonly status: 'choosing' | 'verifying' | 'installing'; readonly download: AnchorDownload }
  | { readonly status: 'fetching'; readonly download: AnchorDownload; readonly progress: FetchProgress }
  | { readonly status: 'lost'; readonly error: AnchorGone }
  | { readonly status: 'done'; readonly caughtUp: CaughtUp }
  | { readonly status: 'failed'; readonly reason: Error }

/** The catching-up side: lives from the moment a replica finds that it lags until a snapshot is installed. */
export class Session {
  readonly #init: SessionInit
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #peers: Peers
  readonly #faults: Faults
  readonly #pin: Pin
  readonly #offers: OfferDirectory
  readonly #lost = new LostAnchors()
  readonly #request: AnchorRequest
  readonly #phasesMs: SessionPhases = { request: 0, cut: 0, fetch: 0, install: 0 }
  #state: Held = { status: 'new' }

  constructor(init: SessionInit) {
    this.#init = init
    const { id, host, network, clock, fetchTimeoutMs } = init
    this.#signal = AbortSignal.any([init.signal, this.#stop.signal])
    this.#faults = new Faults((peer, error) => this.#blame(peer, error))
    const onProof = (peer: string, proof: ProvenFault) => this.#faults.add(peer, proof)
    this.#peers = new Peers({ host, network, clock, timeoutMs: fetchTimeoutMs, catchUp: id, onProof })
    this.#pin = new Pin(host)
    const own = {
      ...init,
      self: network.self,
      signal: this.#signal,
      peers: this.#peers,
      faults: this.#faults,
      pin: this.#pin,
    }
    this.#offers = new OfferDirectory(own)
    this.#request = new AnchorRequest({ ...own, offers: this.#offers, lost: this.#lost })
    // What is due on a stream must not hold a session that is not wanted any more.
    this.#signal.addEventListener('abort', () => void this.#peers.close(), { once: true })
  }

  /** Names this catch-up: see `CaughtUp`. */
  get id(): string {
    return this.#init.id
  }

  /**
   * Bytes received so far, also of chunks that are still on their way, and those built into the new state.
   */
  get progressBytes(): number {
    return this.#peers.receivedBytes + (this.#download?.builtBytes ?? 0)
  }

  /** Which chunks of its anchor are here. Undefined while none is known. */
  get map(): ChunkMap | undefined {
    return this.#download?.map
  }

  /** Bytes of any kind that each peer has sent so far. */
  received(): ReadonlyMap<string, number> {
    return this.#peers.received()
  }

  /**
   * A provider pushed an offer: a hint that saves asking for it. False when the session wants another anchor.
   */
  offered(provider: string, offer: OfferView): boolean {
    const download = this.#download
    // It may be of the anchor that the leader is about to name.
    if (download === undefined) return true
    if (!samePosition(offer.anchor, download.anchor) || this.#faults.isDropped(provider)) return false
    download.offeredBy(provider)
    return true
  }

  /**
   * Catch up. Resolves when a snapshot is installed. Rejects with the signal's reason, or with `NoProvider`
   * when nobody can serve one, which says who did what.
   */
  async run(): Promise<CaughtUp> {
    let basis: Promise<OwnBasis | undefined> | undefined
    try {
      this.#offers.preconnect()
      basis = readOwnState(this.#init, this.#signal)
      for (;;) {
        this.#signal.throwIfAborted()
        this.#enter({ status: 'requesting' })
        const { anchor, namedBy } = await this.#timed('request', () => this.#request.next())
        try {
          return await this.#downloadAndInstall(anchor, basis)
        } catch (error) {
          if (!(error instanceof AnchorGone)) throw error
          await this.#lose(anchor, error, namedBy)
        }
      }
    } catch (thrown) {
      const reason = asError(thrown)
      this.#enter({ status: 'failed', reason })
      throw reason
    } finally {
      this.#stop.abort(new Error('the session is over'))
      void basis?.then((own) => own?.release())
      await this.#peers.close()
    }
  }

  /** From a chosen anchor to the installed snapshot. */
  async #downloadAndInstall(anchor: Position, basis: Promise<OwnBasis | undefined>): Promise<CaughtUp> {
    const download = this.#makeDownload(anchor, basis)
    this.#enter({ status: 'choosing', download })
    try {
      await this.#timed('cut', () => download.begin())
      await this.#timed('fetch', () => download.verify())
      this.#enter({ status: 'installing', download })
      await this.#timed('install', () => download.install())
    } catch (error) {
      download.stop()
      // Why the anchor is left matters more than that the group could not be told.
      await this.#pin.set(undefined).catch(() => {})
      throw error
    }
    download.stop()
    const { providersUsed, bytesFetched } = download
    const anchorsLost = this.#lost.count
    const phasesMs = this.#phasesMs
    const caughtUp = { catchUp: this.id, anchor, providersUsed, bytesFetched, anchorsLost, phasesMs }
    this.#enter({ status: 'done', caughtUp })
    return caughtUp
  }

  #makeDownload(anchor: Position, basis: Promise<OwnBasis | undefined>): AnchorDownload {
    const download = new AnchorDownload({
      ...this.#init,
      anchor,
      basis,
      peers: this.#peers,
      offers: this.#offers,
      faults: this.#faults,
      pin: this.#pin,
      signal: this.#signal,
      events: {
        fetched: (chunk) => this.#got({ type: 'fetched', anchor, ...chunk }),
        recalled: (chunk) => this.#got({ type: 'recalled', anchor, ...chunk }),
        progressed: (progress) => this.#enter({ status: 'fetching', download, progress }),
        awaitsSeal: () => {
          if (this.#state.status !== 'verifying') this.#enter({ status: 'verifying', download })
        },
      },
    })
    return download
  }

  /** The anchor is gone. Rejects when it is the last that this session may lose. */
  async #lose(anchor: Position, error: AnchorGone, namedBy: string | undefined): Promise<void> {
    const { clock, requestTimeoutMs } = this.#init
    this.#lost.add(anchor, error, clock.now())
    if (error instanceof NoMarker && namedBy !== undefined) {
      this.#faults.add(namedBy, new ProvenFault('it named an anchor where the log has no marker'))
    }
    this.#enter({ status: 'lost', error })
    const { count } = this.#lost
    if (count >= ANCHORS_LOST_MAX) {
      throw this.#request.noProvider(`${count} anchors are gone; ${error.message}`)
    }
    const pauseMs = this.#lost.pauseMs(error, requestTimeoutMs)
    if (pauseMs > 0) await sleep(clock, pauseMs, this.#signal)
  }

  /** Tell of a chunk, while this session wants any. */
  #got(news: Extract<SessionNews, { type: 'fetched' | 'recalled' }>): void {
    if (!this.#signal.aborted) this.#tell(news)
  }

  /** Tell of what a peer did. After proof nothing more is asked of it, nor taken. */
  #blame(peer: string, error: Error): void {
    if (this.#signal.aborted) return
    this.#tell({ type: 'fault', peer, error })
    if (!(error instanceof ProvenFault)) return
    this.#peers.abort(peer, error)
    this.#download?.drop(peer, error)
  }

  get #download(): AnchorDownload | undefined {
    return 'download' in this.#state ? this.#state.download : undefined
  }

  #enter(next: Held): void {
    checkTransition('a session', SESSION_EDGES, this.#state.status, next.status)
    this.#state = next
    if (next.status === 'lost') this.#tell({ type: 'anchor-lost', error: next.error })
    else if (next.status !== 'new') this.#tell({ type: 'session', state: told(next) })
  }

  #tell(news: SessionNews): void {
    this.#init.onEvent({ ...news, catchUp: this.id })
  }

  async #timed<T>(phase: keyof SessionPhases, work: () => Promise<T>): Promise<T> {
    const beganMs = this.#init.clock.now()
    try {
      return await work()
    } finally {
      this.#phasesMs[phase] += this.#init.clock.now() - beganMs
    }
  }
}

/** What others are told of a state. */
function told(state: Exclude<Held, { status: 'new' | 'lost' }>): SessionState {
  switch (state.status) {
    case 'requesting':
    case 'failed':
      return state
    case 'choosing':
    case 'verifying':
    case 'installing':
      return { status: state.status, anchor: state.download.anchor }
    case 'fetching':
      return { status: state.status, anchor: state.download.anchor, ...state.progress }
    case 'done':
      return { status: state.status, ...state.caughtUp }
    default:
      return state satisfies never
  }
}
