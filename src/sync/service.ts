import {
  type ComponentLogger,
  type Logger,
  type Startable,
  serviceCapabilities,
  type TypedEventTarget,
} from '@libp2p/interface'
import { checkText } from '../bounds.ts'
import { GuardedEvents } from '../guarded-events.ts'
import { tellListener } from '../listener-warning.ts'
import { ComponentSink } from '../logging/component-sink.ts'
import { RepeatedLines } from '../logging/repeated-lines.ts'
import type { Snapshot } from '../machine/machine.ts'
import type { Position } from '../position.ts'
import type { Manifest } from '../snapshot/manifest.ts'
import { systemClock } from '../time/clock.ts'
import type { SyncEvent } from './events.ts'
import type { CaughtUp } from './fetching/index.ts'
import { Libp2pNetwork, type SnapshotSyncComponents } from './libp2p.ts'
import { PROTOCOL_PREFIX_BYTES_MAX, providerLimits } from './limits.ts'
import { syncLine } from './log-lines.ts'
import { type CapturedInit, checkSyncInit, type SnapshotSyncInit } from './options.ts'
import { type CatchUpInit, type Hold, SnapshotSync } from './snapshot-sync.ts'
import type { OfferView, WireError } from './wire/index.ts'

/** Options of `snapshotSync`. */
export interface Libp2pSnapshotSyncInit extends SnapshotSyncInit {
  /**
   * The protocol is `/<prefix>/sync/1.0.0`. Two groups on one node need two prefixes. 1 to 255 bytes without
   * control characters. Default `anchorage`.
   */
  readonly protocolPrefix?: string
}

/** The events of the service, by their types. Each has what happened as its `detail`. */
export type SyncEvents = {
  [T in SyncEvent['type']]: CustomEvent<Extract<SyncEvent, { readonly type: T }>>
}

/**
 * Snapshot sync as a service of a libp2p node. The provider in it serves as long as the node runs; a catch-up
 * is one call. The node starts and stops it. A stop withdraws all offers and gives their memory back.
 *
 * The consensus beside it calls `captured`, `retire`, `sealed` and `disputed` when it applies the entries of
 * that kind.
 */
export interface SnapshotSyncService extends Startable {
  /** The PeerId that others know this replica by, as text. */
  readonly self: string
  /** What this replica offers now, oldest anchor first: the newest 64. */
  readonly offers: OfferView[]
  /** Bytes that the running catch-up has received, and built into the new state; 0 without one. */
  readonly progressBytes: number
  /**
   * Tells what happens here, as `onEvent` does. A listener that throws harms nobody: its error becomes a
   * warning.
   */
  readonly events: TypedEventTarget<SyncEvents>

  /** True from `start` to `stop`. */
  isStarted(): boolean

  /**
   * The host applied a marker and captured its state there: `snapshot` is the service's to release from now
   * on. It is offered at once, cut in the background, and pushed to its requesters. An anchor that is offered
   * already is revived.
   *
   * Throws `SnapshotTooLarge` for more than 1 MiB of control bytes, and `RangeError` for an option out of its
   * bounds. The snapshot is then still the caller's.
   */
  captured(anchor: Position, snapshot: Snapshot, init: CapturedInit): void

  /**
   * Resolves when the anchor's snapshot is cut, with its manifest: the root in it is what this replica
   * attests. Rejects when it cannot be cut, or is released before: `whyGone` tells which. Undefined: it is
   * not held here.
   */
  whenCut(anchor: Position): Promise<Manifest> | undefined

  /**
   * The group agreed on this anchor's root. An anchor that nobody seals in time is not named to requesters
   * any more.
   */
  sealed(anchor: Position): void

  /**
   * The group cannot agree on this anchor's root. It is not offered any more, and the next request gets a new
   * marker, after a pause. To be called also for an anchor that was not captured here.
   */
  disputed(anchor: Position): void

  /**
   * A marker retires this anchor: it is not offered any more. One that a peer reads just now is left to
   * expire.
   */
  retire(anchor: Position): void

  /**
   * Stop offering an anchor, or all of them: the state they were captured of is not to be trusted, or was
   * replaced.
   */
  withdraw(anchor?: Position): void

  /**
   * Why an anchor is not offered here any more: `CutFailed` or `Expired`. Undefined: it still is, or never
   * was.
   */
  whyGone(anchor: Position): WireError | undefined

  /**
   * Keep an anchor's snapshot in memory until the hold is released, to read its chunks. Undefined: it is not
   * held.
   */
  hold(anchor: Position): Hold | undefined

  /** Chunk bytes that this replica has sent of an anchor since it offers it. */
  servedBytes(anchor: Position): number

  /**
   * Have the group capture above a position, and resolve with the anchor; no snapshot is fetched. Asks the
   * leader again while there is none, or it says `Busy`. Rejects with its last answer when the request
   * timeout has passed, with `CutFailed` at once, and with the signal's reason.
   */
  requestAnchor(above: Position, signal: AbortSignal): Promise<Position>

  /**
   * Get a snapshot above `position` from the other replicas, verify it against the sealed root, and install
   * it by the host's `beginInstall`. The host then replays the log from the anchor + 1.
   *
   * Rejects with `NoProvider` when no member has served a snapshot, with `SessionRunning` while another
   * catch-up runs, with the signal's reason, and with what the host throws. What the host had is unharmed
   * then.
   */
  catchUp(init: CatchUpInit): Promise<CaughtUp>
}

/** Throws `RangeError` for an option with which nothing could be served or fetched. */
export function checkServiceInit(init: Libp2pSnapshotSyncInit): void {
  checkSyncInit(init)
  const { protocolPrefix } = init
  if (protocolPrefix !== undefined) checkText('protocolPrefix', protocolPrefix, PROTOCOL_PREFIX_BYTES_MAX)
}

/**
 * What `snapshotSync` gives a node: the core over a libp2p network, its events, and lines for the node's log.
 */
export class Service implements SnapshotSyncService {
  readonly [Symbol.toStringTag] = 'anchorage/sync'
  // It depends on no service: peers are dialled by the addresses that the host knows.
  readonly [serviceCapabilities] = ['anchorage/sync']
  readonly events = new GuardedEvents<SyncEvents>()
  readonly #sync: SnapshotSync
  readonly #joined: Startable
  readonly #listener: SnapshotSyncInit['onEvent']
  readonly #log: Logger | undefined
  readonly #lines: RepeatedLines | undefined
  #started = false

  constructor(init: Libp2pSnapshotSyncInit, components: SnapshotSyncComponents) {
    const self = components.peerId.toString()
    const { streamsPerPeer } = providerLimits(init.limits)
    const network = new Libp2pNetwork({ self, protocolPrefix: init.protocolPrefix, streamsPerPeer })
    this.#listener = init.onEvent
    const { logger } = components
    this.#log = logger?.forComponent('anchorage:sync')
    this.#lines = logger && linesTo(logger, init, self)
    this.#sync = new SnapshotSync(init, network, (event) => this.#tell(event))
    this.#joined = network.join(components, (peer, stream) => this.#sync.serve(peer, stream))
  }

  get self(): string {
    return this.#sync.self
  }

  get offers(): OfferView[] {
    return this.#sync.offers
  }

  get progressBytes(): number {
    return this.#sync.progressBytes
  }

  isStarted(): boolean {
    return this.#started
  }

  async start(): Promise<void> {
    await this.#joined.start()
    this.#started = true
    this.#log?.('started as %s', this.self)
  }

  async beforeStop(): Promise<void> {
    await this.#joined.beforeStop?.()
  }

  async stop(): Promise<void> {
    await this.#joined.stop()
    await this.#sync.close()
    this.#lines?.flush()
    this.#started = false
    this.#log?.('stopped')
  }

  captured(anchor: Position, snapshot: Snapshot, init: CapturedInit): void {
    this.#sync.captured(anchor, snapshot, init)
  }

  whenCut(anchor: Position): Promise<Manifest> | undefined {
    return this.#sync.whenCut(anchor)
  }

  sealed(anchor: Position): void {
    this.#sync.sealed(anchor)
  }

  disputed(anchor: Position): void {
    this.#sync.disputed(anchor)
  }

  retire(anchor: Position): void {
    this.#sync.retire(anchor)
  }

  withdraw(anchor?: Position): void {
    this.#sync.withdraw(anchor)
  }

  whyGone(anchor: Position): WireError | undefined {
    return this.#sync.whyGone(anchor)
  }

  hold(anchor: Position): Hold | undefined {
    return this.#sync.hold(anchor)
  }

  servedBytes(anchor: Position): number {
    return this.#sync.servedBytes(anchor)
  }

  async requestAnchor(above: Position, signal: AbortSignal): Promise<Position> {
    return await this.#sync.requestAnchor(above, signal)
  }

  async catchUp(init: CatchUpInit): Promise<CaughtUp> {
    return await this.#sync.catchUp(init)
  }

  #tell(event: SyncEvent): void {
    tellListener(this.#listener, event)
    if (this.events.listenerCount(event.type) > 0)
      this.events.safeDispatchEvent(event.type, { detail: event })
    if (this.#lines?.enabled) this.#lines.take(syncLine(event))
  }
}

function linesTo(
  logger: ComponentLogger,
  { host, clock = systemClock }: Pick<SnapshotSyncInit, 'host' | 'clock'>,
  replica: string,
): RepeatedLines {
  return new RepeatedLines({ clock, sink: new ComponentSink(logger, { group: host.group, replica }) })
}
