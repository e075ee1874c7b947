import { formatPosition, type Position, samePosition } from '../../position.ts'
import { Basis } from '../../snapshot/basis.ts'
import type { ChunkStore } from '../../snapshot/chunk-store.ts'
import type { ChunkCoder } from '../../snapshot/encoding.ts'
import { asError } from '../../thrown.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import { AnchorGone, Disputed, NoMarker, NoProvider, PeerUnavailable } from '../errors.ts'
import type { SyncHost, SyncMember } from '../host.ts'
import {
  ANCHORS_LOST_MAX,
  BASIS_TIMEOUT_MS,
  COMING_BYTES_PER_S_MIN,
  FIRST_POLL_INTERVAL_MS,
  FOLLOWERS_ENOUGH,
  FOLLOWERS_GRACE_MS,
  POLL_INTERVAL_MS,
  STALL_MS,
  UNREACHED_MS,
} from '../limits.ts'
import { Busy, CutFailed, NotLeader, Unauthorized } from '../wire/errors.ts'
import type { OfferView } from '../wire/messages.ts'
import { Peers, type SyncNetwork } from '../wire/peers.ts'
import { ProvenFault } from '../wire/proven-fault.ts'
import { askLeader } from './ask-leader.ts'
import { Faults } from './faults.ts'
import { Fetch, type FetchProgress } from './fetch.ts'
import { OfferDirectory } from './offer-directory.ts'
import { busyMs } from './retry.ts'

/**
 * Where a session stands:
 *
 *     requesting -> choosing -> fetching -> verifying -> installing -> done
 *         ^            |           |            |
 *         +------------+-----------+------------+   the anchor is gone: another one
 *
 * and from anywhere to failed. The replay of the log from anchor + 1 is the host's, when the session is done.
 */
export type SessionState =
  | { readonly status: 'requesting' }
  | { readonly status: 'choosing'; readonly anchor: Position }
  | ({ readonly status: 'fetching'; readonly anchor: Position } & FetchProgress)
  /** The group has not sealed the root yet, and every chunk is there, or whoever could send the rest has left. */
  | { readonly status: 'verifying'; readonly anchor: Position }
  | { readonly status: 'installing'; readonly anchor: Position }
  | ({ readonly status: 'done' } & CaughtUp)
  | { readonly status: 'failed'; readonly reason: Error }

/** What one session did. */
export interface CaughtUp {
  readonly anchor: Position
  readonly providersUsed: readonly string[]
  /** Chunk bytes received, as encoded for the way, including any that had to be fetched again. */
  readonly bytesFetched: number
  /** Anchors that were chosen and had gone before they were installed. */
  readonly anchorsLost: number
  readonly phasesMs: SessionPhases
}

/** How long each part took, in milliseconds. */
export interface SessionPhases {
  /** Until the leader named the anchor. */
  request: number
  /** From there until the first chunk could be asked for: capturing, cutting and offering. */
  cut: number
  /** From there until the last chunk was checked, and the root sealed. The new state is built meanwhile. */
  fetch: number
  /** From there until the new state was built, and in place. */
  install: number
}

export interface SessionInit {
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
  readonly signal: AbortSignal
  /** A number from 0 up to 1. */
  readonly random: () => number
  readonly onState: (state: SessionState) => void
  /** An anchor this session had chosen is gone; it goes on with another. */
  readonly onLost: (error: AnchorGone) => void
  /** A peer failed, or there is proof against it. */
  readonly onFault: (peer: string, error: Error) => void
}

/** The catching-up side: lives from the moment a replica finds that it lags until a snapshot is installed. */
export class Session {
  readonly #init: SessionInit
  readonly #peers: Peers
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #offers = new OfferDirectory()
  readonly #asking = new Set<string>()
  /** What this replica has already. */
  #basis: Promise<Basis | undefined> | undefined
  readonly #faults = new Faults()
  /** Who said Unauthorized, and was announced to again. */
  readonly #introducedTo = new Set<string>()
  #introducing: Promise<void> | undefined
  #fetch: { readonly anchor: Position; readonly fetch: Fetch; readonly sinceMs: number } | undefined
  readonly #phasesMs: SessionPhases = { request: 0, cut: 0, fetch: 0, install: 0 }
  /** The newest dispute that this session met, and when the first was. */
  #dispute: { readonly error: Disputed; readonly sinceMs: number } | undefined
  /** Who named the anchor that is being fetched; undefined for one that was only offered. */
  #namedBy: string | undefined
  /** Questions for an anchor so far. */
  #rounds = 0
  /** Anchors that were chosen and are gone. */
  readonly #lost = new Set<number>()
  /** Those of them that nothing can come of any more. */
  readonly #useless = new Set<number>()

  constructor(init: SessionInit) {
    this.#init = init
    this.#signal = AbortSignal.any([init.signal, this.#stop.signal])
    const { host, network, clock, fetchTimeoutMs } = init
    const onProof = (peer: string, proof: ProvenFault) => this.#fault(peer, proof)
    this.#peers = new Peers({ host, network, clock, timeoutMs: fetchTimeoutMs, onProof })
    // What is due on a stream must not hold a session that is not wanted any more.
    this.#signal.addEventListener('abort', () => void this.#peers.close(), { once: true })
  }

  /** Bytes received so far, also of chunks that are still on their way, and those built into the new state. */
  get progressBytes(): number {
    return this.#peers.receivedBytes + (this.#fetch?.fetch.builtBytes ?? 0)
  }

  /** A provider pushed an offer: a hint that saves us asking. False when it is not of the anchor this session wants. */
  offered(provider: string, offer: OfferView): boolean {
    // It may be of the anchor that the leader is about to name.
    if (this.#fetch === undefined) return true
    if (!samePosition(offer.anchor, this.#fetch.anchor)) return false
    if (this.#faults.isDropped(provider)) return false
    const { fetch, sinceMs } = this.#fetch
    if (provider === this.#init.host.leader() && this.#followersSuffice(fetch, sinceMs))
      fetch.reserve(provider)
    else fetch.offeredBy(provider)
    return true
  }

  /**
   * Catch up. Resolves when a snapshot is installed; rejects with `NoProvider` when nobody can serve one, which names who
   * did what, or with the signal's reason.
   */
  async run(): Promise<CaughtUp> {
    const { clock, requestTimeoutMs, onState, onLost } = this.#init
    let anchorsLost = 0
    this.#preconnect()
    this.#basis = this.#readOwnState()
    try {
      for (;;) {
        this.#signal.throwIfAborted()
        onState({ status: 'requesting' })
        const anchor = await this.#timed('request', () => this.#request())
        try {
          const done = {
            anchor,
            ...(await this.#downloadAndInstall(anchor)),
            anchorsLost,
            phasesMs: this.#phasesMs,
          }
          onState({ status: 'done', ...done })
          return done
        } catch (error) {
          if (!(error instanceof AnchorGone)) throw error
          anchorsLost++
          this.#lost.add(anchor.index)
          // One that the group never agreed on, or that nobody offers, would be named again: a newer one is asked for then.
          if (error instanceof Useless || error instanceof Disputed) this.#useless.add(anchor.index)
          if (error instanceof Disputed) {
            this.#dispute = { error, sinceMs: this.#dispute?.sinceMs ?? clock.now() }
          }
          if (error instanceof NoMarker && this.#namedBy !== undefined) {
            this.#fault(this.#namedBy, new ProvenFault('it named an anchor where the log has no marker'))
          }
          onLost(error)
          if (anchorsLost >= ANCHORS_LOST_MAX) {
            throw this.#noProvider(`${anchorsLost} anchors are gone; ${error.message}`)
          }
          // States that differ still will in a moment, and each anchor costs the group a capture.
          const pauseMs =
            error instanceof Disputed
              ? requestTimeoutMs / ANCHORS_LOST_MAX
              : POLL_INTERVAL_MS * (2 ** (anchorsLost - 1) - 1)
          if (pauseMs > 0) await sleep(clock, pauseMs, this.#signal)
        }
      }
    } catch (error) {
      const reason = asError(error)
      onState({ status: 'failed', reason })
      throw reason
    } finally {
      this.#stop.abort(new Error('the session is over'))
      await this.#peers.close()
    }
  }

  /** Ask the leader, whoever that is by now, until it names an anchor; without one, take a live offer that fits. */
  async #request(): Promise<Position> {
    const { host, clock, requestTimeoutMs, position: above } = this.#init
    const sinceMs = clock.now()
    const giveUpMs = (this.#dispute?.sinceMs ?? sinceMs) + requestTimeoutMs
    for (;;) {
      this.#namedBy = undefined
      const asked = await this.#askForAnchor()
      if (asked.anchor !== undefined) return asked.anchor
      this.#signal.throwIfAborted()
      await host.refreshMembers()
      this.#pollOffers()
      await sleep(clock, asked.retryMs, this.#signal)
      const late = clock.now() >= giveUpMs
      // A leader that cannot be reached names nothing before another one takes its office.
      if (late || asked.unreached || asked.cutFailed !== undefined || host.leader() === undefined) {
        const offered = await this.#commonestOffer(above)
        if (offered !== undefined) return offered
      }
      if (asked.cutFailed !== undefined && this.#allOfferNothing(sinceMs)) {
        throw this.#noProvider(asked.why, asked.cutFailed)
      }
      if (late) {
        const what = `nobody named or offered a snapshot above ${formatPosition(above)} for ${requestTimeoutMs} ms`
        throw this.#noProvider(`${what}: ${asked.why}`)
      }
    }
  }

  /**
   * Whom to ask who leads: at first nobody, since the host should know; then every other time another member in turn. Whoever
   * follows the log knows, and a replica that does not may have been told a lie.
   */
  #guide(): string | undefined {
    const round = this.#rounds++
    const servers = this.#servers()
    return round % 2 === 1 && servers.length > 0 ? servers[(round >> 1) % servers.length]!.id : undefined
  }

  /** One question to the leader, and what to make of its answer. */
  async #askForAnchor(): Promise<{ anchor: Position } | NotNamed> {
    const { host, network, clock, random, position: above } = this.#init
    const leader = host.leader()
    if (leader !== undefined && this.#faults.isDropped(leader)) {
      if (this.#servers().length === 0) {
        return {
          anchor: undefined,
          why: 'whoever serves was proven wrong',
          retryMs: POLL_INTERVAL_MS,
          unreached: false,
        }
      }
      // Nobody else can name a new anchor; but an offer of others is worth more than its word, if there is one.
      this.#pollOffers()
      await sleep(clock, POLL_INTERVAL_MS, this.#signal)
      const offered = await this.#commonestOffer(above)
      if (offered !== undefined) return { anchor: offered }
    }
    const asking = { self: network.self, host, peers: this.#peers, random }
    let answer = await askLeader(asking, above, this.#guide())
    // Not even what the session lost moves it: a liar could name an anchor beyond all that there will be.
    if (answer.anchor !== undefined && this.#useless.has(answer.anchor.index)) {
      answer = await askLeader(asking, answer.anchor, answer.peer)
    }
    if (answer.anchor !== undefined) {
      const { anchor } = answer
      // An anchor at or below what this replica has would set its state back, and from a pruned one nobody goes on.
      const isAbove = anchor.epoch === above.epoch && anchor.index > above.index
      if (isAbove && this.#useless.has(anchor.index)) {
        const why = `the leader named ${formatPosition(anchor)} again, of which nothing came`
        return { anchor: undefined, why, retryMs: POLL_INTERVAL_MS, unreached: false }
      }
      if (isAbove && (await host.isReadable(anchor))) {
        this.#namedBy = answer.peer
        return { anchor }
      }
      const why = `the leader named ${formatPosition(anchor)}${isAbove ? ', which was pruned' : ''}`
      return { anchor: undefined, why, retryMs: POLL_INTERVAL_MS, unreached: false }
    }
    const { peer, error, retryMs } = answer
    const unreached = peer === leader && error instanceof PeerUnavailable
    const cutFailed = error instanceof CutFailed ? error : undefined
    const refused = { anchor: undefined, why: error.message, retryMs, unreached, cutFailed }
    if (peer === undefined) return refused
    const introduced = error instanceof Unauthorized ? this.#introduce(peer) : undefined
    if (introduced !== undefined) {
      await introduced
      return { ...refused, retryMs: 0 }
    }
    if (!(error instanceof Busy || error instanceof NotLeader)) this.#fault(peer, error)
    return refused
  }

  /** From a chosen anchor to the installed snapshot. */
  async #downloadAndInstall(
    anchor: Position,
  ): Promise<{ providersUsed: readonly string[]; bytesFetched: number }> {
    const { host, onState } = this.#init
    onState({ status: 'choosing', anchor })
    const pinned = host.pin(anchor)
    const leaving = new AbortController()
    const signal = AbortSignal.any([this.#signal, leaving.signal])
    const fetch = new Fetch({
      anchor,
      clock: this.#init.clock,
      basis: this.#basis,
      connect: (provider) => this.#peers.channel(provider, 'fetch'),
      ask: (provider) => this.#peers.channel(provider, 'ask'),
      leader: () => host.leader(),
      coder: this.#init.coder,
      store: this.#init.store,
      beginInstall: (signal) => host.beginInstall(signal),
      signal,
      random: this.#init.random,
      introduce: (provider) => this.#introduce(provider),
      onFault: (provider, error) => this.#fault(provider, error),
      onProgress: (progress) => onState({ status: 'fetching', anchor, ...progress }),
    })
    this.#fetch = { anchor, fetch, sinceMs: this.#init.clock.now() }
    host
      .sealedRoot(anchor, signal)
      .then((root) => fetch.sealed(root))
      .catch((error: Error) =>
        leaving.abort(error instanceof AnchorGone ? error : new AnchorGone(anchor, error.message)),
      )
    const monitoring = this.#monitor(anchor, fetch, signal, pinned)
    try {
      await this.#timed('cut', () => Promise.race([monitoring, fetch.begun]))
      await this.#timed('fetch', () => Promise.race([monitoring, fetch.verified, fetch.complete]))
      onState({ status: 'installing', anchor })
      await this.#timed('install', async () => {
        const { manifest, installing } = await Promise.race([monitoring, fetch.complete])
        await pinned
        if (!(await host.isReadable(anchor))) throw new AnchorGone(anchor, 'its place in the log was pruned')
        installing.commit(anchor, manifest.control)
      })
      return { providersUsed: fetch.providersUsed, bytesFetched: fetch.bytesFetched }
    } catch (error) {
      // Why the anchor is left matters more than that the group could not be told.
      await host.pin(undefined).catch(() => {})
      throw error
    } finally {
      this.#fetch = undefined
      leaving.abort(new Error('the anchor was left'))
    }
  }

  /** Look for providers and keep offers alive, until the signal aborts. Rejects with `AnchorGone` when it is gone. */
  async #monitor(anchor: Position, fetch: Fetch, signal: AbortSignal, pinned: Promise<void>): Promise<never> {
    const { host, clock, ttlMs, requestTimeoutMs, onState } = this.#init
    let keepAliveMs = clock.now() + ttlMs / 3
    let idleSinceMs = clock.now()
    let everLinked = false
    let sealDueSinceMs: number | undefined
    let verifying = false
    let moved = { steps: fetch.steps, bytes: this.progressBytes, atMs: clock.now() }
    for (;;) {
      for (const [provider, offer] of this.#offers.of(anchor)) this.offered(provider, offer)
      // Whoever was just linked is not asked: the question would go before that for its chunks.
      this.#pollOffers()
      await pinned
      if (!(await host.isReadable(anchor))) throw new AnchorGone(anchor, 'its place in the log was pruned')
      await sleep(clock, everLinked || !fetch.idle ? POLL_INTERVAL_MS : FIRST_POLL_INTERVAL_MS, signal)
      // Nobody is needed any more.
      if (fetch.isVerified) continue
      if (!fetch.idle) {
        everLinked = true
        idleSinceMs = clock.now()
      } else {
        const gone = this.#forsaken(anchor, idleSinceMs, everLinked)
        if (gone !== undefined) throw gone
      }
      if (clock.now() >= keepAliveMs) {
        keepAliveMs = clock.now() + ttlMs / 3
        fetch.keepAlive()
      }
      await fetch.retryLate()
      // A large item on a slow link is no whole chunk for minutes.
      const comes = this.progressBytes - moved.bytes >= (STALL_MS / 1_000) * COMING_BYTES_PER_S_MIN
      if (fetch.steps !== moved.steps || fetch.awaitsSeal || comes)
        moved = { steps: fetch.steps, bytes: this.progressBytes, atMs: clock.now() }
      if (clock.now() - moved.atMs >= STALL_MS) {
        throw new AnchorGone(anchor, `nothing of it came for ${STALL_MS} ms`)
      }
      if (!fetch.isSealed && host.mayBeSealed?.(anchor) === false) {
        throw new Useless(anchor, 'too many of its electors have left before they attested it')
      }
      if (fetch.awaitsSeal && !verifying) onState({ status: 'verifying', anchor })
      verifying = fetch.awaitsSeal
      if (!fetch.sealDue) {
        sealDueSinceMs = undefined
      } else if (sealDueSinceMs === undefined) {
        sealDueSinceMs = clock.now()
      } else if (clock.now() - sealDueSinceMs >= requestTimeoutMs) {
        throw new Useless(anchor, 'it was never sealed')
      }
    }
  }

  /** Cut the state that this replica has, so that what it shares with the new one is not fetched. Never rejects. */
  async #readOwnState(): Promise<Basis | undefined> {
    const { host, clock } = this.#init
    const enough = new AbortController()
    const timer = clock.schedule(BASIS_TIMEOUT_MS, () => enough.abort())
    try {
      const own = host.ownState?.()
      if (own === undefined) return undefined
      const { snapshot, chunkBytes } = own
      const options = { chunkBytes, clock, signal: this.#signal, enough: enough.signal }
      const basis = await Basis.of(snapshot, options)
      return basis.isEmpty ? undefined : basis
    } catch {
      // A machine that cannot tell what it has is given all of the new state.
      return undefined
    } finally {
      timer.cancel()
    }
  }

  /** Connect to those who may serve while the leader still thinks: they then push their offers over the same connection. */
  #preconnect(): void {
    for (const { id } of this.#servers()) this.#peers.channel(id, 'fetch').catch(() => {})
  }

  /** Ask every member that serves, and is not being asked or fetched from, for its offers. */
  #pollOffers(): void {
    for (const { id } of this.#servers()) {
      if (this.#asking.has(id) || this.#fetch?.fetch.isLinked(id)) continue
      this.#asking.add(id)
      this.#peers
        .channel(id, 'ask')
        .then((channel) => channel.request({ type: 'offers' }, 'offers'))
        .then(({ offers }) => this.#told(id, offers))
        .catch((error: Error) => this.#notTold(id, error))
        .finally(() => this.#asking.delete(id))
    }
  }

  #told(id: string, offers: readonly OfferView[]): void {
    if (offers.length > 0) this.#faults.served(id)
    this.#offers.told(id, offers, this.#init.clock.now())
    // Those who answer first together share the chunks; later ones need not wait for the next look.
    if (this.#fetch?.fetch.idle === false) for (const offer of offers) this.offered(id, offer)
  }

  /** A member did not tell its offers. Resolves when it may be asked again. */
  async #notTold(id: string, error: Error): Promise<void> {
    const { clock, random } = this.#init
    if (this.#signal.aborted) return
    if (error instanceof Busy) return await sleep(clock, busyMs(error, random), this.#signal).catch(() => {})
    const introduced = error instanceof Unauthorized ? this.#introduce(id) : undefined
    if (introduced !== undefined) return await introduced
    this.#fault(id, error)
    if (error instanceof PeerUnavailable) this.#offers.unreached(id, clock.now())
    else this.#offers.told(id, [], clock.now())
  }

  /** The other members that serve, but for those that were dropped. */
  #servers(): SyncMember[] {
    const { host, network } = this.#init
    return host
      .members()
      .filter(({ id, serves }) => serves && id !== network.self && !this.#faults.isDropped(id))
  }

  /**
   * A peer does not know this replica: announce it anew, which takes another call of `pin`. Undefined when that was done for
   * this peer before.
   */
  #introduce(peer: string): Promise<void> | undefined {
    if (this.#introducedTo.has(peer)) return undefined
    this.#introducedTo.add(peer)
    this.#introducing ??= this.#init.host
      .pin(this.#fetch?.anchor)
      .catch(() => {})
      .finally(() => {
        this.#introducing = undefined
      })
    return this.#introducing
  }

  /** Tell of what a peer did; after proof nothing more is asked of it, nor taken. */
  #fault(peer: string, error: Error): void {
    if (this.#signal.aborted || !this.#faults.add(peer, error)) return
    this.#init.onFault(peer, error)
    if (!(error instanceof ProvenFault)) return
    this.#peers.abort(peer, error)
    this.#fetch?.fetch.drop(peer, error)
  }

  /** Everyone who serves was asked since then, and none offers anything. */
  #allOfferNothing(sinceMs: number): boolean {
    return this.#servers().every(({ id }) => this.#offers.offersNothing(id, sinceMs))
  }

  /**
   * Why this session gives up. States that differ, or that the leader cannot cut while nobody offers one, cannot be had from anybody:
   * `refusal` is then what all members say.
   */
  #noProvider(why: string, refusal: Error | undefined = this.#dispute?.error): NoProvider {
    const refusals = new Map(this.#faults.refusals)
    if (refusal !== undefined) {
      for (const { id } of this.#servers()) if (!refusals.has(id)) refusals.set(id, refusal)
    }
    const what = refusal === undefined || why.includes(refusal.message) ? why : `${why}; ${refusal.message}`
    return new NoProvider(what, { faults: this.#faults.list, refusals, cause: refusal })
  }

  /** The leader has the group's writes to order: it is asked for chunks when too few others serve. */
  #followersSuffice(fetch: Fetch, sinceMs: number): boolean {
    const { host, clock } = this.#init
    // Offering is not enough for long.
    if (clock.now() - sinceMs >= FOLLOWERS_GRACE_MS) return fetch.delivering >= FOLLOWERS_ENOUGH
    if (fetch.serving >= FOLLOWERS_ENOUGH) return true
    const leader = host.leader()
    const likely = this.#servers().filter((server) => server.id !== leader && this.#mayServe(server, sinceMs))
    return likely.length >= FOLLOWERS_ENOUGH
  }

  /** Whether a member offers the anchor that is being fetched, or may yet, by what it said since then. */
  #mayServe({ id, applied }: SyncMember, sinceMs: number): boolean {
    if (this.#fetch === undefined) return false
    if (this.#fetch.fetch.isGone(id)) return false
    const standing = this.#offers.standing(id, applied, this.#fetch.anchor, sinceMs)
    return standing === 'offers' || standing === 'may'
  }

  /** The live offer that most members make, and of those the newest: one member alone cannot lead this session astray. */
  async #commonestOffer(above: Position): Promise<Position | undefined> {
    const nowMs = this.#init.clock.now()
    const anchors = this.#offers.commonest(above, nowMs, (member) => this.#faults.isDropped(member))
    for (const anchor of anchors) {
      // What was lost once is taken again on the leader's word alone: one liar would offer it for ever.
      if (!this.#lost.has(anchor.index) && (await this.#init.host.isReadable(anchor))) return anchor
    }
    return undefined
  }

  /**
   * Why nobody will send the rest of the anchor, if so. Everyone who serves has said since the last provider left that
   * it does not offer it, or cannot be reached. Replicas that are still on their way to the marker may yet offer it;
   * before the first provider showed up they get longer.
   */
  #forsaken(anchor: Position, sinceMs: number, everLinked: boolean): AnchorGone | undefined {
    const { clock, requestTimeoutMs, fetchTimeoutMs } = this.#init
    const waitedMs = clock.now() - sinceMs
    const complaints = this.#fetch?.fetch.complaints ?? []
    const why = ['nobody offers it any more', ...complaints].join('; ')
    const servers = this.#servers()
    if (waitedMs >= (everLinked ? fetchTimeoutMs : requestTimeoutMs)) {
      // A liar may name one that is not there yet: what lies below that is not given up with it.
      const exists = servers.some(({ applied }) => applied >= anchor.index)
      return exists ? new Useless(anchor, why) : new AnchorGone(anchor, why)
    }
    if (servers.some((server) => this.#mayServe(server, sinceMs))) return undefined
    const isCut = servers.some(({ id }) => this.#offers.isUnreached(id, sinceMs))
    // Whoever is cut off, or starts again, still has it, and a leader that can be reached again names it again.
    if (isCut || servers.length === 0) {
      const isOver = waitedMs >= UNREACHED_MS && (isCut || everLinked)
      return isOver ? new AnchorGone(anchor, why) : undefined
    }
    return new Useless(anchor, why)
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

/** Why no anchor was named yet, and when to ask again. */
interface NotNamed {
  readonly anchor: undefined
  readonly why: string
  readonly retryMs: number
  /** The leader cannot be reached. */
  readonly unreached: boolean
  /** Whoever was asked cannot cut its state. */
  readonly cutFailed?: CutFailed | undefined
}

/** Nothing can come of this anchor any more: nobody offers it, or its electorate never agreed. */
class Useless extends AnchorGone {}
