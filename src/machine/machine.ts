import type { Position } from '../position.ts'
import type { Items } from './items.ts'

/** What a state machine may know of the entry it applies. The same on every replica. */
export interface CommandContext {
  readonly position: Position
  /** Machine time, in whole milliseconds: it follows from the timestamps of the log's entries alone, and never goes back. */
  readonly timeMs: number
}

/**
 * What is replicated. One instance belongs to one replica, which makes every call below, never two at a time.
 *
 * `apply` must be deterministic: the same commands in the same order give the same items in the same order
 * on every replica, or the group reports a divergence.
 */
export interface StateMachine<Result = unknown> {
  /** Kind, codec and format versions. Replicas whose signatures differ refuse each other. */
  readonly signature: string

  /**
   * Apply one committed command, synchronously. `command` may be a view of a larger buffer that is reused
   * or dropped afterwards: copy what is kept. Throw `MalformedCommand` for bytes that are no command (every
   * replica counts and skips them, leaving the state untouched); anything else thrown stops this replica.
   */
  apply(command: Uint8Array, context: CommandContext): Result

  /**
   * The state as it is now, frozen. Called between two commands, so it must be quick (O(1) where the data
   * structure allows); commands go on being applied while the snapshot is read.
   */
  capture(): Snapshot

  /** Begin to replace the state by a snapshot's items. Commands may be applied to the old state until `commit`. */
  install(): Installation

  /**
   * Machine time moved on; called with or without a command, and before the command of the entry that moved it is applied.
   * For machines in which something dies with time: what has died by then must be gone for every read, every command
   * and every capture.
   */
  advance?(timeMs: number): void

  /**
   * The machine time at which something dies next, or an earlier one; undefined if nothing does. If nobody writes, the leader
   * then appends an entry that moves machine time.
   */
  readonly dueMs?: number | undefined

  /** Called once, when a replica takes the machine over. For machines that write, or that guard their reads. */
  attach?(host: MachineHost<Result>): void
}

/** An immutable, ordered state at one position. */
export interface Snapshot {
  /** The number of items. */
  readonly size: number
  /**
   * The items in the machine's one canonical order, as the bytes `Installation.add` takes. Read once, in
   * slices, after later commands were applied. A yielded item need only stay valid until the next is asked for.
   */
  items(): Iterable<Uint8Array>
  /** Called once, when nobody reads it any more. */
  release(): void
}

/** A state being built beside the current one. Dropped without a call if it is never committed. */
export interface Installation {
  /** The next items, in order. Throw for what is not an item. */
  add(items: Items): void
  /** Replace the current state, at once: readers see the old one or the new one. */
  commit(): void
}

/** What a machine gets of the replica that took it over. */
export interface MachineHost<Result> {
  readonly submit: Submit<Result>
  /** Throws while there is no state to read: the log's beginning was pruned, and no snapshot is installed yet. */
  assertReadable(): void
}

/** Where a write ended up. */
export interface Written<Result> {
  readonly position: Position
  /** What `apply` returned here; undefined if an installed snapshot covered the write before it was applied. */
  readonly result: Result | undefined
}

/** Appends one command; resolves when it is applied on this replica. */
export type Submit<Result> = (command: Uint8Array, options?: SubmitOptions) => Promise<Written<Result>>

export interface SubmitOptions {
  /** Stops waiting. An entry that was already appended stays in the log and will be applied. */
  readonly signal?: AbortSignal
}

/** Bytes that this machine does not understand as a command. */
export class MalformedCommand extends Error {
  override readonly name = 'MalformedCommand'
}
