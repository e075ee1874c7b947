import { AnchorageError } from '../errors.ts'
import { formatPosition, type Position } from '../position.ts'

/**
 * What goes wrong between replicas that sync, in two families. What a peer may answer is a `WireError`, in
 * `wire/errors.ts`. What this side of a session finds stands here, and is never sent.
 */
export abstract class SyncError extends AnchorageError {
  static override readonly code: string = 'SYNC_ERROR'
  abstract override readonly name: string
}

/** The peer did not answer in time, or the stream to it broke. */
export class PeerUnavailable extends SyncError {
  static override readonly code: string = 'PEER_UNAVAILABLE'
  override readonly name: string = 'PeerUnavailable'
}

/**
 * The peer accepts connections and breaks off the handshake, again and again. Most likely it has another
 * network key than this replica, or only one of the two has one.
 */
export class HandshakeFailed extends PeerUnavailable {
  static override readonly code = 'HANDSHAKE_FAILED'
  override readonly name = 'HandshakeFailed'
}

/** Nobody serves the anchor any more. The session goes on with a newer one. */
export class AnchorGone extends SyncError {
  static override readonly code: string = 'ANCHOR_GONE'
  override readonly name: string = 'AnchorGone'
  readonly anchor: Position
  constructor(anchor: Position, why: string) {
    super(`the anchor ${formatPosition(anchor)} is gone: ${why}`)
    this.anchor = anchor
  }
}

/** There never was one: the log has something else at its place. The peer that named it has lied. */
export class NoMarker extends AnchorGone {
  static override readonly code = 'NO_MARKER'
  override readonly name = 'NoMarker'
  constructor(anchor: Position) {
    super(anchor, 'the log has no marker there')
  }
}

/**
 * No root of this anchor can get the majority of its electorate: states differ, and nobody can tell whose is
 * wrong. Nobody installs it; the session goes on with a newer one.
 */
export class Disputed extends AnchorGone {
  static override readonly code = 'DISPUTED'
  override readonly name = 'Disputed'
  /** Who attested which root. */
  readonly roots: ReadonlyMap<string, Uint8Array>
  constructor(anchor: Position, roots: ReadonlyMap<string, Uint8Array>) {
    const attested = [...roots].map(([who, root]) => `${who} attests ${Buffer.from(root).toString('hex')}`)
    super(anchor, `its electorate cannot agree on a root: ${attested.join(', ')}`)
    this.roots = roots
  }
}

/** What a peer did wrong. */
export interface Fault {
  /** Its PeerId, as text. */
  readonly peer: string
  readonly what: string
}

/** A session is running, and a replica has one at a time: wait until it has ended. */
export class SessionRunning extends SyncError {
  static override readonly code = 'SESSION_RUNNING'
  override readonly name = 'SessionRunning'
  constructor() {
    super('a session is running already: wait until it has ended')
  }
}

/** What a `NoProvider` says of those that did not serve, by PeerId. */
export interface NoProviderInit {
  readonly faults?: readonly Fault[]
  readonly refusals?: ReadonlyMap<string, Error>
  readonly cause?: Error | undefined
}

/** Nobody has served a snapshot. Members that are not in `refusals` may do so yet. */
export class NoProvider extends SyncError {
  static override readonly code = 'NO_PROVIDER'
  override readonly name = 'NoProvider'
  /** What the peers of this session did wrong, the newest last; at most 16. */
  readonly faults: readonly Fault[]
  /**
   * The members that will not serve one, by their PeerIds, and why: they said so, or sent what no honest
   * replica sends. Silence is no refusal.
   */
  readonly refusals: ReadonlyMap<string, Error>
  constructor(why: string, { faults = [], refusals = new Map(), cause }: NoProviderInit = {}) {
    super([why, ...faults.map(({ peer, what }) => `${peer}: ${what}`)].join('; '), cause && { cause })
    this.faults = faults
    this.refusals = refusals
  }
}
