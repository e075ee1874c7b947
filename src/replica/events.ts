import type { CheckpointEvent } from '../checkpoint/store.ts'
import type { ReplicaState } from '../group/announcement.ts'
import type { LogEntry } from '../log/log.ts'
import type { Position } from '../position.ts'
import type { SyncEvent } from '../sync/events.ts'
import type { CaughtUp } from '../sync/fetching/session-state.ts'

/** A replica went from one state to another. */
export interface StateChange {
  /** What it does now. */
  readonly state: ReplicaState
  /** What it did before. */
  readonly previous: ReplicaState
  /** Why, if something went wrong. */
  readonly reason: Error | undefined
}

/** A whole catch-up: from noticing the lag to being in sync again. */
export interface CatchUpReport extends CaughtUp {
  /** From the moment the replica asked to the moment it was in sync, in milliseconds. */
  readonly totalMs: number
  /** Replaying the log from anchor + 1, in milliseconds. */
  readonly replayMs: number
}

/** One replica has another root than the group. */
export interface Divergence {
  /** The position at which the roots were taken. */
  readonly anchor: Position
  /** The PeerId of the replica that has the other root. */
  readonly replica: string
  /** The root that it attested. */
  readonly root: Uint8Array
  /** The root that the group agreed on. */
  readonly sealed: Uint8Array
}

/** The group went over to another version, at one entry of the log. */
export interface GroupUpgrade {
  /** The entry from which on the group speaks it. */
  readonly position: Position
  /** The format of the group's own state. */
  readonly format: number
  /** The machine's signature before. */
  readonly from: string
  /** The machine's signature from here on: the same, if only the format is new. */
  readonly to: string
}

/** The events of a replica, by their types. Each has what happened as its `detail`. */
export type ReplicaEvents = {
  /** The replica went from one state to another. */
  state: CustomEvent<StateChange>
  /** The log names another leader, or the same one for another term. */
  leader: CustomEvent<{ readonly leader: string; readonly term: number }>
  /** Offers and sessions: see `SyncEvent`. */
  sync: CustomEvent<SyncEvent>
  /** The log marks an anchor: every replica captures its state there. */
  marked: CustomEvent<{ readonly anchor: Position }>
  /** A root has the majority of the marker's electorate. */
  sealed: CustomEvent<{ readonly anchor: Position; readonly root: Uint8Array }>
  /** A catch-up is over and the replica in sync. */
  'caught-up': CustomEvent<CatchUpReport>
  /**
   * No root can get the majority any more, so nobody installs that anchor. The attestations do not tell who
   * is wrong.
   */
  disputed: CustomEvent<{ readonly anchor: Position; readonly roots: ReadonlyMap<string, Uint8Array> }>
  /**
   * A replica's root is not the sealed one. Every replica tells of electors, and each of itself, elector or
   * not. The replica that diverged offers nothing, does not lead, answers no reads, and catches up again.
   */
  divergence: CustomEvent<Divergence>
  /**
   * The log's servers cannot be reached, or can be again. Without them a replica reads and serves what it
   * has, does not lead, and applies nothing. It goes on by itself.
   */
  log: CustomEvent<{ readonly connected: boolean }>
  /**
   * The group speaks another version from this position on: of the machine, if `to` is not `from`, or of its
   * own format.
   */
  upgraded: CustomEvent<GroupUpgrade>
  /** This replica, leading, pruned the log up to and including an index. */
  pruned: CustomEvent<{ readonly upTo: number }>
  /** What happened to the checkpoints in this replica's data directory. */
  checkpoint: CustomEvent<CheckpointEvent>
  /** An entry was skipped: a command that does not decode, or a control entry that does nothing. */
  skipped: CustomEvent<{ readonly entry: LogEntry; readonly why: string }>
  /** Something failed that the replica will try again, or does without. */
  problem: CustomEvent<Error>
}

/** Any event of a replica, with what it tells. */
export type ReplicaEvent = {
  [Type in keyof ReplicaEvents]: {
    readonly type: Type
    readonly detail: ReplicaEvents[Type]['detail']
  }
}[keyof ReplicaEvents]

/** What is counted: each kind of event, and in the place of `sync` each kind of sync event. */
export type Counted = Exclude<keyof ReplicaEvents, 'sync'> | SyncEvent['type']
