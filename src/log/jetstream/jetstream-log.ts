import { DeliverPolicy, JetStreamApiCodes, type StoredMsg } from '@nats-io/jetstream'
import { tellListener } from '../../listener-warning.ts'
import { systemRandom } from '../../random.ts'
import { type Clock, sleep, systemClock } from '../../time/clock.ts'
import {
  LogClosed,
  LogRewound,
  LogTruncated,
  LogUnavailable,
  LogUnusable,
  ServersOutdated,
} from '../errors.ts'
import {
  BATCH_BYTES_MAX,
  BATCH_ENTRIES_MAX,
  checkAppend,
  checkCursor,
  checkInit,
  checkPrune,
  checkUpgrade,
  ENTRY_BYTES_MAX,
  ENTRY_BYTES_MIN,
} from '../limits.ts'
import type {
  Appended,
  Cursor,
  Log,
  LogBatch,
  LogBounds,
  LogConnection,
  LogEntry,
  LogInit,
  LogTail,
  NewEntry,
  SignalOptions,
} from '../log.ts'
import { any, Pause } from '../pause.ts'
import type { PresenceStore } from '../presence.ts'
import { EntryDecoder, EntryEncoder, maxPayloadOf } from './entry.ts'
import { codeOf, Link } from './link.ts'
import { DUPLICATE_WINDOW_MS, type JetstreamLogOptions, POLL_MS } from './options.ts'
import { JetstreamPresenceStore } from './presence-store.ts'
import { Publisher } from './publisher.ts'
import { type Delivered, pull } from './pull.ts'
import { CLUSTER_VERSION_MIN, isOlder } from './server-version.ts'
import { SpotChecks } from './spot-checks.ts'
import { checkStreamName, Stream, type StreamTail, streamName } from './stream.ts'
import { StreamMonitor } from './stream-monitor.ts'

/**
 * How long a log that seems to end too early is checked again, in milliseconds. A new leader of the stream
 * may not know yet what the old one delivered.
 */
const REWIND_CONFIRM_MS = 10_000
/**
 * How long an entry that seems to be another one is checked again, in milliseconds. A deposed leader may
 * report another entry until it hears of the new leader.
 */
const FORK_CONFIRM_MS = 3_000
/** How often these two are checked again, in milliseconds. */
const REWIND_POLL_INTERVAL_MS = 250
/**
 * `read` gives up after this many consumers in a row that delivered nothing. The pauses in between add up to
 * about 4 seconds.
 */
const FRUITLESS_MAX = 8

/** One handle on a group's stream. */
export class JetstreamLog implements Log {
  readonly epoch: string
  readonly signature: string
  readonly notices: PresenceStore
  readonly #maxEntryBytes: number
  readonly #onProblem: (error: Error) => void
  readonly #link: Link
  readonly #stream: Stream
  readonly #publisher: Publisher
  readonly #monitor: StreamMonitor
  readonly #spots: SpotChecks
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined
  /** The server versions that a warning was given for. */
  readonly #outdated = new Set<string>()

  /** @param clock what tells whether the servers are late, and have come apart */
  static async open(options: JetstreamLogOptions, init: LogInit, clock: Clock = systemClock): Promise<Log> {
    init.signal?.throwIfAborted()
    const create = options.create !== false && init.create !== false
    checkInit(init, create)
    const {
      duplicateWindowMs = DUPLICATE_WINDOW_MS,
      replicas,
      stream: name = streamName(init.group),
    } = options
    checkStreamName(name)
    const link = await Link.open({ ...options, stream: name, clock }, init)
    try {
      checkPayload(link, options)
      const stream = await Stream.open(link, init, { name, create, replicas, duplicateWindowMs })
      return new JetstreamLog(options, init, link, stream)
    } catch (error) {
      await link.close()
      throw error
    }
  }

  private constructor(options: JetstreamLogOptions, init: LogInit, link: Link, stream: Stream) {
    const { pollMs = POLL_MS, maxEntryBytes = ENTRY_BYTES_MAX } = options
    this.epoch = stream.epoch
    this.signature = stream.binding.signature
    this.#maxEntryBytes = maxEntryBytes
    this.#onProblem = (error) => tellListener(init.onProblem, error)
    this.#link = link
    this.#stream = stream
    this.#publisher = new Publisher(link, stream, new EntryEncoder(stream.epoch, init.author))
    this.#monitor = new StreamMonitor(link, stream, pollMs)
    this.#spots = new SpotChecks({
      confirm: (index, id) => this.#confirmEntry(index, id, this.#closing.signal),
      clock: link.clock,
      random: systemRandom,
    })
    this.notices = new JetstreamPresenceStore({
      link,
      stream,
      maxBytes: () => this.maxEntryBytes,
      closing: this.#closing.signal,
      monitor: (signal) => this.#monitor.until(signal),
    })
    this.#warnOfVersion()
    link.onChange((connected) => connected && this.#warnOfVersion())
  }

  /**
   * The limit of the server that is connected now. Other servers of the cluster, or the same one later, may
   * have another limit.
   */
  get maxEntryBytes(): number {
    return Math.min(this.#maxEntryBytes, maxPayloadOf(this.#link.maxPayload))
  }

  get connection(): LogConnection {
    return this.#link
  }

  async append(entries: readonly NewEntry[], options?: SignalOptions): Promise<Appended> {
    this.#assertOpen(options)
    checkAppend(entries, this.maxEntryBytes, { place: this.#link.place })
    return await this.#publisher.append(entries, options)
  }

  follow(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, () => Number.POSITIVE_INFINITY, options)
  }

  read(cursor: Cursor, options?: SignalOptions): AsyncIterable<LogBatch> {
    checkCursor(cursor)
    return this.#batches(cursor, ({ newest }) => newest.index, options)
  }

  async bounds(options?: SignalOptions): Promise<LogBounds> {
    this.#assertOpen(options)
    return { epoch: this.epoch, ...(await this.#stream.look(options)) }
  }

  async prune(upTo: number, options?: SignalOptions): Promise<void> {
    this.#assertOpen(options)
    const { first, newest } = await this.#stream.look(options)
    checkPrune(upTo, newest.index)
    if (upTo >= first) await this.#stream.purge(upTo, options)
  }

  get upgraded(): string | undefined {
    return this.#stream.binding.upgraded
  }

  async noteUpgrade(signature: string, at: number, options?: SignalOptions): Promise<void> {
    this.#assertOpen(options)
    checkUpgrade({ signature, at })
    await this.#stream.noteUpgrade({ signature, at }, options)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new LogClosed())
    await this.#publisher.close()
    await this.#link.close()
  }

  #assertOpen({ signal }: SignalOptions = {}): void {
    signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
  }

  /** The entries after the cursor, up to and including the index that `untilOf` returns at the start. */
  async *#batches(
    cursor: Cursor,
    untilOf: (tail: StreamTail) => number,
    options: SignalOptions = {},
  ): AsyncGenerator<LogBatch> {
    if (options.signal?.aborted) return
    this.#assertOpen()
    const ends = any(options.signal, this.#closing.signal)
    const stop = new AbortController()
    const reading = new Reading(cursor)
    const trouble = this.#monitor.until(any(ends, stop.signal), async (tail, signal) => {
      const { index, id } = reading
      if (tail.newest.index < index) await this.#confirmRewound(index, signal)
      // The servers send nothing in place of pruned entries, so the reader would wait for ever.
      if (index + 1 < tail.first) throw this.#truncated(index + 1, tail.first)
      // A consumer may be on a server whose copy of the stream is no longer the leader's. One server alone
      // has one copy.
      if (this.#stream.replicas === 1) return
      await this.#confirmEntry(index, id, signal)
      await this.#spots.look(this.#stream.leader)
    })
    using spots = this.#spots.reader()
    const signal = AbortSignal.any([ends, trouble, spots.signal])
    const pause = new Pause()
    let until: number | undefined
    let fruitless = 0
    try {
      while (!signal.aborted) {
        try {
          const tail = await this.#check(reading, signal)
          until ??= untilOf(tail)
          if (reading.index >= until) return
          for await (const batch of this.#life(reading, signal)) {
            pause.reset()
            fruitless = 0
            const last = batch.entries.findLastIndex(({ index }) => index <= until!)
            if (this.#stream.replicas > 1) spots.delivered(batch.entries)
            if (reading.index >= until) await this.#spots.settled()
            if (signal.aborted) break
            yield last === batch.entries.length - 1
              ? batch
              : { ...batch, entries: batch.entries.slice(0, last + 1) }
            if (reading.index >= until) return
          }
        } catch (error) {
          if (signal.aborted) break
          if (until !== Number.POSITIVE_INFINITY || !(error instanceof LogUnavailable)) throw error
        }
        if (Number.isFinite(until) && ++fruitless === FRUITLESS_MAX) {
          throw new LogUnavailable('they deliver nothing', { place: this.#link.place })
        }
        await pause.wait(signal)
        if (until === Number.POSITIVE_INFINITY) await this.#link.whenConnected(signal).catch(() => {})
      }
      if (signal.aborted && !ends.aborted) throw signal.reason
    } finally {
      stop.abort()
    }
  }

  /**
   * Check, before the first read and after each loss of connection, that this is still the log that was
   * opened, and that it holds what was read from it.
   */
  async #check(reading: Reading, signal: AbortSignal): Promise<StreamTail> {
    let tail = await this.#stream.look({ signal })
    const { index, id } = reading
    if (tail.newest.index < index) tail = await this.#confirmRewound(index, signal)
    if (index + 1 < tail.first) throw this.#truncated(index + 1, tail.first)
    await this.#confirmEntry(index, id, signal)
    return tail
  }

  /** What one consumer delivers, without gaps. */
  async *#life(reading: Reading, signal: AbortSignal): AsyncGenerator<LogBatch> {
    const stream = this.#stream
    const consumer = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: reading.index + 1 }
    for await (const delivered of pull({ link: this.#link, stream: stream.name, consumer, signal })) {
      let at = 0
      while (at < delivered.length) {
        const { entries, next, gapAt } = reading.take(delivered, at)
        if (entries.length > 0) yield { entries, newest: reading.newest(delivered[next - 1]!, stream.tail) }
        if (gapAt !== undefined) return await this.#explainGap(reading, gapAt, signal)
        at = next
      }
    }
  }

  /**
   * Explain a gap: the servers skip pruned entries in silence. Throws `LogTruncated` if the entry is gone;
   * returns if another try may deliver it.
   */
  async #explainGap({ index }: Reading, found: number, signal: AbortSignal): Promise<void> {
    const { first } = await this.#stream.look({ signal })
    if (index + 1 < first) throw this.#truncated(index + 1, first)
    if ((await this.#entryAt(index + 1, signal)) === undefined) throw this.#truncated(index + 1, found)
  }

  /** Returns if the log reaches `index` after all. Otherwise throws `LogRewound`. */
  async #confirmRewound(index: number, signal: AbortSignal): Promise<StreamTail> {
    const { clock } = this.#link
    const deadline = clock.now() + (this.#stream.replicas > 1 ? REWIND_CONFIRM_MS : 0)
    for (;;) {
      const tail = await this.#stream.look({ signal })
      if (tail.newest.index >= index) return tail
      if (clock.now() >= deadline) throw this.#rewound(index, tail)
      await sleep(clock, REWIND_POLL_INTERVAL_MS, signal)
    }
  }

  /**
   * Returns if the stream's leader has the entry with this id at `index`, or no entry there any more.
   * Otherwise throws `LogRewound`.
   */
  async #confirmEntry(index: number, id: string | undefined, signal: AbortSignal): Promise<void> {
    if (id === undefined) return
    const { clock } = this.#link
    const deadline = clock.now() + (this.#stream.replicas > 1 ? FORK_CONFIRM_MS : 0)
    for (;;) {
      const found = await this.#entryAt(index, signal)
      if (found === undefined || found.id === id) return
      if (clock.now() >= deadline) throw this.#rewound(index, this.#stream.tail)
      await sleep(clock, REWIND_POLL_INTERVAL_MS, signal)
    }
  }

  #truncated(wanted: number, first: number): LogTruncated {
    return new LogTruncated(wanted, first, { place: this.#link.place })
  }

  #rewound(index: number, { newest }: StreamTail): LogRewound {
    return new LogRewound(index, newest.index, { place: this.#link.place })
  }

  /**
   * Warn of servers that are too old for a replicated log. The log goes on, but the operator should know what
   * they may lose.
   */
  #warnOfVersion(): void {
    const { version } = this.#link.nc.info ?? {}
    const { place } = this.#link
    const { replicas } = this.#stream
    if (version === undefined || replicas === 1 || !isOlder(version, CLUSTER_VERSION_MIN)) return
    if (this.#outdated.has(version)) return
    this.#outdated.add(version)
    this.#onProblem(new ServersOutdated(version, CLUSTER_VERSION_MIN, replicas, { place }))
  }

  /** Returns undefined if there is no such entry. */
  async #entryAt(seq: number, signal: AbortSignal): Promise<LogEntry | undefined> {
    let found: StoredMsg | null
    try {
      found = await this.#link.ask((jsm) => jsm.streams.getMessage(this.#stream.name, { seq }), { signal })
    } catch (error) {
      if (codeOf(error) === JetStreamApiCodes.NoMessageFound) return undefined
      throw error
    }
    return found === null ? undefined : new EntryDecoder().decode(seq, found.time.getTime(), found.data)
  }
}

/** Throws if the servers do not take entries of the size asked for, or of the size that every group needs. */
function checkPayload(link: Link, { maxEntryBytes = ENTRY_BYTES_MIN }: JetstreamLogOptions): void {
  const bytesMax = maxPayloadOf(link.maxPayload)
  if (maxEntryBytes <= bytesMax) return
  throw new LogUnusable(
    `entries of ${maxEntryBytes} bytes are beyond what the server takes, ${bytesMax}; raise its max_payload`,
    { place: link.place },
  )
}

/** The position of one iteration. */
class Reading {
  readonly #decoder = new EntryDecoder()
  #index: number
  #id: string | undefined
  #timestampMs = 0

  constructor({ index, id }: Cursor) {
    this.#index = index
    this.#id = id
  }

  /** The index of the last entry that was read. */
  get index(): number {
    return this.#index
  }

  get id(): string | undefined {
    return this.#id
  }

  /**
   * The entries for one batch, taken from `delivered` from `at` on, and where the next batch begins. The
   * consumer's server may lag and begin with entries that were read already; those are skipped. `gapAt` is
   * the index before which entries are missing.
   */
  take(delivered: readonly Delivered[], at: number): { entries: LogEntry[]; next: number; gapAt?: number } {
    const entries: LogEntry[] = []
    let bytes = 0
    let next = at
    for (; next < delivered.length && entries.length < BATCH_ENTRIES_MAX; next++) {
      const { sequence, timestampMs, msg } = delivered[next]!
      if (sequence <= this.#index) continue
      if (sequence !== this.#index + 1) return { entries, next, gapAt: sequence }
      bytes += msg.data.byteLength
      if (bytes > BATCH_BYTES_MAX && entries.length > 0) break
      const entry = this.#decoder.decode(sequence, timestampMs, msg.data)
      entries.push(entry)
      this.#index = sequence
      this.#id = entry.id
      this.#timestampMs = timestampMs
    }
    return { entries, next }
  }

  /** The log's newest entry when an entry was delivered. */
  newest({ sequence, pending }: Delivered, seen: StreamTail): LogTail {
    const isNewest = this.#index >= seen.newest.index
    return {
      index: Math.max(sequence + pending, seen.newest.index, this.#index),
      timestampMs: isNewest ? this.#timestampMs : seen.newest.timestampMs,
    }
  }
}
