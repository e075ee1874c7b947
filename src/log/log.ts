import type { PresenceStore } from './presence.ts'

/**
 * What orders a group's entries: the one thing that Anchorage leaves to others. A backend is small: an ordered
 * log and a presence store. See `memoryLog()`, `sqliteLog()` and `jetstreamLog()`.
 */
export interface LogBackend {
  /** Open the group's log, making it if there is none and `create` is not false. Fails with `LogMismatch` if it is another group's. */
  open(init: LogInit): Promise<Log>
}

export interface LogInit {
  /** The group's name. Bound to the log when it is made. */
  readonly group: string
  /** The state machine's signature. Bound to the log when it is made. */
  readonly signature: string
  /** Who appends through this handle: a PeerId, or any name of a program that only writes. */
  readonly author: string
  /** False: fail with `LogMissing` where there is no log, rather than make an empty one. Default: true. */
  readonly create?: boolean
  readonly signal?: AbortSignal
  /** Told what is wrong where the log goes on in spite of it, at the open or later: `ServersOutdated`. */
  readonly onProblem?: (error: Error) => void
}

/** Users' commands, and our control entries. */
export type EntryKind = 'command' | 'control'

/** One committed entry. */
export interface LogEntry {
  /** Counts from 1 without gaps. */
  readonly index: number
  /**
   * The backend's clock at the append, in milliseconds since 1970. It goes back where that clock was put back, or another one stamps:
   * see `MachineTime`.
   */
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

/**
 * Where the first and the last entry of one append are, in between the others in their order. Where several append at once, entries
 * of other appends may stand among them.
 */
export interface Appended {
  readonly first: number
  readonly last: number
  /** The first one's id, where servers order the log: they may lose what they acknowledged, and put another in its place. */
  readonly firstId?: string
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

/** Whether the servers that order a log can be reached. */
export interface LogConnection {
  readonly connected: boolean
  /** `listener` is called at each change, until the returned function is. */
  onChange(listener: (connected: boolean) => void): () => void
}

export interface Log {
  /** The incarnation that was opened. Every call fails with `EpochChanged` once the log is another one. */
  readonly epoch: string
  /** The largest payload an entry may have, in bytes. */
  readonly maxEntryBytes: number

  /** Absent where there is nothing to lose: a file, or this process's memory. */
  readonly connection?: LogConnection

  /**
   * Append entries in their order. Resolves when all are durable. Rejects with `AppendUncertain` when some may have been committed
   * and some not. Otherwise none was: `LogBusy` when the log's lock was not to be had, `LogUnavailable` when its servers were not,
   * `LogRefused` when they do not allow it, `EntryTooLarge` when one exceeds `maxEntryBytes`.
   *
   * Concurrent appends of one handle are ordered as called, as long as none had to be repeated; who needs an order whatever happens
   * awaits one before the next. The payloads must stay as they are until it has settled.
   */
  append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended>

  /**
   * Everything after `cursor`, then what is appended from then on, until the signal aborts (the iteration then
   * ends without an error) or the consumer leaves. Fails with `LogTruncated` when the next entry has been
   * pruned, at the start or later; with `LogRewound` when the log ends before the cursor; with `EpochChanged`.
   * While the log's servers cannot be reached it waits. Throws `RangeError` for a cursor that is none.
   */
  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch>

  /**
   * Like `follow`, but ends with the entry that was the newest when the iteration began, and fails with `LogUnavailable`
   * rather than wait for servers.
   */
  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch>

  bounds(options?: SignalOptions): Promise<LogBounds>

  /**
   * Make entries up to and including `upTo` unreadable, and free their space in the background. Pruning what is
   * already pruned does nothing; `upTo` beyond the newest entry is an error (`RangeError`).
   */
  prune(upTo: number, options?: SignalOptions): Promise<void>

  readonly notices: PresenceStore

  /** Ends every iteration and releases every resource; pending appends are settled first. May be called twice. */
  close(): Promise<void>
}
