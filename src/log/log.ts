import type { Message, NewMessage } from '../message.ts'
import type { PresenceStore } from './presence.ts'
import type { SignalOptions } from './signal-options.ts'

export type { SignalOptions }

/**
 * Orders a group's entries: the one thing that Anchorage leaves to others. A backend is small: an ordered log
 * and a presence store. See `memoryLog()`, `sqliteLog()` and `jetstreamLog()`.
 */
export interface LogBackend {
  /**
   * Open the group's log. If there is none, it is made, unless `create` is false. Rejects with `LogMismatch`
   * if it is another group's, or if its group has gone over to a version that is neither `signature` nor among
   * `older`.
   */
  open(init: LogInit): Promise<Log>
}

/** What a log is opened with. */
export interface LogInit {
  /** The group's name. A log is bound to it when it is made. */
  readonly group: string
  /**
   * The state machine's signature: the newest version that it speaks. A log is bound to it when it is made.
   * Without it an existing log is opened whatever its machine. `create` must then be false, because nothing
   * can be made: otherwise opening rejects with a `RangeError`.
   */
  readonly signature?: string
  /** The older versions that the machine speaks too, at most 16. Default: none. */
  readonly older?: readonly string[]
  /**
   * The log is made to begin with a snapshot: see `importInto`. Versions of Anchorage that cannot read such a
   * log then refuse it. A backend may leave this out of account. Default: false.
   */
  readonly snapshot?: boolean
  /**
   * The author of entries that are appended through this handle: a PeerId, or any name for a program that
   * only writes.
   */
  readonly author: string
  /**
   * If false, opening rejects with `LogMissing` when there is no log. Default: true, which makes an empty
   * one.
   */
  readonly create?: boolean
  /** Stops the opening, which then rejects with its reason. It is of no effect later. Default: none. */
  readonly signal?: AbortSignal
  /** Called for a problem that does not stop the log, on opening or later: `ServersOutdated`. */
  readonly onProblem?: (error: Error) => void
}

/** Users' commands, and our control entries. */
export type EntryKind = 'command' | 'control'

/** One committed entry. */
export interface LogEntry {
  /** Counts from 1 without gaps. */
  readonly index: number
  /**
   * The backend's clock at the append, in milliseconds since 1970. It goes back if that clock was set back,
   * or if another clock stamps: see `MachineTime`.
   */
  readonly timestampMs: number
  /** Who appended it: `LogInit.author` of the handle. */
  readonly author: string
  /** Unique in the log. */
  readonly id: string
  /** The incarnation of the log that this entry was meant for. An entry of another epoch is a no-op. */
  readonly epoch: string
  /** Whose entry it is: the users', or ours. */
  readonly kind: EntryKind
  /** May be a view of a larger buffer. */
  readonly payload: Uint8Array
  /**
   * What a command has besides its bytes, where the log is a stream that others write too. The author is then
   * empty. Undefined for every entry of a log that is Anchorage's own.
   */
  readonly message?: Message
}

/** An entry to append. */
export interface NewEntry {
  /** Whose entry it is: the users', or ours. */
  readonly kind: EntryKind
  /** At most `Log.maxEntryBytes` bytes. They must not change until the append has settled. */
  readonly payload: Uint8Array
  /**
   * Where to publish it. A command needs it where the log is a stream that others write too, and must not have it
   * elsewhere: both are a `RangeError`, and nothing of the append is written.
   */
  readonly message?: NewMessage
}

/** Consecutive entries, and the log's newest entry when they were read. */
export interface LogBatch {
  /** Never empty. There is no gap within it, nor to the batch before. */
  readonly entries: readonly LogEntry[]
  /** The log's newest entry when they were read. */
  readonly newest: LogTail
}

/** The log's newest entry. Index and time are 0 if it never had one. */
export interface LogTail {
  /** Its index. */
  readonly index: number
  /** Its timestamp, in milliseconds since 1970 by the backend's clock. */
  readonly timestampMs: number
}

/** Which entries a log has. */
export interface LogBounds {
  /** The incarnation of the log. */
  readonly epoch: string
  /** The oldest entry that can still be read; `newest.index + 1` if none can. */
  readonly first: number
  /** The newest entry, even if it was pruned. */
  readonly newest: LogTail
}

/**
 * The indexes of the first and the last entry of one append. The others are between them, in order. If
 * several handles append at once, entries of other appends may be among them.
 */
export interface Appended {
  /** The index of the first entry. */
  readonly first: number
  /** The index of the last entry. */
  readonly last: number
  /**
   * The id of the first entry, if servers order the log. They may lose entries that they acknowledged and put
   * others in their place.
   */
  readonly firstId?: string
}

/** The last entry that the reader has. Reading begins with the next one. */
export interface Cursor {
  /** The entry's index; 0 to begin with the first entry ever. */
  readonly index: number
  /**
   * The entry's id. If it is given and the log holds another entry there now, reading rejects with
   * `LogRewound`.
   */
  readonly id?: string
}

/** Whether the servers of a log can be reached. */
export interface LogConnection {
  /** True while they can be reached, as far as this handle knows. */
  readonly connected: boolean
  /** Call `listener` at each change, until the returned function is called. */
  onChange(listener: (connected: boolean) => void): () => void
}

/** False while the log's servers cannot be reached. Always true of a log that has none. */
export function isConnected({
  connection,
}: {
  readonly connection?: Pick<LogConnection, 'connected'>
}): boolean {
  return connection?.connected ?? true
}

/**
 * A handle of a log, as `LogBackend.open` gives it. `docs/writing-a-log.md` has the rules for all methods.
 */
export interface Log {
  /** The incarnation that was opened. Once the log is another one, every call rejects with `EpochChanged`. */
  readonly epoch: string
  /** The signature of the machine that the log was made for. It never changes. */
  readonly signature: string
  /**
   * The newest version that a leader noted here, as far as this handle knows. It knows what was noted when it
   * was opened and what it noted itself, and some backends hear of later notes too. Undefined if there is none.
   */
  readonly upgraded: string | undefined
  /** The largest payload an entry may have, in bytes. */
  readonly maxEntryBytes: number
  /**
   * The log is a stream that others write too: a command is a message, with a subject. Default: false.
   */
  readonly hasMessages?: boolean
  /**
   * Whether the log may be pruned through this handle. False where its owner decides how long entries stay: the
   * group then never prunes by itself, and `prune` rejects with `LogRefused`. Default: true.
   */
  readonly prunes?: boolean

  /** Undefined if there is no connection to lose: for a file, or this process's memory. */
  readonly connection?: LogConnection

  /**
   * Append entries in their order. Resolves when all are durable. Rejects with `AppendUncertain` if some may
   * have been committed and some not. After any other error none was: `LogBusy` if the log's lock could not
   * be had, `LogUnavailable` if its servers did not answer, `LogRefused` if they do not allow it,
   * `EntryTooLarge` if an entry exceeds `maxEntryBytes`.
   *
   * Concurrent appends of one handle are ordered as called, unless one has to be repeated. If the order must
   * hold in any case, await one append before the next. The payloads must not change until the append has
   * settled.
   */
  append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended>

  /**
   * Every entry after `cursor`, then each one that is appended, until the signal aborts (the iteration then
   * ends without an error) or the consumer leaves. Rejects with `LogTruncated` if the next entry has been
   * pruned, at the start or later; with `LogRewound` if the log ends before the cursor; and with
   * `EpochChanged`. While the log's servers cannot be reached it waits. Throws `RangeError` for a cursor that
   * is none.
   */
  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch>

  /**
   * Like `follow`, but it ends with the entry that was the newest when the iteration began. It rejects with
   * `LogUnavailable` instead of waiting for servers.
   */
  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch>

  /**
   * Resolves with the oldest and the newest entry that the log has now. Rejects with `EpochChanged`, with
   * `LogUnavailable` if its servers do not answer in time, and with `LogClosed` after `close()`.
   */
  bounds(options?: SignalOptions): Promise<LogBounds>

  /**
   * The wall clock of the servers that stamp the entries, in milliseconds since 1970: who asks is told of a clock that
   * is wrong. Undefined if they do not tell, as NATS servers before 2.10. Rejects like `bounds`. Absent where each process
   * stamps what it appends.
   */
  serverTimeMs?(options?: SignalOptions): Promise<number | undefined>

  /**
   * Make entries up to and including `upTo` unreadable, and free their space in the background. If they are
   * pruned already, nothing happens. Rejects with `RangeError` if `upTo` is beyond the newest entry.
   */
  prune(upTo: number, options?: SignalOptions): Promise<void>

  /**
   * Note that the group went over to another version, so that programs that do not speak it are refused when
   * they open the log. `at` is an entry at which that version was active. A version that is noted already, or
   * a note from further back in the log than the newest, changes nothing. The first note may name the version
   * that the log was made for: version 0.1.0 of this package, which obeys no upgrade, refuses a log with a note.
   * Nothing else may rest on a note: it may be missing or late. Rejects like `prune`, and with `RangeError` for
   * what is no signature or no index.
   */
  noteUpgrade(signature: string, at: number, options?: SignalOptions): Promise<void>

  /** Where the members of the group announce themselves. */
  readonly notices: PresenceStore

  /**
   * End every iteration and release every resource. Pending appends are settled first. It may be called
   * twice.
   */
  close(): Promise<void>
}
