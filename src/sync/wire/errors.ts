import { formatPosition, type Position } from '../../position.ts'

/**
 * The errors a request may be answered with. Each crosses the wire by its name, so that both sides of a stream
 * speak of the same classes.
 */
export abstract class SyncError extends Error {
  abstract override readonly name: string
}

/** The offer expired: nobody fetched for its TTL. Ask for a newer anchor. */
export class Expired extends SyncError {
  override readonly name = 'Expired'
}

/**
 * This replica captured its state at that anchor and could not cut it into a snapshot, for the reason in the message: an item
 * beyond the limit, more chunks than a manifest may list. Asking again is of no use before the state has changed.
 */
export class CutFailed extends SyncError {
  override readonly name = 'CutFailed'
  static at(anchor: Position, why: string): CutFailed {
    return new CutFailed(`the state at ${formatPosition(anchor)} cannot be cut into a snapshot: ${why}`)
  }
}

/** This replica never offered that anchor. Ask another one, or for another anchor. */
export class UnknownAnchor extends SyncError {
  override readonly name = 'UnknownAnchor'
}

/** The range is not within the snapshot's chunks. */
export class OutOfRange extends SyncError {
  override readonly name = 'OutOfRange'
}

/** Not now. Ask again after `retryMs`. */
export class Busy extends SyncError {
  override readonly name = 'Busy'
  readonly retryMs: number
  constructor(message: string, retryMs: number) {
    super(message)
    this.retryMs = retryMs
  }
}

/** Only the leader appends markers. `leader` is who that is, where it is known. */
export class NotLeader extends SyncError {
  override readonly name = 'NotLeader'
  readonly leader: string | undefined
  constructor(leader: string | undefined) {
    super(
      leader === undefined
        ? 'this replica does not lead, and knows nobody who does'
        : `the leader is ${leader}`,
    )
    this.leader = leader
  }
}

/** The peer is not a member of the group. */
export class Unauthorized extends SyncError {
  override readonly name = 'Unauthorized'
}

/** Another group, signature or epoch. */
export class Incompatible extends SyncError {
  override readonly name = 'Incompatible'
}

/** Bytes that are no message of this protocol, or a message that lacks what it needs. */
export class Malformed extends SyncError {
  override readonly name = 'Malformed'
}

/** The peer could not do what was asked, for a reason of its own. */
export class Failed extends SyncError {
  override readonly name = 'Failed'
}

/** The peer did not answer in time, or the stream to it broke. Never sent; made on this side. */
export class PeerUnavailable extends SyncError {
  override readonly name: string = 'PeerUnavailable'
}

/**
 * The peer accepts connections and breaks off the handshake, again and again: most likely it has another network key than this
 * replica, or only one of the two has one. Never sent.
 */
export class HandshakeFailed extends PeerUnavailable {
  override readonly name = 'HandshakeFailed'
}

/** Nobody serves the anchor any more. The session goes on with a newer one. */
export class AnchorGone extends SyncError {
  override readonly name: string = 'AnchorGone'
  readonly anchor: Position
  constructor(anchor: Position, why: string) {
    super(`the anchor ${formatPosition(anchor)} is gone: ${why}`)
    this.anchor = anchor
  }
}

/** There never was one: the log has something else at its place. Whoever named it has lied. */
export class NoMarker extends AnchorGone {
  override readonly name = 'NoMarker'
  constructor(anchor: Position) {
    super(anchor, 'the log has no marker there')
  }
}

/**
 * No root of this anchor can get the majority of its electorate: states differ, and nobody can tell whose is wrong. Nobody
 * installs it; the session goes on with a newer one.
 */
export class Disputed extends AnchorGone {
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

/** A replica catches up once at a time: wait for the session that is running. */
export class SessionRunning extends SyncError {
  override readonly name = 'SessionRunning'
  constructor() {
    super('a session is running already: wait until it has ended')
  }
}

export interface NoProviderInit {
  readonly faults?: readonly Fault[]
  readonly refusals?: ReadonlyMap<string, Error>
  readonly cause?: Error | undefined
}

/** Nobody has served a snapshot. Others than those in `refusals` may do so yet. */
export class NoProvider extends SyncError {
  override readonly name = 'NoProvider'
  /** What the peers of this session did wrong, the newest last; at most 16. */
  readonly faults: readonly Fault[]
  /**
   * The members that will not serve one, by their PeerIds, and why: they said so, or sent what no honest replica sends. Silence is
   * no refusal.
   */
  readonly refusals: ReadonlyMap<string, Error>
  constructor(why: string, { faults = [], refusals = new Map(), cause }: NoProviderInit = {}) {
    super([why, ...faults.map(({ peer, what }) => `${peer}: ${what}`)].join('; '), cause && { cause })
    this.faults = faults
    this.refusals = refusals
  }
}
