import { DeliverPolicy, JetStreamApiCodes, type StoredMsg } from '@nats-io/jetstream'
import { systemRandom } from '../../random.ts'
import { sleep } from '../../time/clock.ts'
import { LogRewound, LogTruncated, LogUnavailable } from '../errors.ts'
import type { Cursor, LogBatch, LogEntry, SignalOptions } from '../log.ts'
import { any, Pause } from '../pause.ts'
import type { Codec, Stored } from './codec.ts'
import { codeOf, type Link } from './link.ts'
import { pull } from './pull.ts'
import { Reading } from './reading.ts'
import { nanosOf } from './server-time.ts'
import { SpotChecks } from './spot-checks.ts'
import type { Stream, StreamTail } from './stream.ts'
import type { StreamMonitor } from './stream-monitor.ts'

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

export interface StreamReaderInit {
  readonly link: Link
  readonly stream: Stream
  readonly codec: Codec
  readonly monitor: StreamMonitor
  /** Aborts when the log closes. */
  readonly closing: AbortSignal
}

/** Reads a stream's entries without gaps, whatever becomes of connections and consumers. */
export class StreamReader {
  readonly #link: Link
  readonly #stream: Stream
  readonly #codec: Codec
  readonly #monitor: StreamMonitor
  readonly #closing: AbortSignal
  readonly #spots: SpotChecks

  constructor({ link, stream, codec, monitor, closing }: StreamReaderInit) {
    this.#link = link
    this.#stream = stream
    this.#codec = codec
    this.#monitor = monitor
    this.#closing = closing
    this.#spots = new SpotChecks({
      confirm: (index, id) => this.#confirmEntry(index, id, closing),
      clock: link.clock,
      random: systemRandom,
    })
  }

  /** The entries after the cursor, up to and including the index that `untilOf` returns at the start. */
  async *batches(
    cursor: Cursor,
    untilOf: (tail: StreamTail) => number,
    options: SignalOptions = {},
  ): AsyncGenerator<LogBatch> {
    if (options.signal?.aborted) return
    this.#closing.throwIfAborted()
    const ends = any(options.signal, this.#closing)
    const stop = new AbortController()
    const reading = new Reading(cursor, this.#codec.decoder(), this.#stream.numbering)
    const trouble = this.#watch(reading, any(ends, stop.signal))
    using spots = this.#spots.reader(cursor.index)
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
          // If the stream is gone, the next look says so.
          const isGone = codeOf(error) === JetStreamApiCodes.StreamNotFound
          const mayPass = isGone || (until === Number.POSITIVE_INFINITY && error instanceof LogUnavailable)
          if (!mayPass) throw error
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

  /** Look at the stream while entries are waited for. The returned signal aborts with what is wrong. */
  #watch(reading: Reading, signal: AbortSignal): AbortSignal {
    let before = -1
    return this.#monitor.until(signal, async (tail, signal) => {
      const { index, id } = reading
      if (tail.newest.index < index) await this.#confirmRewound(index, signal)
      // The servers send nothing in place of pruned entries, so the reader would wait for ever.
      if (index + 1 < tail.first) throw this.#truncated(index + 1, tail.first)
      // Nor in place of the newest ones, if just these were deleted.
      const isStuck = tail.hasGaps && index === before && index < tail.newest.index
      before = index
      if (isStuck) await this.#explainGap(reading, tail.newest.index + 1, signal)
      // A consumer may be on a server whose copy of the stream is no longer the leader's. One server alone
      // has one copy.
      if (this.#stream.replicas === 1) return
      await this.#confirmEntry(index, id, signal)
      await this.#spots.look(this.#stream.leader)
    })
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
    yield* reading.fillers(stream.tail)
    const consumer = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: reading.nextSequence }
    for await (const delivered of pull({ link: this.#link, stream: stream.name, consumer, signal })) {
      let at = 0
      while (at < delivered.length) {
        const { entries, next, gapAt } = reading.take(delivered, at)
        if (entries.length > 0) yield { entries, newest: reading.newest(delivered[next - 1]!, stream.tail) }
        if (gapAt !== undefined) return await this.#explainGap(reading, gapAt, signal)
        yield* reading.fillers(stream.tail)
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

  /** Returns undefined if there is no such entry. */
  async #entryAt(index: number, signal: AbortSignal): Promise<LogEntry | undefined> {
    const { numbering } = this.#stream
    const filler = numbering.fillerAt(index)
    if (filler !== undefined) return filler
    const seq = numbering.sequenceOf(index)
    let found: StoredMsg | null
    try {
      found = await this.#link.ask((jsm) => jsm.streams.getMessage(this.#stream.name, { seq }), { signal })
    } catch (error) {
      if (codeOf(error) === JetStreamApiCodes.NoMessageFound) return undefined
      throw error
    }
    return found === null ? undefined : this.#codec.decoder().decode(index, storedOf(found))
  }
}

function storedOf(found: StoredMsg): Stored {
  const { subject, data } = found
  return {
    timestampMs: found.time.getTime(),
    timeNs: nanosOf(found.timestamp),
    msg: {
      subject,
      data,
      // They are parsed here, as those of a message that is delivered.
      get headers() {
        return found.header
      },
    },
  }
}
