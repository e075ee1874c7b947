import { BATCH_BYTES_MAX, BATCH_ENTRIES_MAX } from '../limits.ts'
import type { Cursor, LogBatch, LogEntry, LogTail } from '../log.ts'
import type { Decoder } from './codec.ts'
import { filler, type Numbering, type Range } from './numbering.ts'
import type { Delivered } from './pull.ts'
import type { StreamTail } from './stream.ts'

/** What was taken from a delivery, and where the rest of it begins. */
interface Taken {
  readonly entries: LogEntry[]
  readonly next: number
  /** The index before which entries are missing. */
  readonly gapAt?: number
}

/** The position of one iteration. */
export class Reading {
  readonly #decoder: Decoder
  readonly #numbering: Numbering
  #index: number
  /** Where the id of the last entry is: it may have to be parsed. */
  #last: { readonly id?: string }
  #timestampMs = 0
  /** The next known gap. */
  #gap: Range | undefined

  constructor(cursor: Cursor, decoder: Decoder, numbering: Numbering) {
    const { index } = cursor
    this.#decoder = decoder
    this.#numbering = numbering
    this.#index = index
    this.#last = cursor
    this.#gap = numbering.gapFrom(index + 1)
  }

  /** The index of the last entry that was read. */
  get index(): number {
    return this.#index
  }

  get id(): string | undefined {
    return this.#last.id
  }

  /** The sequence number of the next message. */
  get nextSequence(): number {
    return this.#numbering.sequenceOf(this.#index + 1)
  }

  /**
   * The entries for one batch, taken from `delivered` from `at` on, up to the next known gap. The consumer's server
   * may lag and begin with entries that were read already; those are skipped.
   */
  take(delivered: readonly Delivered[], at: number): Taken {
    const entries: LogEntry[] = []
    const gapFrom = this.#gap?.from
    let bytes = 0
    let next = at
    for (; next < delivered.length && entries.length < BATCH_ENTRIES_MAX; next++) {
      const message = delivered[next]!
      const index = this.#numbering.indexOf(message.sequence)
      if (index <= this.#index) continue
      if (this.#index + 1 === gapFrom) break
      if (index !== this.#index + 1) return { entries, next, gapAt: index }
      bytes += message.msg.data.byteLength
      if (bytes > BATCH_BYTES_MAX && entries.length > 0) break
      const entry = this.#decoder.decode(index, message)
      entries.push(entry)
      this.#read(entry)
      this.#timestampMs = message.timestampMs
    }
    return { entries, next }
  }

  /** The entries in the place of messages that were deleted before the log began, as far as they come next. */
  *fillers(tail: StreamTail): Generator<LogBatch> {
    while (this.#gap !== undefined && this.#gap.from <= this.#index + 1) {
      const { to } = this.#gap
      const entries: LogEntry[] = []
      while (this.#index < to && entries.length < BATCH_ENTRIES_MAX) {
        const entry = filler(this.#index + 1)
        entries.push(entry)
        this.#read(entry)
      }
      if (this.#index === to) this.#gap = this.#numbering.gapFrom(to + 1)
      yield { entries, newest: this.#newest(this.#index, tail) }
    }
  }

  /** The log's newest entry when an entry was delivered. */
  newest({ sequence, pending }: Delivered, seen: StreamTail): LogTail {
    return this.#newest(this.#numbering.indexOf(sequence) + pending, seen)
  }

  #newest(known: number, seen: StreamTail): LogTail {
    // The newest one that was seen may be one that was deleted, whose place has no time.
    const isNewer = this.#index > seen.newest.index
    return {
      index: Math.max(known, seen.newest.index, this.#index),
      timestampMs: isNewer ? this.#timestampMs : seen.newest.timestampMs,
    }
  }

  #read(entry: LogEntry): void {
    this.#index = entry.index
    this.#last = entry
  }
}
