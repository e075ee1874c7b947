import { type Clock, sleep } from '../expiry/clock.ts'
import { formatPosition, type Position, samePosition } from '../position.ts'
import type { ChunkCoder } from '../snapshot/encoding.ts'
import { askLeader } from './ask-leader.ts'
import type { ChunkStore } from './chunk-store.ts'
import { AnchorGone, NoProvider, PeerUnavailable } from './errors.ts'
import { Fetch, type FetchProgress } from './fetch.ts'
import type { SyncHost } from './host.ts'
import { FOLLOWERS_ENOUGH, FOLLOWERS_GRACE_MS, LOOK_MS } from './limits.ts'
import type { OfferView } from './messages.ts'
import { Peers, type SyncNetwork } from './peers.ts'

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
  readonly onState: (state: SessionState) => void
  /** An anchor this session had chosen is gone; it goes on with another. */
  readonly onLost: (error: AnchorGone) => void
}

/** The catching-up side: lives from the moment a replica finds that it lags until a snapshot is installed. */
export class Session {
  readonly #init: SessionInit
  readonly #peers: Peers
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  /** The latest offers each member told of, and when. */
  readonly #offers = new Map<string, { readonly offers: readonly OfferView[]; readonly atMs: number }>()
  readonly #asking = new Set<string>()
  #fetch: { readonly anchor: Position; readonly fetch: Fetch; readonly sinceMs: number } | undefined
  readonly #phasesMs: SessionPhases = { request: 0, cut: 0, fetch: 0, install: 0 }

  constructor(init: SessionInit) {
    this.#init = init
    this.#signal = AbortSignal.any([init.signal, this.#stop.signal])
    const { host, network, clock, fetchTimeoutMs } = init
    this.#peers = new Peers({ host, network, clock, timeoutMs: fetchTimeoutMs })
    // What is due on a stream must not hold a session that is not wanted any more.
    this.#signal.addEventListener('abort', () => void this.#peers.close(), { once: true })
  }

  /** A provider pushed an offer: a hint that saves us asking. */
  offered(provider: string, offer: OfferView): void {
    if (this.#fetch === undefined || !samePosition(offer.anchor, this.#fetch.anchor)) return
    const { fetch, sinceMs } = this.#fetch
    if (provider === this.#init.host.leader() && this.#followersSuffice(fetch, sinceMs))
      fetch.reserve(provider)
    else fetch.offeredBy(provider)
  }

  /**
   * Catch up. Resolves when a snapshot is installed; rejects with `NoProvider` when nobody can serve one, or with the
   * signal's reason.
   */
  async run(): Promise<CaughtUp> {
    const { onState, onLost } = this.#init
    let above = this.#init.position
    let anchorsLost = 0
    this.#greet()
    try {
      for (;;) {
        this.#signal.throwIfAborted()
        onState({ status: 'requesting' })
        const anchor = await this.#timed('request', () => this.#request(above))
        try {
          const done = { anchor, ...(await this.#take(anchor)), anchorsLost, phasesMs: this.#phasesMs }
          onState({ status: 'done', ...done })
          return done
        } catch (error) {
          if (!(error instanceof AnchorGone)) throw error
          anchorsLost++
          // An anchor that was never sealed would be named again: ask for a newer one.
          if (error instanceof NeverSealed) above = anchor
          onLost(error)
          await sleep(this.#init.clock, LOOK_MS, this.#signal)
        }
      }
    } catch (error) {
      const reason = error instanceof Error ? error : new Error(String(error))
      onState({ status: 'failed', reason })
      throw reason
    } finally {
      this.#stop.abort(new Error('the session is over'))
      await this.#peers.close()
    }
  }

  /** Ask the leader, whoever that is by now, until it names an anchor; without one, take a live offer that fits. */
  async #request(above: Position): Promise<Position> {
    const { host, network, clock, requestTimeoutMs } = this.#init
    const giveUpMs = clock.now() + requestTimeoutMs
    for (;;) {
      const answer = await askLeader({ self: network.self, host, peers: this.#peers }, above)
      const named = answer.anchor
      // An anchor at or below what this replica has would set its state back.
      if (named !== undefined && named.epoch === above.epoch && named.index > above.index) return named
      this.#signal.throwIfAborted()
      await host.refreshMembers()
      this.#look()
      await sleep(clock, named === undefined ? answer.retryMs : LOOK_MS, this.#signal)
      const late = clock.now() >= giveUpMs
      if (late || host.leader() === undefined) {
        const offered = await this.#newestOffer(above)
        if (offered !== undefined) return offered
      }
      if (late) {
        throw new NoProvider(
          `nobody named or offered a snapshot above ${formatPosition(above)} for ${requestTimeoutMs} ms: ${named === undefined ? answer.error.message : `the leader named ${formatPosition(named)}`}`,
        )
      }
    }
  }

  /** From a chosen anchor to the installed snapshot. */
  async #take(anchor: Position): Promise<{ providersUsed: readonly string[]; bytesFetched: number }> {
    const { host, onState } = this.#init
    onState({ status: 'choosing', anchor })
    const pinned = host.pin(anchor)
    const leaving = new AbortController()
    const signal = AbortSignal.any([this.#signal, leaving.signal])
    const fetch = new Fetch({
      anchor,
      clock: this.#init.clock,
      connect: (provider) => this.#peers.channel(provider, 'fetch'),
      ask: (provider) => this.#peers.channel(provider, 'ask'),
      leader: () => host.leader(),
      coder: this.#init.coder,
      store: this.#init.store,
      beginInstall: (signal) => host.beginInstall(signal),
      signal,
      onProgress: (progress) => onState({ status: 'fetching', anchor, ...progress }),
    })
    this.#fetch = { anchor, fetch, sinceMs: this.#init.clock.now() }
    host.sealedRoot(anchor, signal).then(
      (root) => fetch.sealed(root),
      (error: Error) => leaving.abort(new AnchorGone(anchor, error.message)),
    )
    const tending = this.#tend(anchor, fetch, signal, pinned)
    try {
      await this.#timed('cut', () => Promise.race([tending, fetch.begun]))
      await this.#timed('fetch', () => Promise.race([tending, fetch.verified, fetch.complete]))
      onState({ status: 'installing', anchor })
      await this.#timed('install', async () => {
        const { manifest, installing } = await Promise.race([tending, fetch.complete])
        await pinned
        if (!(await host.isReadable(anchor))) throw new AnchorGone(anchor, 'its place in the log was pruned')
        installing.commit(anchor, manifest.control)
        this.#init.store?.clear()
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
  async #tend(anchor: Position, fetch: Fetch, signal: AbortSignal, pinned: Promise<void>): Promise<never> {
    const { host, clock, ttlMs, requestTimeoutMs, onState } = this.#init
    let keepAliveMs = clock.now() + ttlMs / 3
    let idleSinceMs = clock.now()
    let everLinked = false
    let sealDueSinceMs: number | undefined
    for (;;) {
      for (const [provider, { offers }] of this.#offers) {
        for (const offer of offers) this.offered(provider, offer)
      }
      // Whoever was just linked is not asked: the question would go before that for its chunks.
      this.#look()
      await pinned
      if (!(await host.isReadable(anchor))) throw new AnchorGone(anchor, 'its place in the log was pruned')
      await sleep(clock, LOOK_MS, signal)
      if (!fetch.idle) {
        everLinked = true
        idleSinceMs = clock.now()
      } else if (this.#nobodyOffers(anchor, idleSinceMs, everLinked)) {
        throw new AnchorGone(anchor, ['nobody offers it any more', ...fetch.complaints].join('; '))
      }
      if (clock.now() >= keepAliveMs) {
        keepAliveMs = clock.now() + ttlMs / 3
        fetch.keepAlive()
      }
      if (!fetch.awaitsSeal) {
        sealDueSinceMs = undefined
      } else if (sealDueSinceMs === undefined) {
        sealDueSinceMs = clock.now()
        onState({ status: 'verifying', anchor })
      } else if (clock.now() - sealDueSinceMs >= requestTimeoutMs) {
        throw new NeverSealed(anchor, 'it was never sealed')
      }
    }
  }

  /** Connect to those who may serve while the leader still thinks: they then push their offers over the same connection. */
  #greet(): void {
    const { host, network } = this.#init
    for (const { id, serves } of host.members()) {
      if (serves && id !== network.self) this.#peers.channel(id, 'fetch').catch(() => {})
    }
  }

  /** Ask every member that serves, and is not being asked or fetched from, for its offers. */
  #look(): void {
    const { host, network, clock } = this.#init
    for (const { id, serves } of host.members()) {
      if (!serves || id === network.self || this.#asking.has(id) || this.#fetch?.fetch.isLinked(id)) continue
      this.#asking.add(id)
      this.#peers
        .channel(id, 'ask')
        .then((channel) => channel.request({ type: 'offers' }, 'offers'))
        .then(
          ({ offers }) => this.#offers.set(id, { offers, atMs: clock.now() }),
          (error) => {
            // Who cannot be reached has said nothing: it may be starting again.
            if (!(error instanceof PeerUnavailable)) this.#offers.set(id, { offers: [], atMs: clock.now() })
          },
        )
        .finally(() => this.#asking.delete(id))
    }
  }

  /** The leader has the group's writes to order: it is asked for chunks when too few others serve. */
  #followersSuffice(fetch: Fetch, sinceMs: number): boolean {
    const { host, network, clock } = this.#init
    if (fetch.linked >= FOLLOWERS_ENOUGH) return true
    const leader = host.leader()
    const followers = host
      .members()
      .filter(({ id, serves }) => serves && id !== leader && id !== network.self)
    return followers.length >= FOLLOWERS_ENOUGH && clock.now() - sinceMs < FOLLOWERS_GRACE_MS
  }

  async #newestOffer(above: Position): Promise<Position | undefined> {
    const nowMs = this.#init.clock.now()
    const anchors = [...this.#offers.values()]
      // Who cannot be reached any more still has until its word runs out.
      .flatMap(({ offers, atMs }) => offers.filter(({ remainingMs }) => atMs + remainingMs > nowMs))
      .map((offer) => offer.anchor)
      .filter((anchor) => anchor.epoch === above.epoch && anchor.index > above.index)
      .sort((a, b) => b.index - a.index)
    for (const anchor of anchors) if (await this.#init.host.isReadable(anchor)) return anchor
    return undefined
  }

  /**
   * True when the anchor is gone: everyone who serves was asked since the last provider left and none offers it.
   * Replicas that are still on their way to the marker may yet offer it; before the first provider showed up they
   * get longer.
   */
  #nobodyOffers(anchor: Position, sinceMs: number, everLinked: boolean): boolean {
    const { host, network, clock, requestTimeoutMs, fetchTimeoutMs } = this.#init
    const waitedMs = clock.now() - sinceMs
    if (!everLinked) return waitedMs >= requestTimeoutMs
    if (waitedMs >= fetchTimeoutMs) return true
    return host.members().every(({ id, serves, applied }) => {
      if (!serves || id === network.self) return true
      if (applied < anchor.index) return false
      const told = this.#offers.get(id)
      return (
        told !== undefined && told.atMs > sinceMs && !told.offers.some((o) => samePosition(o.anchor, anchor))
      )
    })
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

/** The anchor's electorate never agreed in time. */
class NeverSealed extends AnchorGone {}
