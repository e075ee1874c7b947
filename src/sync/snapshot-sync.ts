import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  checkInteger,
  checkText,
  EPOCH_BYTES_MAX,
  GROUP_BYTES_MAX,
  SIGNATURE_BYTES_MAX,
} from '../bounds.ts'
import type { LeaseSnapshot } from '../leases/lease-table.ts'
import { tellListener } from '../listener-warning.ts'
import type { Snapshot } from '../machine/machine.ts'
import type { Position } from '../position.ts'
import { systemRandom } from '../random.ts'
import { type AvailableEvent, AvailableSnapshots } from '../snapshot/available.ts'
import type { ChunkStore } from '../snapshot/chunk-store.ts'
import type { CutSnapshot } from '../snapshot/cut-snapshot.ts'
import { type ChunkCoder, zstdCoder } from '../snapshot/encoding.ts'
import { checkControl, type Manifest } from '../snapshot/manifest.ts'
import { type Clock, sleep, systemClock } from '../time/clock.ts'
import { askLeader } from './fetching/ask-leader.ts'
import { type CaughtUp, Session, type SessionState } from './fetching/session.ts'
import type { SyncHost } from './host.ts'
import { type ProviderLimits, providerLimits, type SyncTimes, syncTimes } from './limits.ts'
import { AnchorAllocator } from './serving/anchor-allocator.ts'
import { gone, offersOf, Provider } from './serving/provider.ts'
import { type AnchorGone, CutFailed, SessionRunning, type SyncError } from './wire/errors.ts'
import type { ByteStream } from './wire/frames.ts'
import type { OfferView } from './wire/messages.ts'
import { Peers, type SyncNetwork } from './wire/peers.ts'

export interface SnapshotSyncInit {
  /** Whoever orders the entries: see `SyncHost`. */
  readonly host: SyncHost
  /** How long an offer lives when nobody fetches, in milliseconds from 250 to 2^31 - 1. Default 10,000. */
  readonly ttlMs?: number
  /**
   * How long a session waits for an anchor to be named, offered or sealed, in milliseconds from 500 to 2^31 - 1. Default
   * 15,000.
   */
  readonly requestTimeoutMs?: number
  /** How long a peer may send nothing while an answer is due, in milliseconds from 250 to 2^31 - 1. Default 5,000. */
  readonly fetchTimeoutMs?: number
  /** How chunks are encoded for the way, and decoded. Default: zstd. */
  readonly coder?: ChunkCoder
  /** Where a session keeps verified chunks, for one that has to begin again. Default: nowhere. */
  readonly store?: ChunkStore
  /** What this provider does for others at most. */
  readonly limits?: Partial<ProviderLimits>
  /** Asked about members too: false keeps a peer out. What it throws counts as false. Default: every member may fetch. */
  readonly authorize?: (peer: string) => boolean | Promise<boolean>
  /** Default: the machine's monotonic clock. */
  readonly clock?: Clock
  /** A number from 0 up to 1: spreads out those who were told Busy together. Default `Math.random`. */
  readonly random?: () => number
  /** Hears of everything that happens here. What it throws is thrown away. */
  readonly onEvent?: (event: SyncEvent) => void
}

export type SyncEvent =
  /** A snapshot became available, was cut, was revived by a fetch, was released, or is out of memory. */
  | AvailableEvent
  /** A peer was sent one chunk. */
  | { readonly type: 'served'; readonly peer: string; readonly anchor: Position; readonly bytes: number }
  /** A peer was told an error. */
  | { readonly type: 'refused'; readonly peer: string; readonly error: SyncError }
  /** A stream that a peer opened broke: it left in the middle, or did not take an answer in time. */
  | { readonly type: 'broken'; readonly peer: string; readonly error: Error }
  /** A peer pushed an offer that nobody waits for. */
  | { readonly type: 'ignored'; readonly peer: string; readonly offer: OfferView }
  /** The session moved on. */
  | { readonly type: 'session'; readonly state: SessionState }
  /** A peer failed the session, or sent what no honest replica sends; the session asks others. */
  | { readonly type: 'fault'; readonly peer: string; readonly error: Error }
  /** Whoever leads named no anchor, for a reason that passes, or nobody leads: an anchor is asked for again. */
  | { readonly type: 'asked-again'; readonly error: Error; readonly retryMs: number }
  /** The session's anchor is gone; it goes on with another. */
  | { readonly type: 'anchor-lost'; readonly error: AnchorGone }

export interface CapturedInit {
  /** What the host keeps beside the machine's items, up to 1 MiB; the same on every replica at this anchor. */
  readonly control: Uint8Array
  /** As the marker says, in bytes from 1 to 8 MiB: every replica must cut alike. */
  readonly chunkBytes: number
  /** Who asked for the snapshot: they are pushed the offer. */
  readonly requesters: readonly string[]
  /** Begin to cut so much later, in milliseconds, unless a peer asks for it before. Default 0. */
  readonly cutDelayMs?: number
}

/** A snapshot that stays as long as it is held. */
export interface Hold {
  readonly cut: CutSnapshot
  release(): void
}

export interface CatchUpInit {
  /** What this replica has. */
  readonly position: Position
  readonly signal: AbortSignal
}

/**
 * Snapshot sync for one group: the provider, which lives as long as the replica, and the session, which lives for
 * one catch-up. It knows neither the log nor libp2p: a host and a network are given to it.
 */
export class SnapshotSync {
  readonly #host: SyncHost
  readonly #network: SyncNetwork
  readonly #clock: Clock
  readonly #random: () => number
  readonly #coder: ChunkCoder
  readonly #onEvent: (event: SyncEvent) => void
  readonly #times: SyncTimes
  readonly #available: AvailableSnapshots
  readonly #allocator: AnchorAllocator
  readonly #store: ChunkStore | undefined
  readonly #provider: Provider
  #session: Session | undefined

  constructor(init: SnapshotSyncInit, network: SyncNetwork) {
    checkHost(init.host)
    this.#host = init.host
    this.#network = network
    this.#clock = init.clock ?? systemClock
    this.#random = init.random ?? systemRandom
    this.#coder = init.coder ?? zstdCoder
    this.#store = init.store
    this.#onEvent = (event) => tellListener(init.onEvent, event)
    this.#times = syncTimes(init)
    const { host, authorize } = init
    const limits = providerLimits(init.limits)
    const clock = this.#clock
    this.#available = new AvailableSnapshots({
      clock,
      ttlMs: this.#times.ttlMs,
      coder: this.#coder,
      onEvent: (event) => {
        if (event.type === 'released') {
          this.#allocator.released(event.anchor, event.cause === 'failed' ? event.why : undefined)
          this.#provider.released(event.anchor)
        }
        this.#onEvent(event)
      },
    })
    this.#allocator = new AnchorAllocator({
      self: network.self,
      host,
      available: this.#available,
      clock,
      ttlMs: this.#times.ttlMs,
      sealTimeoutMs: this.#times.requestTimeoutMs,
      markersPerMinute: limits.markersPerMinute,
    })
    this.#provider = new Provider({
      host,
      available: this.#available,
      allocator: this.#allocator,
      clock,
      limits,
      authorize,
      sendTimeoutMs: this.#times.fetchTimeoutMs,
      onOffer: (peer, offer) => {
        if (this.#session?.offered(peer, offer) !== true) this.#onEvent({ type: 'ignored', peer, offer })
      },
      onRefused: (peer, error) => this.#onEvent({ type: 'refused', peer, error }),
      onBroken: (peer, error) => this.#onEvent({ type: 'broken', peer, error }),
      onServed: (peer, anchor, bytes) => this.#onEvent({ type: 'served', peer, anchor, bytes }),
    })
  }

  /** The PeerId that others know this replica by. */
  get self(): string {
    return this.#network.self
  }

  /** What this replica offers now, oldest anchor first. */
  get offers(): OfferView[] {
    return offersOf(this.#available)
  }

  /** How many chunk bytes this replica has sent of an anchor since it offers it. */
  servedBytes(anchor: Position): number {
    return this.#provider.servedBytes(anchor)
  }

  /** How many bytes the running session has received, and built into the new state; 0 without one. */
  get progressBytes(): number {
    return this.#session?.progressBytes ?? 0
  }

  /** Serve one stream that a peer opened. */
  async serve(peer: string, stream: ByteStream): Promise<void> {
    await this.#provider.serve(peer, stream)
  }

  /**
   * The host applied a marker and captured its state there. From now on the snapshot is offered, while it is cut
   * in the background. Throws `SnapshotTooLarge` for more control bytes than a manifest carries and `RangeError` for an
   * impossible `chunkBytes`; the snapshot is then the caller's still.
   */
  captured(anchor: Position, snapshot: Snapshot, init: CapturedInit): void {
    checkControl(init.control)
    checkInteger('chunkBytes', init.chunkBytes, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
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

  /** Resolves with the manifest of an anchor this replica holds, once it is cut; undefined when it does not hold it. */
  whenCut(anchor: Position): Promise<Manifest> | undefined {
    return this.#available.whenCut(anchor)
  }

  /** Why an anchor that was offered here is not any more: `CutFailed` or `Expired`. Undefined of one that is, or never was. */
  whyGone(anchor: Position): SyncError | undefined {
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

  /** The group cannot agree on this anchor's root: it is offered, and named to whoever asks, no more. */
  disputed(anchor: Position): void {
    this.#allocator.disputed(anchor)
    this.#available.withdraw(anchor)
  }

  /** A marker retires an anchor: it is not offered any more, unless somebody reads it here. It then expires by itself. */
  retire(anchor: Position): void {
    const found = this.#available.get(anchor)
    if (found !== undefined && 'uses' in found && found.uses === 0) this.#available.withdraw(anchor)
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
   * Ask the leader for an anchor above a position, as a session would: it may append a marker. Asks again while there
   * is no leader, or it says Busy; rejects with its last answer when the request timeout has passed, with `CutFailed` at once,
   * and with the signal's reason.
   */
  async requestAnchor(above: Position, signal: AbortSignal): Promise<Position> {
    signal.throwIfAborted()
    const peers = this.#peers()
    // What is due on a stream must not hold a request that is not wanted any more.
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
        this.#onEvent({ type: 'asked-again', error, retryMs })
        await sleep(this.#clock, retryMs, signal)
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      await peers.close()
    }
  }

  /** Get a snapshot above `position` from the other replicas and install it. One session at a time. */
  async catchUp(init: CatchUpInit): Promise<CaughtUp> {
    if (this.#session !== undefined) throw new SessionRunning()
    const session = new Session({
      ...this.#times,
      ...init,
      host: this.#host,
      network: this.#network,
      clock: this.#clock,
      coder: this.#coder,
      store: this.#store,
      random: this.#random,
      onState: (state) => this.#onEvent({ type: 'session', state }),
      onLost: (error) => this.#onEvent({ type: 'anchor-lost', error }),
      onFault: (peer, error) => this.#onEvent({ type: 'fault', peer, error }),
    })
    this.#session = session
    try {
      return await session.run()
    } finally {
      this.#session = undefined
    }
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

/** Every request carries them: what no request can carry is found here, and not by the first who needs a snapshot. */
function checkHost({ group, signature, epoch }: SyncHost): void {
  checkText('host.group', group, GROUP_BYTES_MAX)
  checkText('host.signature', signature, SIGNATURE_BYTES_MAX)
  checkText('host.epoch', epoch, EPOCH_BYTES_MAX)
}
