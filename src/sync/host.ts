import type { Snapshot } from '../machine/machine.ts'
import type { Position } from '../position.ts'
import type { StateBuilder } from '../snapshot/state-builder.ts'

/** A member of the group, as its announcement tells. */
export interface SyncMember {
  /** Its PeerId, as text. */
  readonly id: string
  /** The multiaddrs it listens on. With none, libp2p is asked to find it. */
  readonly addresses: readonly string[]
  /** It holds a state that follows the log, so that it can serve. */
  readonly serves: boolean
  /** The index of the newest entry it had applied when it announced itself. */
  readonly applied: number
  /** What it offers, and for how many milliseconds from now. Undefined: members do not announce that. */
  readonly offers?: readonly { readonly anchor: number; readonly remainingMs: number }[]
  /** The index of the anchor that it pins, as it announced. Undefined: none. */
  readonly needs?: number | undefined
}

/** The state that a replica has while it catches up. */
export interface OwnState {
  /** Released when it was read. */
  readonly snapshot: Snapshot
  /** The size that chunks have on average here, in bytes from 1 to 8 MiB. */
  readonly chunkBytes: number
}

/** What a machine answered. */
export interface Answer {
  /** Undefined: there is no such thing. */
  readonly bytes: Uint8Array | undefined
  /** The index of the newest entry in the state that was asked. */
  readonly index: number
}

/** What an operator wants of the leader. */
export type Order =
  /** Prune the log, but for so many of the newest entries. */
  | { readonly type: 'prune'; readonly keepEntries: number }
  /** Have the group speak this version of the machine; empty: the newest that all members speak. */
  | { readonly type: 'upgrade'; readonly to: string }

/**
 * What snapshot sync needs of the consensus that orders the entries. `createReplica` has such a host for our
 * logs; a consensus of your own has another. All calls may come at any time, and several at once.
 */
export interface SyncHost {
  /**
   * The group's name, of 1 to 512 bytes without control characters. Peers of another group are told
   * `Incompatible`.
   */
  readonly group: string
  /**
   * The state machine's signature, of 1 to 1,024 bytes: it names the form of commands and items. Where a group
   * can go over to another version, it is the one of now. Peers that speak no version in common are told
   * `Incompatible`.
   */
  readonly signature: string
  /**
   * Signatures of other versions that this replica speaks too. Default: none.
   */
  readonly also?: readonly string[]
  /** The incarnation of the log that this replica follows, of 1 to 64 bytes: every anchor carries it. */
  readonly epoch: string
  /** The PeerId of the leader, as far as this replica knows. */
  leader(): string | undefined
  /**
   * Every replica that may fetch or serve, this one included. Peers that are not listed are told
   * `Unauthorized`.
   */
  members(): readonly SyncMember[]
  /**
   * Call `listener` whenever `members()` may have changed. Returns what ends that. It only saves time:
   * without it a session looks at the members a few times a second.
   */
  onMembersChanged?(listener: () => void): () => void
  /** Read the membership anew. Called before a stranger is refused, and when no member is known to serve. */
  refreshMembers(): Promise<void>
  /**
   * Append a marker on behalf of `requester`. Called on the leader only. Resolves with the marker's position
   * when this replica has applied it. Rejects with `NotLeader` when another took office before the marker,
   * which is then a no-op at which nobody captures. `retires` are anchors that nobody uses: every replica
   * that applies the marker calls `retire` for each.
   */
  appendMarker(requester: string, retires: readonly Position[]): Promise<Position>
  /**
   * True when the log's entry at `position`, and all that follow, can still be read, and a snapshot of there is
   * of use. What it throws ends the session: the snapshot is of a newer version than this replica speaks, say.
   */
  isReadable(position: Position): Promise<boolean>
  /**
   * Resolves with the root that the group agreed on for this anchor, once it has. Rejects with `Disputed`
   * once it is clear that it never will. Any rejection makes the session leave the anchor.
   */
  sealedRoot(anchor: Position, signal: AbortSignal): Promise<Uint8Array>
  /**
   * False once so many of the anchor's electors have left the group that it will never be sealed. Default:
   * true, until the request timeout has passed.
   */
  mayBeSealed?(anchor: Position): boolean
  /**
   * True once the group has made no progress with fetching this anchor for too long: it is not offered any
   * more then. Default: false; an offer lives as long as anybody fetches from it, however slowly.
   */
  hasStalled?(anchor: Position): boolean
  /**
   * Tell the group that this replica needs the log from this anchor on; undefined: no longer. Each call
   * announces this replica anew, also one with the same anchor: it comes again when a peer does not know this
   * replica. After an install the session leaves the last call to the host, which still has to read the log
   * from there.
   */
  pin(anchor: Position | undefined): Promise<void>
  /**
   * The state that this replica has: what of it is in the new state too is not fetched. Undefined: none, or
   * none worth looking at. Default: none.
   */
  ownState?(): OwnState | undefined
  /**
   * Answer a question about the state of now, for a member that has none. It reads, and changes nothing. The signal
   * aborts after two seconds: the asker is told `Busy`. Default: questions are refused.
   */
  query?(question: Uint8Array, signal: AbortSignal): Promise<Answer>
  /** What this replica knows of itself and the group, for JSON. Default: members that ask are told nothing. */
  status?(signal: AbortSignal): Promise<object>
  /**
   * Do what an operator wants of the leader. Resolves with the entry that the outcome is about, or 0. Rejects with
   * `NotLeader` on the others. Default: orders are refused.
   */
  order?(order: Order): Promise<number>
  /**
   * Begin to build the state at an anchor from chunks as they arrive. `signal` aborts when this one is not
   * wanted any more.
   */
  beginInstall(signal: AbortSignal, anchor: Position): StateBuilder
}
