import type { Committed } from '../append-queue.ts'
import type { LogBounds, LogConnection, LogEntry } from '../log.ts'

/**
 * Where a log of one's own is kept: a directory, a database, a service. `storedLog` makes a backend of it. It
 * does what is the same for every log that is asked for news: it checks what callers give, reads in bounded
 * batches, tells what was pruned, put back or made anew, gathers concurrent appends into one, keeps versions and
 * presences as records, and closes.
 */
export interface LogStorage {
  /** Its name for people, in errors. Never with a password. */
  readonly place: string
  /** The log that is here, for one more handle; undefined if there is none. */
  find(): Promise<LogStore | undefined>
  /**
   * Make an empty log with this epoch, which was never used before, and this head. If another process has made
   * one meanwhile, that one stays, and nothing happens.
   */
  make(epoch: string, head: string): Promise<void>
}

/** An entry that has no place in the log yet: the store gives it the index and the timestamp. */
export type UnplacedEntry = Omit<LogEntry, 'index' | 'timestampMs' | 'message'>

/** A small text under a name. */
export interface LogRecord {
  /** The name that it was put under. */
  readonly name: string
  /** The text that was put last. */
  readonly text: string
  /** How long ago it was put, in milliseconds, by one clock for all who read it. */
  readonly ageMs: number
}

/** One life of a log, as one handle has it. Other handles, of other processes too, use it at the same time. */
export interface LogStore {
  /** The incarnation that was found. */
  readonly epoch: string
  /** The text that it was made with. */
  readonly head: string
  /**
   * Whether the servers of the store can be reached, if it has any. While they cannot, every call rejects with
   * `LogUnavailable` after a while, and readers wait. Default: it has none.
   */
  readonly connection?: LogConnection
  /** The bounds of the log that is here now: of this epoch, or of another. Undefined if there is none. */
  bounds(): Promise<LogBounds | undefined>
  /**
   * Entries from `from` on, in order and without gaps: at least one if the log has entry `from`, and none
   * otherwise. As many as is convenient, of some megabytes at most: a reader holds them in memory.
   */
  read(from: number): Promise<readonly LogEntry[]>
  /**
   * Write entries behind the newest one, all or none. Resolves with the index of the first when they are
   * durable. It is not called again before it has settled, but other processes append too. Rejects with
   * `AppendUncertain` if the entries may be there, and with any other error if they are certainly not. It must
   * never write to a log of another epoch.
   */
  append(entries: readonly UnplacedEntry[]): Promise<Committed>
  /** Make entries up to this one unreadable, for good. There is one at least. */
  prune(upTo: number): Promise<void>
  /**
   * Keep a record, in the place of one that has its name. A name has up to 80 letters, digits and `-`. A text
   * is as large as an entry may be, and a third more.
   */
  put(name: string, text: string): Promise<void>
  /** Remove a record. If there is none, nothing happens. */
  remove(name: string): Promise<void>
  /** Resolves with all records that are there, in any order. */
  records(): Promise<readonly LogRecord[]>
  /**
   * Call `listener` when something may have changed, until the returned function is called. Readers look
   * every `pollMs` anyway. Default: they only do that.
   */
  onChange?(listener: () => void): () => void
  /** Release what the handle holds. It is called once, when nothing is under way. Default: nothing. */
  close?(): Promise<void>
}
