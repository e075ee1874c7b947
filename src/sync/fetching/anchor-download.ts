import type { Position } from '../../position.ts'
import type { ChunkStore } from '../../snapshot/chunk-store.ts'
import type { ChunkCoder } from '../../snapshot/encoding.ts'
import { asError } from '../../thrown.ts'
import type { Clock } from '../../time/clock.ts'
import { AnchorGone } from '../errors.ts'
import type { SyncHost } from '../host.ts'
import { FOLLOWERS_ENOUGH } from '../limits.ts'
import type { Peers } from '../wire/peers.ts'
import type { ProvenFault } from '../wire/proven-fault.ts'
import type { ChunkMap } from './chunks/chunk-map.ts'
import { Fetch, type FetchEvents, type FetchProgress } from './chunks/fetch.ts'
import type { OwnBasis } from './chunks/own-chunks.ts'
import type { Faults } from './faults.ts'
import type { OfferDirectory } from './offer-directory.ts'
import type { Pin } from './pin.ts'
import { POLL_INTERVAL_MS } from './retry.ts'
import { Wakeup } from './wakeup.ts'
import { Watchdog } from './watchdog.ts'

/**
 * How often members are asked as long as nobody was fetched from: most capture within milliseconds of the
 * marker.
 */
const FIRST_POLL_INTERVAL_MS = 20

/**
 * How long so many followers may take to deliver before the leader is asked, too: to offer an anchor is not
 * enough.
 */
const FOLLOWERS_GRACE_MS = 1_000

export interface AnchorDownloadInit {
  readonly anchor: Position
  readonly host: SyncHost
  readonly peers: Peers
  readonly clock: Clock
  /** A number from 0 up to 1. */
  readonly random: () => number
  readonly coder: ChunkCoder
  /** Chunks that an earlier fetch has verified. */
  readonly store?: ChunkStore | undefined
  /** What this replica has already, as soon as it is known. */
  readonly basis: Promise<OwnBasis | undefined>
  readonly offers: OfferDirectory
  readonly faults: Faults
  readonly pin: Pin
  readonly ttlMs: number
  readonly requestTimeoutMs: number
  readonly fetchTimeoutMs: number
  readonly signal: AbortSignal
  readonly events: DownloadEvents
}

/** What is told of a download. */
export interface DownloadEvents extends Pick<FetchEvents, 'fetched' | 'recalled'> {
  /** One more chunk is verified. */
  progressed(progress: FetchProgress): void
  /** Only the seal can help. */
  awaitsSeal(): void
}

/** One anchor, from the moment it is chosen to the installed snapshot. */
export class AnchorDownload {
  readonly anchor: Position
  readonly #init: AnchorDownloadInit
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #wakeup: Wakeup
  readonly #fetch: Fetch
  readonly #watchdog: Watchdog
  readonly #chosenMs: number
  /** Resolves when the group was told that this replica needs the anchor. */
  readonly #pinned = Promise.withResolvers<void>()
  /** Rejects when the anchor is gone. */
  readonly #gone = Promise.withResolvers<never>()
  readonly #unsubscribe: () => void
  /** What the fetch had come to when members were last asked before their time. */
  #polledAtSteps = 0

  constructor(init: AnchorDownloadInit) {
    this.#init = init
    this.anchor = init.anchor
    this.#chosenMs = init.clock.now()
    this.#signal = AbortSignal.any([init.signal, this.#stop.signal])
    this.#wakeup = new Wakeup(init.clock, this.#signal)
    this.#fetch = new Fetch({
      ...init,
      signal: this.#signal,
      events: {
        fetched: (chunk) => init.events.fetched(chunk),
        recalled: (chunk) => init.events.recalled(chunk),
        progressed: (progress) => init.events.progressed(progress),
        changed: () => this.#wakeup.wake(),
      },
    })
    this.#watchdog = new Watchdog(init, this.#fetch)
    this.#unsubscribe = init.offers.subscribe((member) => this.#heard(member))
    this.#pinned.promise.catch(() => {})
    this.#gone.promise.catch(() => {})
  }

  /** Providers that sent at least one good chunk. */
  get providersUsed(): readonly string[] {
    return this.#fetch.providersUsed
  }

  /** Payload bytes received, those that had to be fetched again included. */
  get bytesFetched(): number {
    return this.#fetch.bytesFetched
  }

  /** Bytes of chunks that are in the new state. */
  get builtBytes(): number {
    return this.#fetch.builtBytes
  }

  /** Which chunks are here: see `Fetch`. */
  get map(): ChunkMap | undefined {
    return this.#fetch.map
  }

  /** A provider offers this anchor. The leader is held in reserve as long as enough others serve. */
  offeredBy(provider: string): void {
    if (this.#init.faults.isDropped(provider)) return
    if (provider === this.#init.host.leader() && this.#followersSuffice()) this.#fetch.reserve(provider)
    else this.#fetch.offeredBy(provider)
  }

  /** There is proof against a provider: nothing more is asked of it. */
  drop(provider: string, proof: ProvenFault): void {
    this.#fetch.drop(provider, proof)
  }

  /**
   * Look for providers. Resolves when the first chunk can be asked for. Rejects with `AnchorGone`, as all
   * that follows.
   */
  async begin(): Promise<void> {
    const { anchor, pin } = this.#init
    pin.set(anchor).then(this.#pinned.resolve, this.#pinned.reject)
    this.#awaitSeal().catch(this.#gone.reject)
    this.#monitor().catch(this.#gone.reject)
    await Promise.race([this.#gone.promise, this.#fetch.begun])
  }

  /** Resolves when every chunk is verified, and the root is the sealed one. */
  async verify(): Promise<void> {
    await Promise.race([this.#gone.promise, this.#fetch.verified, this.#fetch.complete])
  }

  /** Put the new state in place of the old one, once it is built. */
  async install(): Promise<void> {
    const { anchor } = this.#init
    const { manifest, installing } = await Promise.race([this.#gone.promise, this.#fetch.complete])
    await this.#pinned.promise
    await this.#mustBeReadable()
    installing.commit(anchor, manifest.control)
  }

  /** Fetch nothing more of it. */
  stop(): void {
    this.#unsubscribe()
    this.#stop.abort(new Error('the anchor was left'))
  }

  async #awaitSeal(): Promise<void> {
    const { anchor, host } = this.#init
    let root: Uint8Array
    try {
      root = await host.sealedRoot(anchor, this.#signal)
    } catch (thrown) {
      this.#signal.throwIfAborted()
      const error = asError(thrown)
      throw error instanceof AnchorGone ? error : new AnchorGone(anchor, error.message)
    }
    this.#fetch.sealed(root)
  }

  /** Look for providers, keep offers alive, and judge, until the signal aborts. */
  async #monitor(): Promise<never> {
    const { clock, offers, ttlMs } = this.#init
    let keepAliveMs = clock.now() + ttlMs / 3
    for (;;) {
      this.#takeOffers()
      // A provider that was just linked is not asked: the question would go before that for its chunks.
      if (!this.#fetch.isVerified) offers.poll(this.#fetch)
      await this.#pinned.promise
      await this.#mustBeReadable()
      await this.#watch()
      if (this.#fetch.isVerified) continue
      if (clock.now() >= keepAliveMs) {
        keepAliveMs = clock.now() + ttlMs / 3
        this.#fetch.keepAlive()
      }
      await this.#fetch.retryLate()
    }
  }

  /**
   * Judge the anchor after each event, until it is time to ask the members again. Throws when the anchor is
   * gone.
   */
  async #watch(): Promise<void> {
    const { clock, offers, events } = this.#init
    const fetch = this.#fetch
    const isFirst = fetch.idle && !this.#watchdog.wasLinked
    const untilMs = clock.now() + (isFirst ? FIRST_POLL_INTERVAL_MS : POLL_INTERVAL_MS)
    do {
      const wasIdle = fetch.idle
      await this.#wakeup.sleep(untilMs - clock.now())
      // Nobody is needed any more.
      if (fetch.isVerified) continue
      // The first providers are begun with together, at the next poll, so that they share the chunks.
      if (fetch.idle && this.#watchdog.wasLinked && offers.isSettled)
        this.#takeOffers((id) => !fetch.isGone(id))
      const gone = this.#watchdog.judge()
      if (gone !== undefined) throw gone
      if (fetch.awaitsSeal) events.awaitsSeal()
      if (!wasIdle && this.#needsOthers()) return
    } while (clock.now() < untilMs)
  }

  /**
   * The last provider has left: others are asked at once. That is no loop, for it had to bring the fetch on
   * before.
   */
  #needsOthers(): boolean {
    const { idle, steps } = this.#fetch
    if (!idle || steps === this.#polledAtSteps) return false
    this.#polledAtSteps = steps
    return true
  }

  /** A member told its offers, or could not; or others are members now. */
  #heard(member: string | undefined): void {
    const { offers } = this.#init
    if (this.#fetch.idle) this.#wakeup.wake()
    else if (member !== undefined && offers.offers(member, this.anchor)) this.offeredBy(member)
  }

  /** A member that is gone and still offers the anchor is tried again with each poll, not at each event. */
  #takeOffers(isWanted: (member: string) => boolean = () => true): void {
    const offering = this.#init.offers.offering(this.anchor)
    for (const member of offering.filter(isWanted)) this.offeredBy(member)
  }

  async #mustBeReadable(): Promise<void> {
    const { anchor, host } = this.#init
    if (!(await host.isReadable(anchor))) throw new AnchorGone(anchor, 'its place in the log was pruned')
  }

  #followersSuffice(): boolean {
    const { host, clock, offers } = this.#init
    if (clock.now() - this.#chosenMs >= FOLLOWERS_GRACE_MS) return this.#fetch.delivering >= FOLLOWERS_ENOUGH
    if (this.#fetch.serving >= FOLLOWERS_ENOUGH) return true
    const leader = host.leader()
    const likely = offers
      .candidates(this.anchor, this.#chosenMs)
      .filter((id) => id !== leader && !this.#fetch.isGone(id))
    return likely.length >= FOLLOWERS_ENOUGH
  }
}
