import type { Snapshot } from '../machine/machine.ts'
import type { Position } from '../position.ts'
import type { StateBuilder } from '../snapshot/state-builder.ts'

/** A member of the group, as its announcement tells. */
export interface SyncMember {
  /** Its PeerId, as text. */
  readonly id: string
  /** Multiaddrs it listens on. */
  readonly addresses: readonly string[]
  /** It can serve: it holds a state that follows the log. */
  readonly serves: boolean
  /** The index of the newest entry it had applied when it announced itself. */
  readonly applied: number
  /** What it offers, as it announced, and for how long from now. Undefined: members do not announce that. */
  readonly offers?: readonly { readonly anchor: number; readonly remainingMs: number }[]
  /** The anchor that it pins, as it announced. Undefined: none. */
  readonly needs?: number | undefined
}

/** The state that a replica has while it catches up. */
export interface OwnState {
  /** Released when it was read. */
  readonly snapshot: Snapshot
  /** The size that chunks have on average here, in bytes. */
  readonly chunkBytes: number
}

/**
 * What snapshot sync needs of whoever orders the entries: `createReplica` is one such host, a consensus of your own
 * is another. All calls may come at any time and in parallel.
 */
export interface SyncHost {
  /** The group's name, of 1 to 512 bytes without control characters. */
  readonly group: string
  /** The state machine's signature, of 1 to 1,024 bytes. Peers of another one are told `Incompatible`. */
  readonly signature: string
  /** The incarnation of the log that this replica follows, of 1 to 64 bytes. */
  readonly epoch: string
  /** The PeerId of who leads, as far as this replica knows. */
  leader(): string | undefined
  /** Everyone who may fetch, and where they are. */
  members(): readonly SyncMember[]
  /** Read the membership anew: called before a stranger is refused, and when nobody is known to serve. */
  refreshMembers(): Promise<void>
  /**
   * Called on the leader only: append a marker on behalf of `requester`. Resolves with its position when this replica has
   * applied it; rejects with `NotLeader` when another took office before it, which makes it a no-op at which nobody captures.
   * `retires` are anchors that nobody uses: whoever applies the marker calls `withdraw` for each.
   */
  appendMarker(requester: string, retires: readonly Position[]): Promise<Position>
  /** True when the log's entry at `position` can still be read, and all that follow. */
  isReadable(position: Position): Promise<boolean>
  /**
   * Resolves with the root that the group agreed on for this anchor, once it has. Rejects with `Disputed` once it is clear
   * that it never will; any rejection makes the session leave the anchor.
   */
  sealedRoot(anchor: Position, signal: AbortSignal): Promise<Uint8Array>
  /**
   * False once so many of the anchor's electors have left the group that it will never be sealed. Default: true, until the
   * request timeout has passed.
   */
  mayBeSealed?(anchor: Position): boolean
  /**
   * True once the group has made no progress with fetching this anchor for too long: it is not offered any more then. Default:
   * false; an offer lives as long as somebody fetches from it, however slowly.
   */
  hasStalled?(anchor: Position): boolean
  /**
   * Tell the group that this replica needs the log from this anchor on; undefined: no longer. Each call announces this replica
   * anew, also with the same anchor: it is made again when a peer does not know this replica. After an install the
   * session leaves that to the host, which still has to read the log from there.
   */
  pin(anchor: Position | undefined): Promise<void>
  /**
   * The state that this replica has: what of it is in the new one too is not fetched. Undefined for none, or where it is not
   * worth looking at. Default: none.
   */
  ownState?(): OwnState | undefined
  /** Begin to build a new state from chunks as they arrive. `signal` aborts when this one is not wanted any more. */
  beginInstall(signal: AbortSignal): StateBuilder
}
