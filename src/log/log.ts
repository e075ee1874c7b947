import type { NoticeBoard } from './notices.ts'

/**
 * What orders a group's entries: the one thing that Anchorage leaves to others. A backend is small: an ordered
 * log and a notice board. See `memoryLog()` and `sqliteLog()`.
 */
export interface LogBackend {
  /** Open the group's log, making it if there is none. Fails with `LogMismatch` if it is another group's. */
  open(init: LogInit): Promise<Log>
}

export interface LogInit {
  /** The group's name. Bound to the log when it is made. */
  readonly group: string
  /** The state machine's signature. Bound to the log when it is made. */
  readonly signature: string
  /** Who appends through this handle: a PeerId, or any name of a program that only writes. */
  readonly author: string
  readonly signal?: AbortSignal
}

/** Users' commands, and our control entries. */
export type EntryKind = 'command' | 'control'

/** One committed entry. */
export interface LogEntry {
  /** Counts from 1 without gaps. */
  readonly index: number
  /** The backend's clock at the append, in milliseconds since 1970; never less than the entry's before it. */
  readonly timestampMs: number
  readonly author: string
  /** Unique in the log. */
  readonly id: string
  /** The incarnation of the log this entry was meant for. One of another epoch is a no-op. */
  readonly epoch: string
  readonly kind: EntryKind
  /** May be a view of a larger buffer. */
  readonly payload: Uint8Array
}

export interface NewEntry {
  readonly kind: EntryKind
  readonly payload: Uint8Array
}

/** Consecutive entries, and how far the log reached when they were read. */
export interface LogBatch {
  /** Never empty, never a gap inside or to the batch before. */
  readonly entries: readonly LogEntry[]
  readonly newest: LogTail
}

/** The log's newest entry. Index 0 and time 0 while it has had none. */
export interface LogTail {
  readonly index: number
  readonly timestampMs: number
}

export interface LogBounds {
  readonly epoch: string
  /** The oldest entry that can still be read; `newest.index + 1` when none can. */
  readonly first: number
  readonly newest: LogTail
}

/** The indexes one append was given: consecutive, in the order of its entries. */
export interface Appended {
  readonly first: number
  readonly last: number
}

/** The last entry the reader has; reading begins with the one after. */
export interface Cursor {
  /** 0 to begin with the first entry ever. */
  readonly index: number
  /** That entry's id. If given and the log now holds another one there, reading fails with `LogRewound`. */
  readonly id?: string
}

export interface SignalOptions {
  readonly signal?: AbortSignal
}

export interface Log {
  /** The incarnation that was opened. Every call fails with `EpochChanged` once the log is another one. */
  readonly epoch: string
  /** The largest payload an entry may have, in bytes. */
  readonly maxEntryBytes: number

  /**
   * Append entries, all or none, as neighbours. Resolves when they are durable. Rejects with `AppendUncertain`
   * when they may or may not have been committed, `LogBusy` when the log's lock was not to be had,
   * `EntryTooLarge` when one exceeds `maxEntryBytes`. Concurrent appends of one handle are ordered as called.
   * The payloads must stay as they are until it has settled.
   */
  append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended>

  /**
   * Everything after `cursor`, then what is appended from then on, until the signal aborts (the iteration then
   * ends without an error) or the consumer leaves. Fails with `LogTruncated` when the next entry has been
   * pruned, at the start or later; with `LogRewound` when the log ends before the cursor; with `EpochChanged`.
   */
  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch>

  /** Like `follow`, but ends with the entry that was the newest when the iteration began. */
  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch>

  bounds(options?: SignalOptions): Promise<LogBounds>

  /**
   * Make entries up to and including `upTo` unreadable, and free their space in the background. Pruning what is
   * already pruned does nothing; `upTo` beyond the newest entry is an error (`RangeError`).
   */
  prune(upTo: number, options?: SignalOptions): Promise<void>

  readonly notices: NoticeBoard

  /** Ends every iteration and releases every resource; pending appends are settled first. May be called twice. */
  close(): Promise<void>
}
