import { formatPosition, type Position } from '../../position.ts'
import { SyncError } from '../errors.ts'

/**
 * The errors a request may be answered with. Each crosses the wire by its name, and both sides have its
 * class.
 */
export abstract class WireError extends SyncError {
  static override readonly code: string = 'WIRE_ERROR'
}

/** The offer expired: it had no fetch for its TTL. Ask for a newer anchor. */
export class Expired extends WireError {
  static override readonly code = 'EXPIRED'
  override readonly name = 'Expired'
}

/**
 * This replica captured its state at that anchor and could not cut it into a snapshot. The message has the
 * reason: an item beyond the limit, or more chunks than a manifest may list. Asking again is of no use before
 * the state has changed.
 */
export class CutFailed extends WireError {
  static override readonly code = 'CUT_FAILED'
  override readonly name = 'CutFailed'
  /** @internal The error for the state at this anchor, with the reason in words. */
  static at(anchor: Position, why: string): CutFailed {
    return new CutFailed(`the state at ${formatPosition(anchor)} cannot be cut into a snapshot: ${why}`)
  }
}

/** This replica never offered that anchor. Ask another replica, or for another anchor. */
export class UnknownAnchor extends WireError {
  static override readonly code = 'UNKNOWN_ANCHOR'
  override readonly name = 'UnknownAnchor'
}

/** The range is not within the snapshot's chunks. */
export class OutOfRange extends WireError {
  static override readonly code = 'OUT_OF_RANGE'
  override readonly name = 'OutOfRange'
}

/** Not now. Ask again after `retryMs`. */
export class Busy extends WireError {
  static override readonly code = 'BUSY'
  override readonly name = 'Busy'
  /** When to ask again, in milliseconds from now. */
  readonly retryMs: number
  constructor(message: string, retryMs: number) {
    super(message)
    this.retryMs = retryMs
  }
}

/** This replica does not lead, and only the leader does what was asked: it appends markers, prunes and upgrades. */
export class NotLeader extends WireError {
  static override readonly code = 'NOT_LEADER'
  override readonly name = 'NotLeader'
  /** The leader's PeerId, if it is known. */
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
export class Unauthorized extends WireError {
  static override readonly code = 'UNAUTHORIZED'
  override readonly name = 'Unauthorized'
}

/** The peer has another group, signature or epoch. */
export class Incompatible extends WireError {
  static override readonly code = 'INCOMPATIBLE'
  override readonly name = 'Incompatible'
}

/** Bytes are no message of this protocol, or a message lacks something. */
export class Malformed extends WireError {
  static override readonly code = 'MALFORMED'
  override readonly name = 'Malformed'
}

/** The peer could not do what was asked, for the reason in the message. */
export class Failed extends WireError {
  static override readonly code = 'FAILED'
  override readonly name = 'Failed'
}
