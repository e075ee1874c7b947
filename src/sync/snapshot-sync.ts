import type { LeaseSnapshot } from '../leases/lease-table.ts'
import { tellListener } from '../listener-warning.ts'
import type { Snapshot } from '../machine/machine.ts'
import type { Position } from '../position.ts'
import { systemRandom } from '../random.ts'
import { type AvailableEvent, AvailableSnapshots } from '../snapshot/available.ts'
import type { ChunkStore } from '../snapshot/chunk-store.ts'
import { CutHistory } from '../snapshot/cut-history.ts'
import type { CutSnapshot } from '../snapshot/cut-snapshot.ts'
import { type ChunkCoder, type EncodedChunk, zstdCoder } from '../snapshot/encoding.ts'
import type { ChunkInfo, Manifest } from '../snapshot/manifest.ts'
import { type Clock, sleep, systemClock } from '../time/clock.ts'
import { SessionRunning } from './errors.ts'
import type { SyncEvent } from './events.ts'
import { askLeader, type CaughtUp, type ChunkMap, Session } from './fetching/index.ts'
import type { SyncHost } from './host.ts'
import { providerLimits, type SyncTimes, syncTimes } from './limits.ts'
import { type CapturedInit, checkCaptured, checkSyncInit, type SnapshotSyncInit } from './options.ts'
import { AnchorAllocator, gone, offersOf, Provider, type ProviderEvent } from './serving/index.ts'
import {
  type ByteStream,
  CutFailed,
  makeCatchUpId,
  type OfferView,
  Peers,
  type SyncNetwork,
  type WireError,
} from './wire/index.ts'

/** What was cut of a snapshot so far: chunk `n` is listed at `infos[n]`. */
export interface HeldChunks {
  /** The chunks that are cut, in order. */
  readonly infos: readonly ChunkInfo[]
  /** All of them, with the control bytes and the root. Undefined until the last one is cut. */
  readonly manifest: Manifest | undefined
  /** Resolves when more than `count` chunks are cut, or all. Rejects when cutting failed. */
  beyond(count: number): Promise<void>
  /** A chunk as it is sent. Rejects with `RangeError` for one that is not there. */
  chunk(index: number): Promise<EncodedChunk>
  /** A chunk as it was cut, for `itemsOf`. Rejects with `RangeError` for one that is not there. */
  raw(index: number): Promise<Uint8Array>
}

/** A snapshot that stays in memory until it is released, also when its offer has expired. */
export interface Hold {
  readonly cut: HeldChunks
  /** Let go of it. A second call does nothing. */
  release(): void
}

/** One catch-up. */
export interface CatchUpInit {
  /** What this replica has: only a snapshot above it is of use. Index 0 stands for nothing. */
  readonly position: Position
  /** Ends the catch-up, which then rejects with the signal's reason. */
  readonly signal: AbortSignal
}

/**
 * Snapshot sync for one group: the provider, which lives as long as the replica, and the session, which lives
 * for one catch-up. It knows neither the log nor libp2p: it is given a host and a network.
 */
export class SnapshotSync {
  readonly #host: SyncHost
  readonly #network: SyncNetwork
  readonly #clock: Clock
  readonly #random: () => number
  readonly #coder: ChunkCoder
  readonly #listener: SnapshotSyncInit['onEvent']
  readonly #times: SyncTimes
  readonly #available: AvailableSnapshots
  readonly #allocator: AnchorAllocator
  readonly #store: ChunkStore | undefined
  readonly #cuts: CutHistory
  readonly #provider: Provider
  #session: Session | undefined

  /** @param listener hears of everything in the place of `init.onEvent` */
  constructor(init: SnapshotSyncInit, network: SyncNetwork, listener = init.onEvent) {
    checkSyncInit(init)
    const { host, clock = systemClock, coder = zstdCoder, authorize } = init
    const { ttlMs, requestTimeoutMs, fetchTimeoutMs } = syncTimes(init)
    const limits = providerLimits(init.limits)
    this.#host = host
    this.#network = network
    this.#clock = clock
    this.#random = init.random ?? systemRandom
    this.#coder = coder
    this.#store = init.store
    this.#cuts = init.cuts ?? new CutHistory()
    this.#listener = listener
    this.#times = { ttlMs, requestTimeoutMs, fetchTimeoutMs }
    const available = new AvailableSnapshots({
      clock,
      ttlMs,
      coder,
      history: this.#cuts,
      onEvent: (event) => this.#offering(event),
    })
    this.#available = available
    this.#allocator = new AnchorAllocator({
      self: network.self,
      host,
      available,
      clock,
      ttlMs,
      sealTimeoutMs: requestTimeoutMs,
      markersPerMinute: limits.markersPerMinute,
    })
    this.#provider = new Provider({
      host,
      available,
      allocator: this.#allocator,
      clock,
      limits,
      authorize,
      sendTimeoutMs: fetchTimeoutMs,
      onEvent: (event) => this.#serving(event),
    })
  }

  /** The PeerId that others know this replica by. */
  get self(): string {
    return this.#network.self
  }

  /** How long an offer lives without a fetch, in milliseconds. */
  get ttlMs(): number {
    return this.#times.ttlMs
  }

  /** What this replica offers now, oldest anchor first. */
  get offers(): OfferView[] {
    return offersOf(this.#available)
  }

  /** How many chunk bytes this replica has sent of an anchor since it offers it. */
  servedBytes(anchor: Position): number {
    return this.#provider.servedBytes(anchor)
  }

  /** Names the running session: see `CaughtUp`. Undefined without one. */
  get catchUpId(): string | undefined {
    return this.#session?.id
  }

  /** How many bytes the running session has received, and built into the new state; 0 without one. */
  get progressBytes(): number {
    return this.#session?.progressBytes ?? 0
  }

  /** Which chunks the running session has, and where they came from; undefined without one, and while none is known. */
  get chunkMap(): ChunkMap | undefined {
    return this.#session?.map
  }

  /** Bytes of any kind that the running session has received from each peer; none without one. */
  received(): ReadonlyMap<string, number> {
    return this.#session?.received() ?? new Map()
  }

  /** Serve one stream that a peer opened. */
  async serve(peer: string, stream: ByteStream): Promise<void> {
    await this.#provider.serve(peer, stream)
  }

  /**
   * The host applied a marker and captured its state there. From now on the snapshot is offered, while it is
   * cut in the background. Throws `SnapshotTooLarge` for more control bytes than a manifest carries, and
   * `RangeError` for an impossible option. The snapshot is then still the caller's, to release.
   */
  captured(anchor: Position, snapshot: Snapshot, init: CapturedInit): void {
    checkCaptured(init)
    this.#allocator.captured(anchor)
    this.#available.add(anchor, snapshot, init)
    for (const requester of init.requesters) {
      if (requester !== this.#network.self) void this.#push(requester, anchor)
    }
  }

  /** Offer an anchor again that the group agreed on and that this replica offered in an earlier life. */
  adopt(anchor: Position, cut: CutSnapshot, remainingMs: number): void {
    this.#available.adopt(anchor, cut, remainingMs)
    this.#allocator.captured(anchor)
    this.#allocator.sealed(anchor)
  }

  /** The deadlines of what is offered, for another life of this process. Keys are those of `positionKey`. */
  leases(): LeaseSnapshot<string> {
    return this.#available.leases()
  }

  /**
   * Resolves with the manifest of an anchor, once it is cut here. Rejects when it is released before.
   * Undefined: not held.
   */
  whenCut(anchor: Position): Promise<Manifest> | undefined {
    return this.#available.whenCut(anchor)
  }

  /**
   * Why an anchor is not offered here any more: `CutFailed` or `Expired`. Undefined: it still is, or never
   * was.
   */
  whyGone(anchor: Position): WireError | undefined {
    const found = this.#available.get(anchor)
    return found !== undefined && 'released' in found ? gone(anchor, found) : undefined
  }

  /** Keep the snapshot of an anchor from being released. Undefined when it is not held. */
  hold(anchor: Position): Hold | undefined {
    const cut = this.#available.chunks(anchor)
    return cut && { cut, release: this.#available.use(anchor) }
  }

  /** The group agreed on this anchor's root. */
  sealed(anchor: Position): void {
    this.#allocator.sealed(anchor)
  }

  /**
   * The group cannot agree on this anchor's root: it is not offered any more, and no requester is told of it.
   */
  disputed(anchor: Position): void {
    this.#allocator.disputed(anchor)
    this.#available.withdraw(anchor)
  }

  /**
   * A marker retires an anchor: it is not offered any more, and not cut to its end. One that a peer reads
   * just now is left to expire.
   */
  retire(anchor: Position): void {
    const found = this.#available.get(anchor)
    if (found === undefined || 'released' in found) return
    const { uses, ready } = found
    const readers = ready ? uses : uses - 1
    if (readers === 0) this.#available.withdraw(anchor)
  }

  /** Stop offering one anchor, or all of them. */
  withdraw(anchor?: Position): void {
    this.#available.withdraw(anchor)
  }

  /** Stop offering anything. Resolves when the memory that took is given back. */
  async close(): Promise<void> {
    await this.#available.close()
  }

  /**
   * Ask the leader for an anchor above a position, as a session would: it may append a marker. Asks again
   * while there is no leader, or it says `Busy`. Rejects with its last answer when the request timeout has
   * passed, with `CutFailed` at once, and with the signal's reason.
   */
  async requestAnchor(above: Position, signal: AbortSignal): Promise<Position> {
    signal.throwIfAborted()
    const peers = this.#peers()
    // An answer that is due on a stream must not hold up a caller that has given up.
    const onAbort = () => void peers.close()
    signal.addEventListener('abort', onAbort, { once: true })
    const giveUpMs = this.#clock.now() + this.#times.requestTimeoutMs
    const answer = (position: Position) => this.#allocator.anchorFor(this.self, position)
    const asking = { self: this.self, host: this.#host, peers, random: this.#random, answer }
    try {
      for (;;) {
        const asked = await askLeader(asking, above)
        if (asked.anchor !== undefined) return asked.anchor
        signal.throwIfAborted()
        if (asked.error instanceof CutFailed || this.#clock.now() >= giveUpMs) throw asked.error
        const { error, retryMs } = asked
        this.#tell({ type: 'asked-again', error, retryMs })
        await sleep(this.#clock, retryMs, signal)
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      await peers.close()
    }
  }

  /**
   * Get a snapshot above `position` from the other replicas and install it. Rejects with `SessionRunning`
   * while one does.
   */
  async catchUp(init: CatchUpInit): Promise<CaughtUp> {
    if (this.#session !== undefined) throw new SessionRunning()
    const session = new Session({
      ...this.#times,
      ...init,
      id: makeCatchUpId(this.#random),
      host: this.#host,
      network: this.#network,
      clock: this.#clock,
      coder: this.#coder,
      store: this.#store,
      cuts: this.#cuts,
      random: this.#random,
      onEvent: (event) => this.#tell(event),
    })
    this.#session = session
    try {
      return await session.run()
    } finally {
      this.#session = undefined
    }
  }

  #tell(event: SyncEvent): void {
    tellListener(this.#listener, event)
  }

  #offering(event: AvailableEvent): void {
    if (event.type === 'released') {
      this.#allocator.released(event.anchor, event.cause === 'failed' ? event.why : undefined)
      this.#provider.released(event.anchor)
    }
    this.#tell(event)
  }

  #serving(event: ProviderEvent): void {
    if (event.type !== 'offered') return this.#tell(event)
    const { peer, offer } = event
    if (this.#session?.offered(peer, offer) !== true) this.#tell({ type: 'ignored', peer, offer })
  }

  /** A hint that spares the requester a round of asking; nothing depends on it. */
  async #push(requester: string, anchor: Position): Promise<void> {
    const peers = this.#peers()
    try {
      const offer = this.offers.find((one) => one.anchor.index === anchor.index)
      if (offer === undefined) return
      const channel = await peers.channel(requester, 'ask')
      await channel.request({ type: 'offer', offer }, 'noted')
    } catch {
      // The requester asks for offers anyway.
    } finally {
      await peers.close()
    }
  }

  #peers(): Peers {
    const timeoutMs = this.#times.fetchTimeoutMs
    return new Peers({ host: this.#host, network: this.#network, clock: this.#clock, timeoutMs })
  }
}
