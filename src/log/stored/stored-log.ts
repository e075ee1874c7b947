import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { AnchorageError } from '../../errors.ts'
import { type Clock, sleep } from '../../time/clock.ts'
import { AppendQueue, type Committed } from '../append-queue.ts'
import type { Binding } from '../binding.ts'
import { EpochChanged, LogClosed, type LogErrorOptions, LogRewound, LogTruncated } from '../errors.ts'
import { checkAppend, checkCursor, checkPrune, checkUpgrade } from '../limits.ts'
import type {
  Appended,
  Cursor,
  Log,
  LogBatch,
  LogBounds,
  LogConnection,
  LogEntry,
  NewEntry,
  SignalOptions,
} from '../log.ts'
import { Notifier } from '../notifier.ts'
import { any } from '../pause.ts'
import { batchesOf } from './batches.ts'
import { unlessUnavailable } from './patience.ts'
import { StoredPresences } from './presences.ts'
import type { LogStore } from './storage.ts'
import { noted } from './versions.ts'

/**
 * How long a log must be missing before it counts as deleted, in milliseconds. An operator who puts back a copy
 * moves the log away first.
 */
const GONE_CONFIRM_MS = 1_000
const GONE_POLL_INTERVAL_MS = 50
/** How often entries are looked for that the bounds promise: a prune may come between. */
const READS_MAX = 3

export interface StoredLogInit {
  readonly store: LogStore
  readonly binding: Binding
  readonly author: string
  readonly place: string
  readonly pollMs: number
  readonly maxEntryBytes: number
  readonly clock: Clock
}

/** A log over a store that is asked for news. */
export class StoredLog implements Log {
  readonly epoch: string
  readonly signature: string
  readonly maxEntryBytes: number
  readonly notices: StoredPresences
  readonly #store: LogStore
  readonly #where: LogErrorOptions
  readonly #pollMs: number
  readonly #clock: Clock
  readonly #queue: AppendQueue
  readonly #closing = new AbortController()
  /** What is under way: the store is closed after it. */
  readonly #calls = new Set<Promise<unknown>>()
  /** No other handle's ids begin with it. */
  readonly #idPrefix = `${randomUUID()}-`
  readonly #author: string
  #count = 0
  #binding: Binding
  #closed: Promise<void> | undefined

  constructor({ store, binding, author, place, pollMs, maxEntryBytes, clock }: StoredLogInit) {
    this.epoch = store.epoch
    this.signature = binding.signature
    this.maxEntryBytes = maxEntryBytes
    this.notices = new StoredPresences(this, place)
    this.#store = store
    this.#author = author
    this.#binding = binding
    this.#where = { place }
    this.#pollMs = pollMs
    this.#clock = clock
    this.#queue = new AppendQueue((entries) => this.#commit(entries))
    // Each iteration listens.
    setMaxListeners(0, this.#closing.signal)
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  get connection(): LogConnection | undefined {
    return this.#store.connection
  }

  get upgraded(): string | undefined {
    return this.#binding.upgraded
  }

  async append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended> {
    return await this.#call(async () => {
      options?.signal?.throwIfAborted()
      checkAppend(entries, this.maxEntryBytes, this.#where)
      return await this.#queue.append(entries, options)
    })
  }

  async #commit(entries: readonly NewEntry[]): Promise<Committed> {
    await this.#bounds()
    const stamped = entries.map(({ kind, payload }) => {
      const id = `${this.#idPrefix}${(++this.#count).toString(36)}`
      return { author: this.#author, id, epoch: this.epoch, kind, payload }
    })
    return await this.#ask((store) => store.append(stamped))
  }

  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, options)
  }

  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, options, ({ newest }) => newest.index)
  }

  async *#batches(
    cursor: Cursor,
    options: SignalOptions | undefined,
    untilOf?: (bounds: LogBounds) => number,
  ): AsyncGenerator<LogBatch> {
    let last = cursor
    let until: number | undefined
    for await (const notifier of this.looks(options)) {
      if (this.isClosed) return
      const isFirst = until === undefined
      const next = this.#call(() => this.#after(last, isFirst))
      // Who follows waits for servers.
      const found = await (untilOf === undefined ? unlessUnavailable(next) : next)
      if (options?.signal?.aborted) return
      if (found === undefined) continue
      const { bounds, entries } = found
      until ??= untilOf?.(bounds) ?? Infinity
      const wanted = until
      for (const batch of batchesOf(
        entries.filter(({ index }) => index <= wanted),
        bounds.newest,
      )) {
        yield batch
        last = batch.entries.at(-1)!
      }
      if (last.index >= until) return
      if (entries.length > 0) notifier.notify()
    }
  }

  /** What comes next. The entry at the cursor is read too, unless nothing is new: it may be another by now. */
  async #after(last: Cursor, isFirst: boolean): Promise<{ bounds: LogBounds; entries: readonly LogEntry[] }> {
    const next = last.index + 1
    for (let reads = 1; ; reads++) {
      const bounds = await this.#bounds()
      const { first, newest } = bounds
      if (newest.index < last.index) throw new LogRewound(last.index, newest.index, this.#where)
      if (next < first) throw new LogTruncated(next, first, this.#where)
      const isNew = newest.index >= next
      const isChecked = (isNew || isFirst) && last.id !== undefined && last.index >= first
      const before = isChecked ? await this.#entriesFrom(last.index) : undefined
      if (before !== undefined && before[0]?.id !== last.id && before.length > 0)
        throw new LogRewound(last.index, newest.index, this.#where)
      if (!isNew) return { bounds, entries: [] }
      const entries =
        before !== undefined && before.length > 1 ? before.slice(1) : await this.#entriesFrom(next)
      if (entries.length > 0) return { bounds, entries }
      if (reads === READS_MAX) throw new LogTruncated(next, newest.index + 1, this.#where)
    }
  }

  /** None if the first one is missing: it was pruned meanwhile, or the log is damaged. */
  async #entriesFrom(index: number): Promise<readonly LogEntry[]> {
    const entries = await this.#ask((store) => store.read(index))
    return entries[0]?.index === index ? entries : []
  }

  async bounds(options?: SignalOptions): Promise<LogBounds> {
    return await this.#call(async () => {
      options?.signal?.throwIfAborted()
      return await this.#bounds()
    })
  }

  async prune(upTo: number, options?: SignalOptions): Promise<void> {
    const { first, newest } = await this.bounds(options)
    checkPrune(upTo, newest.index)
    if (upTo >= first) await this.use((store) => store.prune(upTo))
  }

  async noteUpgrade(signature: string, at: number, options?: SignalOptions): Promise<void> {
    await this.use(async (store) => {
      checkUpgrade({ signature, at })
      this.#binding = await noted(store, { signature, at })
    }, options)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled(this.#calls)
    await this.#store.close?.()
  }

  /** Do something with the store of this incarnation. */
  async use<T>(work: (store: LogStore) => Promise<T>, options?: SignalOptions): Promise<T> {
    return await this.#call(async () => {
      options?.signal?.throwIfAborted()
      await this.#bounds()
      return await this.#ask(work)
    })
  }

  /** At once, and again whenever there may be news, until the signal aborts or the log closes. */
  async *looks({ signal }: SignalOptions = {}): AsyncGenerator<Notifier> {
    if (signal?.aborted) return
    if (this.isClosed) throw new LogClosed()
    const ends = any(signal, this.#closing.signal)
    const notifier = new Notifier()
    const off = this.#listen(notifier.notify)
    // The consumer may be busy, or never come back.
    const end = () => {
      off()
      notifier.notify()
    }
    ends.addEventListener('abort', end, { once: true })
    try {
      while (!ends.aborted) {
        yield notifier
        const timer = this.#clock.schedule(this.#pollMs, notifier.notify)
        await notifier.wait()
        timer.cancel()
      }
    } finally {
      ends.removeEventListener('abort', end)
      if (!ends.aborted) off()
    }
  }

  /** A store that cannot be listened to may be gone: what is asked next tells. */
  #listen(listener: () => void): () => void {
    const off = this.#store.connection?.onChange(listener)
    try {
      const stop = this.#store.onChange?.(listener)
      return () => {
        off?.()
        stop?.()
      }
    } catch {
      return () => off?.()
    }
  }

  /** The bounds of this incarnation. */
  async #bounds(): Promise<LogBounds> {
    for (let waitedMs = 0; ; waitedMs += GONE_POLL_INTERVAL_MS) {
      const bounds = await this.#store.bounds()
      if (bounds?.epoch === this.epoch) return bounds
      if (bounds !== undefined || waitedMs >= GONE_CONFIRM_MS)
        throw new EpochChanged(this.epoch, bounds?.epoch, this.#where)
      await sleep(this.#clock, GONE_POLL_INTERVAL_MS)
    }
  }

  /** An error of the store is less worth knowing than that the log is another one by now. */
  async #ask<T>(work: (store: LogStore) => Promise<T>): Promise<T> {
    try {
      return await work(this.#store)
    } catch (error) {
      if (!(error instanceof AnchorageError)) await this.#bounds()
      throw error
    }
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    if (this.isClosed) throw new LogClosed()
    const call = work()
    this.#calls.add(call)
    try {
      return await call
    } finally {
      this.#calls.delete(call)
    }
  }
}
