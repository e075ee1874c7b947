import { resolve } from 'node:path'
import { checkMs } from '../bounds.ts'
import { AppendQueue } from './append-queue.ts'
import { AppendUncertain, LogClosed, LogDamaged } from './errors.ts'
import {
  checkAppend,
  checkCursor,
  checkEntryBytes,
  checkInit,
  checkPresence,
  checkUpgrade,
  ENTRY_BYTES_DEFAULT,
} from './limits.ts'
import type {
  Appended,
  Cursor,
  Log,
  LogBackend,
  LogBatch,
  LogBounds,
  LogInit,
  NewEntry,
  SignalOptions,
} from './log.ts'
import type { Presence, PresenceStore } from './presence.ts'
import { type PackedBatch, packAppend, unpackBatch } from './sqlite/pack.ts'
import type { Opened, ReaderRequest, ThreadInit, WriterRequest } from './sqlite/protocol.ts'
import { Thread, ThreadEnded } from './sqlite/thread.ts'

/** Options of `sqliteLog`. */
export interface SqliteLogOptions {
  /** The log's file. Its folder must exist. The first handle to open the file makes it. */
  readonly path: string
  /**
   * How long a write waits for the file's lock before it rejects with `LogBusy`, in milliseconds from 0.
   * Default: 5,000.
   */
  readonly lockTimeoutMs?: number
  /**
   * How often the file is checked if no change of it is reported, in milliseconds from 1. A deleted file is
   * noticed that late. Default: 250.
   */
  readonly pollMs?: number
  /**
   * The largest payload of an entry, and the largest presence, in bytes: 4 KiB to 31 MiB. Default: 16 MiB.
   */
  readonly maxEntryBytes?: number
  /** If false, opening rejects with `LogMissing` when there is no file. Default: true, which makes it. */
  readonly create?: boolean
}

/**
 * A log in one SQLite file, shared by any number of processes of one machine. Each handle works in a thread
 * of its own, so neither a lock nor a slow disk holds up its process.
 *
 * The files `-wal` and `-shm` beside it belong to it. To restore a backup, stop the processes that use the
 * log, and remove these two files.
 *
 * A damaged file makes calls reject with `LogDamaged`, other trouble with the file or its disk with
 * `LogUnusable`. Without write permission a log can still be opened and followed. Throws `RangeError` for an
 * impossible option.
 */
export function sqliteLog(options: SqliteLogOptions): LogBackend {
  const { path, lockTimeoutMs = LOCK_TIMEOUT_MS, pollMs = POLL_MS, maxEntryBytes } = options
  if (typeof path !== 'string' || path === '')
    throw new RangeError('path is not given; give the path of a file')
  checkMs('lockTimeoutMs', lockTimeoutMs, 0)
  checkMs('pollMs', pollMs, 1)
  checkEntryBytes(maxEntryBytes)
  return { open: (init) => SqliteLog.open(options, init) }
}

/** How long a write waits for the file's lock by default, in milliseconds. */
const LOCK_TIMEOUT_MS = 5_000
/**
 * How often the file is checked by default, in milliseconds: watches miss a file that is deleted or replaced.
 */
const POLL_MS = 250
/**
 * The writer begins to insert when so many entries of a transaction have gathered. A message to it costs as
 * much as some 20 entries.
 */
const PART_ENTRIES = 256

class SqliteLog implements Log {
  readonly epoch: string
  readonly signature: string
  readonly maxEntryBytes: number
  readonly notices: PresenceStore
  readonly #init: ThreadInit
  readonly #appends = new AppendQueue(
    (entries, isMoreToCome) => this.#commit(entries, isMoreToCome),
    PART_ENTRIES,
  )
  readonly #closing = new AbortController()
  #thread: Thread
  #upgraded: string | undefined
  #closed: Promise<void> | undefined
  /** Set once a call found the file damaged. Entries that are appended to it may be lost with it. */
  #damage: LogDamaged | undefined

  static async open(options: SqliteLogOptions, init: LogInit): Promise<Log> {
    init.signal?.throwIfAborted()
    const create = options.create !== false && init.create !== false
    checkInit(init, create)
    const { lockTimeoutMs = LOCK_TIMEOUT_MS, pollMs = POLL_MS, maxEntryBytes = ENTRY_BYTES_DEFAULT } = options
    const path = resolve(options.path)
    const { group, signature, older, snapshot, author, signal } = init
    const threadInit = { path, lockTimeoutMs, pollMs, author }
    const thread = new Thread(threadInit)
    try {
      const opening = {
        ...{ group, author, create },
        ...(signature && { signature }),
        ...(older && { older }),
        ...(snapshot && { snapshot }),
      }
      const opened = await thread.call<Opened>({ type: 'open', init: opening }, { signal })
      return new SqliteLog(opened, { ...threadInit, epoch: opened.epoch }, maxEntryBytes, thread)
    } catch (error) {
      await thread.close()
      throw error
    }
  }

  private constructor(
    { epoch, signature, upgraded }: Opened,
    init: ThreadInit,
    maxEntryBytes: number,
    thread: Thread,
  ) {
    this.epoch = epoch
    this.signature = signature
    this.#upgraded = upgraded
    this.maxEntryBytes = maxEntryBytes
    this.#init = init
    this.#thread = thread
    this.notices = new SqlitePresenceStore(this)
  }

  /** It is not `async`, which would cost each append two more promises. */
  append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended> {
    try {
      this.#assertOpen(options)
      this.#assertSound()
      checkAppend(entries, this.maxEntryBytes)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#appends.append(entries, options)
  }

  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#entries({ type: 'entries', cursor: copyOf(cursor), follow: true }, options)
  }

  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#entries({ type: 'entries', cursor: copyOf(cursor), follow: false }, options)
  }

  async bounds(options?: SignalOptions): Promise<LogBounds> {
    return this.ask({ type: 'bounds' }, options)
  }

  async prune(upTo: number, options?: SignalOptions): Promise<void> {
    this.#assertSound()
    await this.write({ type: 'prune', upTo }, options)
  }

  get upgraded(): string | undefined {
    return this.#upgraded
  }

  async noteUpgrade(signature: string, at: number, options?: SignalOptions): Promise<void> {
    checkUpgrade({ signature, at })
    this.#assertSound()
    await this.write({ type: 'noteUpgrade', upgrade: { signature, at } }, options)
    this.#upgraded = await this.ask({ type: 'upgraded' }, options)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    this.#appends.handOverAll()
    await this.#thread.close()
  }

  async ask<Value>(request: ReaderRequest, options?: SignalOptions): Promise<Value> {
    this.#assertOpen(options)
    return await this.#watched(() => this.#serving().call<Value>(request, options))
  }

  async write(request: WriterRequest, options?: SignalOptions): Promise<void> {
    this.#assertOpen(options)
    await this.#watched(() => this.#serving().call(request, options))
  }

  async *stream<Item>(
    request: ReaderRequest,
    receive: (item: unknown) => Item,
    { signal }: SignalOptions = {},
  ): AsyncGenerator<Item> {
    this.#assertOpen()
    const closing = this.#closing.signal
    try {
      yield* this.#serving().stream(request, receive, signal ? AbortSignal.any([signal, closing]) : closing)
    } catch (error) {
      this.#note(error)
      throw error
    }
  }

  #entries(request: ReaderRequest, options?: SignalOptions): AsyncIterable<LogBatch> {
    return this.stream(request, (item) => unpackBatch(item as PackedBatch, this.epoch), options)
  }

  async #commit(newEntries: readonly NewEntry[], isMoreToCome: boolean): Promise<Appended> {
    const entries = packAppend(newEntries)
    const transfer = [entries.columns.buffer, entries.payload.buffer]
    const request = { type: 'append', entries, isMoreToCome } as const
    try {
      return await this.#watched(() => this.#serving().call<Appended>(request, {}, transfer))
    } catch (error) {
      throw error instanceof ThreadEnded ? new AppendUncertain(error.message, { cause: error }) : error
    }
  }

  /** The thread; another one if it has ended. */
  #serving(): Thread {
    if (!this.#thread.isAlive) this.#thread = new Thread(this.#init)
    return this.#thread
  }

  async #watched<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#note(error)
      throw error
    }
  }

  #note(error: unknown): void {
    if (error instanceof LogDamaged) this.#damage ??= error
  }

  #assertSound(): void {
    if (this.#damage !== undefined) throw this.#damage
  }

  #assertOpen({ signal }: SignalOptions = {}): void {
    signal?.throwIfAborted()
    if (this.#closing.signal.aborted) throw new LogClosed()
  }
}

/** For the thread: an entry may be a cursor, and its id is no property of its own. */
function copyOf({ index, id }: Cursor): Cursor {
  return id === undefined ? { index } : { index, id }
}

class SqlitePresenceStore implements PresenceStore {
  readonly #log: SqliteLog

  constructor(log: SqliteLog) {
    this.#log = log
  }

  async announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void> {
    checkPresence(member, data, ttlMs, this.#log.maxEntryBytes)
    await this.#log.write({ type: 'announce', member, data, ttlMs }, options)
  }

  async withdraw(member: string, options?: SignalOptions): Promise<void> {
    await this.#log.write({ type: 'withdraw', member }, options)
  }

  async read(options?: SignalOptions): Promise<Presence[]> {
    return this.#log.ask({ type: 'notices' }, options)
  }

  watch(options?: SignalOptions): AsyncIterable<Presence[]> {
    return this.#log.stream({ type: 'board' }, (item) => item as Presence[], options)
  }
}
