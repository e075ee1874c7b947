import { randomUUID } from 'node:crypto'
import { checkText, EPOCH_BYTES_MAX } from '../bounds.ts'
import type { Message, NewMessage } from '../message.ts'
import { systemClock } from '../time/clock.ts'
import { Binding } from './binding.ts'
import { EpochChanged, LogClosed, LogMissing, LogRewound, LogTruncated } from './errors.ts'
import {
  BATCH_BYTES_MAX,
  BATCH_ENTRIES_MAX,
  checkAppend,
  checkCursor,
  checkEntryBytes,
  checkInit,
  checkPresence,
  checkPrune,
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
  LogEntry,
  LogInit,
  LogTail,
  NewEntry,
  SignalOptions,
} from './log.ts'
import { Notifier } from './notifier.ts'
import type { Presence, PresenceStore } from './presence.ts'

/** Options of `memoryLog`. */
export interface MemoryLogOptions {
  /** The backend's clock, in whole milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number
  /** The first incarnation's name, of 1 to 64 bytes. Default: a random UUID. */
  readonly epoch?: string
  /**
   * The largest payload of an entry, and the largest presence, in bytes: 4 KiB to 31 MiB. Default: 16 MiB.
   */
  readonly maxEntryBytes?: number
  /**
   * The log is a stream that others write too, as `jetstreamLog` follows with `control`: commands have subjects, and
   * `publish` writes as others do. Default: false.
   */
  readonly messages?: boolean
}

/** A log that lives as long as this value. It can also suffer the accidents of a log on a disk. */
export interface MemoryLog extends LogBackend {
  /**
   * Delete the log and make it again, empty. Open handles then reject with `EpochChanged`. Default epoch: a
   * random UUID.
   */
  recreate(epoch?: string): void
  /**
   * Put the log back to the state in which `index` was its newest entry. Readers that got further reject with
   * `LogRewound`. Throws `RangeError` for an index that was pruned or never existed.
   */
  rewind(index: number): void
  /**
   * Write a message as another program does, if the log was made with `messages`. Returns its index. Otherwise it
   * throws a `RangeError`.
   */
  publish(message: NewMessage, payload: Uint8Array): number
}

/**
 * A log in this process's memory, for tests and simulation. All handles that are opened from one value share
 * its entries and its presences. It has no timers, and no randomness except for the default epoch.
 */
export function memoryLog(options: MemoryLogOptions = {}): MemoryLog {
  return new SharedLog(options)
}

/** One life of the log, from its making to its deletion. */
class Incarnation {
  readonly epoch: string
  /** The newest pruned entry. Indexes and timestamps go on from it. */
  base: LogTail & { id?: string } = { index: 0, timestampMs: 0 }
  readonly entries: LogEntry[] = []
  /** Undefined until it is opened for the first time. */
  binding: Binding | undefined
  presenceChanges = 0
  readonly presences = new Map<string, Omit<Presence, 'member' | 'ageMs'> & { readonly atMs: number }>()

  constructor(epoch: string) {
    checkText('epoch', epoch, EPOCH_BYTES_MAX)
    this.epoch = epoch
  }

  get first(): number {
    return this.base.index + 1
  }

  get newest(): LogTail {
    const { index, timestampMs } = this.entries.at(-1) ?? this.base
    return { index, timestampMs }
  }

  at(index: number): (LogTail & { id?: string }) | undefined {
    return index === this.base.index ? this.base : this.entries[index - this.first]
  }

  batchAfter(cursor: Cursor, until = Infinity): LogBatch | undefined {
    const { first, newest } = this
    if (cursor.index > newest.index || (cursor.id && (this.at(cursor.index)?.id ?? cursor.id) !== cursor.id))
      throw new LogRewound(cursor.index, newest.index)
    if (cursor.index + 1 < first) throw new LogTruncated(cursor.index + 1, first)
    const begin = cursor.index + 1 - first
    const endMax = Math.min(begin + BATCH_ENTRIES_MAX, until + 1 - first, this.entries.length)
    let end = begin
    for (let bytes = 0; end < endMax; end++) {
      bytes += this.entries[end]!.payload.byteLength
      if (bytes > BATCH_BYTES_MAX && end > begin) break
    }
    return end > begin ? { entries: this.entries.slice(begin, end), newest } : undefined
  }
}

class SharedLog implements MemoryLog {
  readonly now: () => number
  readonly maxEntryBytes: number
  readonly hasMessages: boolean
  current: Incarnation
  /** A notifier for each running iteration of any handle. */
  readonly notifiers = new Set<Notifier>()
  #writers = 0

  constructor(options: MemoryLogOptions) {
    checkEntryBytes(options.maxEntryBytes)
    this.now = options.now ?? systemClock.wallNow
    this.maxEntryBytes = options.maxEntryBytes ?? ENTRY_BYTES_DEFAULT
    this.hasMessages = options.messages ?? false
    this.current = new Incarnation(options.epoch ?? randomUUID())
  }

  async open(init: LogInit): Promise<Log> {
    const { group, signature, author, signal } = init
    signal?.throwIfAborted()
    checkInit(init)
    const { current } = this
    if (signature !== undefined) current.binding ??= new Binding(group, signature)
    if (current.binding === undefined) throw new LogMissing("this process's memory")
    current.binding.check(init)
    return new MemoryHandle(this, current.binding.signature, author, ++this.#writers)
  }

  recreate(epoch: string = randomUUID()): void {
    this.current = new Incarnation(epoch)
    this.notify()
  }

  rewind(index: number): void {
    const { base, entries, first, newest } = this.current
    if (index < base.index || index > newest.index)
      throw new RangeError(`this log can be put back to ${base.index} up to ${newest.index}, not to ${index}`)
    entries.length = index + 1 - first
    this.current.binding = this.current.binding?.rewound(index)
    this.notify()
  }

  publish(message: NewMessage, payload: Uint8Array): number {
    const { maxEntryBytes, hasMessages } = this
    checkAppend([{ kind: 'command', payload, message }], maxEntryBytes, { hasMessages })
    return this.write([{ kind: 'command', payload, message }], { author: '', idOf: (index) => `@${index}` })
  }

  /** Returns the index of the last one. */
  write(entries: readonly NewEntry[], by: Writer): number {
    const { current } = this
    const timestampMs = this.now()
    for (const { kind, payload, message } of entries) {
      const index = current.newest.index + 1
      current.entries.push({
        index,
        timestampMs,
        author: message === undefined ? by.author : '',
        id: by.idOf(index),
        epoch: current.epoch,
        kind,
        payload: payload.slice(),
        ...(message && { message: published(message) }),
      })
    }
    this.notify()
    return current.newest.index
  }

  notify(): void {
    for (const notifier of this.notifiers) notifier.notify()
  }
}

interface Writer {
  readonly author: string
  idOf(index: number): string
}

function published({ subject, headers = {} }: NewMessage): Message {
  const lists = Object.entries(headers).map(([name, value]) => [name, [value].flat()])
  return { subject, headers: Object.fromEntries(lists) }
}

class MemoryHandle implements Log {
  readonly epoch: string
  readonly signature: string
  readonly notices: PresenceStore
  readonly #log: SharedLog
  readonly #incarnation: Incarnation
  readonly #author: string
  readonly #writer: number
  readonly #closing = new AbortController()
  #sequence = 0

  constructor(log: SharedLog, signature: string, author: string, writer: number) {
    this.signature = signature
    this.#log = log
    this.#incarnation = log.current
    this.#author = author
    this.#writer = writer
    this.epoch = log.current.epoch
    this.notices = new MemoryPresenceStore(this, log)
  }

  get upgraded(): string | undefined {
    return this.#incarnation.binding?.upgraded
  }

  get maxEntryBytes(): number {
    return this.#log.maxEntryBytes
  }

  get hasMessages(): boolean {
    return this.#log.hasMessages
  }

  /** The log. Throws if this handle may not use it any more. */
  incarnation({ signal }: SignalOptions = {}): Incarnation {
    signal?.throwIfAborted()
    if (this.#closing.signal.aborted) throw new LogClosed()
    const { current } = this.#log
    if (current.epoch !== this.epoch) throw new EpochChanged(this.epoch, current.epoch)
    return current
  }

  /**
   * The log now, and again after each change or notification, until the signal aborts or the handle closes.
   */
  async *states({ signal }: SignalOptions = {}): AsyncGenerator<{ log: Incarnation; notifier: Notifier }> {
    if (signal?.aborted) return
    this.incarnation()
    const end = AbortSignal.any(signal ? [signal, this.#closing.signal] : [this.#closing.signal])
    const notifier = new Notifier()
    this.#log.notifiers.add(notifier)
    end.addEventListener('abort', notifier.notify)
    try {
      while (!end.aborted) {
        yield { log: this.incarnation(), notifier }
        await notifier.wait()
      }
    } finally {
      end.removeEventListener('abort', notifier.notify)
      this.#log.notifiers.delete(notifier)
    }
  }

  async append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended> {
    const { hasMessages } = this
    const log = this.incarnation(options)
    checkAppend(entries, this.maxEntryBytes, { hasMessages })
    const first = log.newest.index + 1
    const idOf = () => `${this.#writer}-${++this.#sequence}`
    const last = this.#log.write(entries, { author: this.#author, idOf })
    return { first, last, ...(hasMessages && { firstId: log.entries[first - log.first]!.id }) }
  }

  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, options, () => Infinity)
  }

  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, options, (log) => log.newest.index)
  }

  async *#batches(
    cursor: Cursor,
    options: SignalOptions | undefined,
    untilOf: (log: Incarnation) => number,
  ): AsyncGenerator<LogBatch> {
    let last = cursor
    let until: number | undefined
    for await (const { log, notifier } of this.states(options)) {
      until ??= untilOf(log)
      const batch = log.batchAfter(last, until)
      if (batch) {
        yield batch
        last = batch.entries.at(-1)!
        notifier.notify()
      } else if (last.index >= until) return
    }
  }

  async bounds(options?: SignalOptions): Promise<LogBounds> {
    const { epoch, first, newest } = this.incarnation(options)
    return { epoch, first, newest }
  }

  async prune(upTo: number, options?: SignalOptions): Promise<void> {
    const log = this.incarnation(options)
    checkPrune(upTo, log.newest.index)
    if (upTo < log.first) return
    log.base = log.entries.splice(0, upTo + 1 - log.first).at(-1)!
    this.#log.notify()
  }

  async noteUpgrade(signature: string, at: number, options?: SignalOptions): Promise<void> {
    const log = this.incarnation(options)
    checkUpgrade({ signature, at })
    log.binding = log.binding?.noted({ signature, at })
  }

  async close(): Promise<void> {
    this.#closing.abort()
  }
}

class MemoryPresenceStore implements PresenceStore {
  readonly #handle: MemoryHandle
  readonly #log: SharedLog

  constructor(handle: MemoryHandle, log: SharedLog) {
    this.#handle = handle
    this.#log = log
  }

  async announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void> {
    const log = this.#handle.incarnation(options)
    checkPresence(member, data, ttlMs, this.#handle.maxEntryBytes)
    log.presenceChanges++
    log.presences.set(member, {
      data: data.slice(),
      ttlMs,
      atMs: this.#log.now(),
      version: log.presenceChanges,
    })
    this.#log.notify()
  }

  async withdraw(member: string, options?: SignalOptions): Promise<void> {
    const log = this.#handle.incarnation(options)
    if (!log.presences.delete(member)) return
    log.presenceChanges++
    this.#log.notify()
  }

  async read(options?: SignalOptions): Promise<Presence[]> {
    return this.#presences(this.#handle.incarnation(options))
  }

  async *watch(options?: SignalOptions): AsyncGenerator<Presence[]> {
    let seen: number | undefined
    for await (const { log } of this.#handle.states(options)) {
      if (log.presenceChanges === seen) continue
      seen = log.presenceChanges
      yield this.#presences(log)
    }
  }

  #presences({ presences }: Incarnation): Presence[] {
    const now = this.#log.now()
    return Array.from(presences, ([member, { atMs, ...presence }]) => ({
      member,
      ...presence,
      ageMs: now - atMs,
    }))
  }
}
