import { AnchorageError } from '../errors.ts'
import type { Message, NewMessage } from '../message.ts'
import type { Position } from '../position.ts'
import type { Items } from './items.ts'
import type { Run, RunGroup } from './run.ts'

/** What a state machine may know about the entry that it applies. It is the same on every replica. */
export interface CommandContext {
  /** The entry's place in the log. */
  readonly position: Position
  /**
   * Machine time, in whole milliseconds. It is computed from the timestamps of the log's entries alone, and
   * never goes back.
   */
  readonly timeMs: number
  /** The version of the machine that the group speaks at this position: `signature`, or one of `older`. */
  readonly signature: string
  /**
   * The subject and the headers of the message that the command is, where the log is a stream that others write too.
   * Undefined elsewhere.
   */
  readonly message?: Message | undefined
}

/**
 * The state that is replicated. One instance belongs to one replica, which makes every call below, one at a
 * time.
 *
 * `apply` must be deterministic: the same commands in the same order give the same items in the same order on
 * every replica. Otherwise the group reports a divergence. `checkMachine` of `anchorage/testing` looks for that,
 * and for whatever else is said here.
 */
export interface StateMachine<Result = unknown> {
  /**
   * Kind, codec and format versions, of 1 to 1,024 bytes: the newest version that this machine speaks. A group
   * speaks one version at a time. A replica that does not speak it stops with `UpgradeRequired`.
   */
  readonly signature: string

  /**
   * Older versions that it speaks too, at most 16, the newest first. While the group speaks one of them, this
   * machine behaves as that version did: it takes its commands, and captures and installs its items. Default:
   * none.
   */
  readonly older?: readonly string[]

  /**
   * The group goes over from one version to another, between two commands. Change the state where the new
   * version has another form. It must be deterministic, as `apply` is. An error stops this replica. A machine
   * that is `durable` is told to commit right before it, and right after it. Default: the state stays as it is.
   */
  upgrade?(from: string, to: string): void

  /**
   * Apply one committed command, synchronously. `command` may be a view of a larger buffer that is reused or
   * dropped afterwards: copy what you keep. Throw `MalformedCommand` for bytes that are no command: every
   * replica then counts and skips them, and the state must be unchanged. Any other error stops this replica.
   * Return a `Refusal` for a command that cannot be obeyed, where that is so on every replica alike.
   */
  apply(command: Uint8Array, context: CommandContext): Result

  /**
   * The state as it is now, frozen. The call comes between two commands, so it must be quick (O(1) where the
   * data structure allows). Commands are applied while the snapshot is read.
   * @param signature the version whose items these are to be: the one that the group speaks
   */
  capture(signature: string): Snapshot

  /**
   * Begin to replace the state with a snapshot's items. Commands may still be applied to the old state until
   * `commit`.
   * @param signature the version whose items these are: one that this machine speaks
   */
  install(signature: string): Installation

  /**
   * The state was replaced: by a snapshot from other replicas or from this one's disk, or, of a machine that is
   * `durable`, by what was on the disk when the process began. For a machine that keeps something beside the items,
   * such as an index: here it is made anew, in slices with an `await` between them. Until it resolves, the replica
   * applies no command, is not in sync, and answers no reads (`NotReadable`). `advance` and `capture` may be called
   * before and meanwhile. The group keeps the log for this replica for 1.5 times the offers' TTL: be done by then. An
   * error stops this replica. Default: nothing is to be done.
   * @param signal aborts when the replica stops
   */
  readonly afterInstall?: ((signal: AbortSignal) => Promise<void>) | undefined

  /**
   * Machine time has moved on. The call comes with or without a command, and before the command of the entry
   * that moved time. A machine in which something dies with time needs it: whatever has died by `timeMs` must
   * be absent from every read, command and capture.
   */
  advance?(timeMs: number): void

  /**
   * The machine time at which something dies next, or an earlier time; undefined if nothing will. If no
   * writes come, the leader appends an entry then, which moves machine time.
   */
  readonly dueMs?: number | undefined

  /**
   * Called once, when a replica takes the machine over. For machines that write, or that guard their reads.
   */
  attach?(host: MachineHost<Result>): void

  /**
   * Answer a question about the state, for programs that have no copy of it: other processes, and the command line.
   * It changes nothing and is synchronous; everything that was committed before it was asked is in the state. The
   * command line asks and prints UTF-8. Undefined: there is no such thing. Throw `MalformedQuestion` for bytes that
   * are no question. The answer must not change afterwards, and has at most 48 MiB.
   */
  query?(question: Uint8Array): Uint8Array | undefined

  /** Only a machine has it that keeps its state on the disk by itself. */
  readonly durable?: DurableState

  /** Only a machine has it whose commands can be undone. `compose` needs it, to apply several as one. */
  readonly transaction?: Transaction | undefined
}

/**
 * Makes several commands of a machine one: all of them are applied, or none. No transaction begins in another
 * one of the same machine. All calls come in one turn of the event loop, and the machine has advanced to the
 * time of the commands before.
 */
export interface Transaction {
  /**
   * From here on, tell no events, and remember how to undo what commands change. An installation may be
   * committed too, which is not undone.
   */
  begin(): void
  /** Keep what was done since `begin`, and tell the events of it. */
  commit(): void
  /** Undo all commands since `begin`, and tell nothing of them. */
  rollback(): void
}

/** The bytes of a command, as its type knows what `apply` returns for it. */
export type Command<Result = unknown> = Uint8Array & { readonly [RESULT]?: Result }
declare const RESULT: unique symbol

/**
 * A state that is on the disk, and stays there between two lives of the process. The replica has the machine
 * keep a note with it: which place of which log the state is of. So a restart goes on from there, without a
 * checkpoint and without other replicas.
 */
export interface DurableState {
  /** The note that was committed last; undefined while the state is empty, or of no known place. */
  readonly note: Uint8Array | undefined
  /**
   * Make all that was applied since the last commit durable together with a note, all or nothing. It comes often,
   * between two commands, so it need not wait for the disk: after a loss of power an older commit may be the
   * newest. Undefined: the state is of no place any more, and the next life begins with an empty one.
   * `flush`: return when the commit survives a loss of power.
   */
  commit(note: Uint8Array | undefined, options?: { readonly flush?: boolean }): void
  /** Begin with an empty state, in the place of one that is of another log. Called before anything else. */
  discard(): void
}

/** An immutable, ordered state at one position. */
export interface Snapshot {
  /** The number of items; undefined where counting them takes long. */
  readonly size: number | undefined
  /**
   * The items in the machine's one canonical order, as the bytes that `Installation.add` takes. They are read
   * once, in slices, while later commands are applied. A yielded item must stay valid only until the next one
   * is asked for.
   */
  items(): Iterable<Uint8Array>
  /**
   * The same items in the same order, as they stand in memory, for machines that keep them packed. Where it is
   * there, it is read instead of `items`, once. What was read is kept, and read again: it must never change,
   * not even after `release`. Many runs may come in groups.
   */
  runs?(): Iterable<Run | RunGroup>
  /**
   * For a state that may be larger than memory. What is cut of it is not kept but read again, until `release`,
   * from these places. Such reads may go on side by side, and beside that of `items`.
   */
  readonly places?: Places
  /** Called once, after the last read. */
  release(): void
}

/** Where items of a snapshot are. */
export interface Places {
  /** A short name for the place of an item that was just read; a copy. */
  of(item: Uint8Array): Uint8Array
  /** The items from a place on, as `Snapshot.items` gives them. */
  from(place: Uint8Array): Iterable<Uint8Array>
}

/**
 * A new state, built beside the current one. If it is never committed, it is dropped, without a call where
 * `abandon` is not there.
 */
export interface Installation {
  /** The next items, in order. Throw for bytes that are no item. */
  add(items: Items): void
  /** Every item was added. Do here what takes long, and is to be done before `commit`. */
  finish?(): Promise<void>
  /**
   * Replace the current state, at once: a reader sees either the old state or the new one.
   * @param note for a machine that is `durable`: it is committed with the new state
   */
  commit(note?: Uint8Array): void
  /** It will not be committed. It may be called more than once, and after `commit`, where it does nothing. */
  abandon?(): void
}

/** What a replica gives to the machine that it took over. */
export interface MachineHost<Result> {
  /** As `Replica.submit`. */
  readonly submit: Submit<Result>
  /**
   * Throws while there is no state to read: the log's beginning was pruned, and no snapshot is installed yet.
   */
  assertReadable(): void
}

/** Where a write ended up. */
export interface Written<Result> {
  /** The place of the entry that was applied. */
  readonly position: Position
  /**
   * What `apply` returned here; undefined if an installed snapshot covered the write before it was applied, and
   * if the write was repeated.
   */
  readonly result: Result | undefined
  /**
   * True if a write with the same `key` was applied before. Then this one was not, and `position` is that of the
   * other one. Its result is not known any more: read the state. Default: false.
   */
  readonly repeated?: boolean
}

/** Appends one command; resolves when it is applied on this replica. */
export type Submit<Result> = (command: Uint8Array, options?: SubmitOptions) => Promise<Written<Result>>

/** Options of a write, the same for `Replica.submit` and for the methods of the ready-made machines. */
export interface SubmitOptions {
  /**
   * Stops waiting: the write rejects with the signal's reason, with `NotInTime` if that is a timeout, or with
   * `AppendUncertain` if the entry is on its way to the log. An entry that was already appended stays in the log and
   * will be applied. Default: none.
   */
  readonly signal?: AbortSignal
  /**
   * A name of this write, of 1 to 256 bytes: of several writes with the same one, in the whole group, the first is
   * applied and the others are not. So a write may be repeated after `AppendUncertain`. The group remembers the
   * newest 2,048 keys. A write that was refused is not remembered: it changed nothing. Default: none.
   */
  readonly key?: string | Uint8Array
  /**
   * Apply this write only if no command was applied after that position, such as `replica.position` when the state
   * was read, or `Written.position`. Otherwise it rejects with `Conflict`. Default: no condition.
   */
  readonly expect?: Position
  /**
   * Where to publish the command, if the log is a stream that others write too. It is needed there, and a
   * `RangeError` elsewhere. Such a write has no `key` and no `expect`: other readers of the stream would not heed
   * them.
   */
  readonly subject?: string
  /** Headers of the message that is published on `subject`. Default: none. */
  readonly headers?: NewMessage['headers']
}

/** Bytes that this machine does not understand as a command. */
export class MalformedCommand extends AnchorageError {
  static override readonly code = 'MALFORMED_COMMAND'
  override readonly name = 'MalformedCommand'
}

/** Bytes that this machine does not understand as a question. The message says what it can be asked. */
export class MalformedQuestion extends AnchorageError {
  static override readonly code = 'MALFORMED_QUESTION'
  override readonly name = 'MalformedQuestion'
}
