import type { Random } from '../../random.ts'
import type { Clock } from '../../time/clock.ts'
import { LogRewound } from '../errors.ts'
import type { LogEntry } from '../log.ts'

/** Entries between two samples. A wrong part of the stream that is no longer than this may escape. */
const SPACING = 64
/** Time between two samples while entries arrive one by one, in milliseconds. */
const EVERY_MS = 100
/**
 * Entries between two comparisons while a log is read fast: one batch. Beside the reading, the cost does not
 * show.
 */
const COMPARED_MAX = 1_024
/**
 * How long a sample is compared again, in milliseconds. Servers come apart during an election, which takes
 * less time.
 */
const KEPT_MS = 120_000
/** The most samples that are kept, the newest ones. It bounds the memory, and the work after an election. */
const SAMPLES_MAX = 4_096
/**
 * Comparisons under way at a time. Beyond it new entries are not compared: the servers do not answer then.
 */
const PENDING_MAX = 8
/** Random samples that are compared again at each look. After an election all are. */
const AGAIN = 4
/** The largest entry that is sampled, in bytes: the servers answer with the whole entry. */
const ENTRY_BYTES_MAX = 16 * 1024

interface Sample {
  /** Of all samples that were taken. */
  readonly number: number
  readonly index: number
  readonly id: string
  readonly atMs: number
}

export interface SpotChecksInit {
  /**
   * Returns if the stream's leader has the entry with this id there, or no entry any more. Throws
   * `LogRewound` if it has another.
   */
  readonly confirm: (index: number, id: string) => Promise<void>
  readonly clock: Clock
  readonly random: Random
}

/**
 * Compares delivered entries with those of the stream's leader. Any server that keeps the stream may serve a
 * consumer. Servers that came apart have different entries in one part of the stream, and the same entries
 * after it. The leader's version counts. So after each election the entries of the last two minutes are
 * compared again.
 */
export class SpotChecks {
  readonly #init: SpotChecksInit
  readonly #readers = new Set<SpotReader>()
  readonly #pending = new Set<Promise<boolean>>()
  /** Oldest first. */
  #samples: Sample[] = []
  #taken = 0
  #sinceSample = 0
  #sinceCompared = 0
  #sampledMs = Number.NEGATIVE_INFINITY
  #leader: string | undefined
  #comparing = false

  constructor(init: SpotChecksInit) {
    this.#init = init
  }

  /**
   * Add a reader that goes on after `index`. Its signal aborts when an entry that was delivered to it, or to who
   * read before it up to there, turns out not to be the log's.
   */
  reader(index: number): SpotReader {
    const reader = new SpotReader(this, {
      from: { index, number: this.#taken },
      leave: () => this.#readers.delete(reader),
    })
    this.#readers.add(reader)
    return reader
  }

  /** Entries were delivered: sample some, and compare the newest sample. */
  delivered(entries: readonly LogEntry[]): void {
    const atMs = this.#init.clock.now()
    const isQuiet = atMs - this.#sampledMs >= EVERY_MS
    for (const [at, entry] of entries.entries()) {
      this.#sinceSample++
      const isLast = at === entries.length - 1
      if (this.#sinceSample < SPACING && !(isLast && isQuiet)) continue
      if (entry.payload.byteLength > ENTRY_BYTES_MAX) continue
      this.#sinceSample = 0
      this.#samples.push({ number: this.#taken++, index: entry.index, id: entry.id, atMs })
    }
    if (this.#samples.length > SAMPLES_MAX) this.#samples.splice(0, this.#samples.length - SAMPLES_MAX)
    this.#sinceCompared += entries.length
    const newest = this.#samples.at(-1)
    if (newest?.atMs !== atMs || !(isQuiet || this.#sinceCompared >= COMPARED_MAX)) return
    this.#sampledMs = atMs
    this.#sinceCompared = 0
    if (this.#pending.size < PENDING_MAX) void this.#compare(newest)
  }

  /** Compare samples again, with the current leader of the stream. Never rejects. */
  async look(leader: string | undefined): Promise<void> {
    const sinceMs = this.#init.clock.now() - KEPT_MS
    this.#samples = this.#samples.filter(({ atMs }) => atMs >= sinceMs)
    if (this.#comparing || this.#samples.length === 0) return
    this.#comparing = true
    const isElected = leader !== this.#leader
    const left = isElected ? [...this.#samples] : Array.from({ length: AGAIN }, () => this.#anySample())
    let areCompared = true
    while (left.length > 0 && areCompared) {
      const outcomes = await Promise.all(left.splice(-PENDING_MAX).map((sample) => this.#compare(sample)))
      areCompared = !outcomes.includes(false)
    }
    if (areCompared) this.#leader = leader
    this.#comparing = false
  }

  /** Resolves when no comparison is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending)
  }

  #anySample(): Sample {
    return this.#samples[Math.floor(this.#init.random() * this.#samples.length)]!
  }

  /** Resolves with false if the servers did not answer. */
  async #compare(sample: Sample): Promise<boolean> {
    const { index, id } = sample
    const comparing = this.#init.confirm(index, id).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof LogRewound)) return false
        for (const reader of this.#readers) reader.rewound(sample, error)
        return true
      },
    )
    this.#pending.add(comparing)
    try {
      return await comparing
    } finally {
      this.#pending.delete(comparing)
    }
  }
}

interface SpotReaderInit {
  /** The entry before its first one, and the number of the first sample that is taken from then on. */
  readonly from: Pick<Sample, 'index' | 'number'>
  readonly leave: () => void
}

/** One reader of a log, for as long as it reads. */
export class SpotReader implements Disposable {
  readonly #checks: SpotChecks
  readonly #from: Pick<Sample, 'index' | 'number'>
  readonly #leave: () => void
  readonly #found = new AbortController()
  #index: number

  constructor(checks: SpotChecks, { from, leave }: SpotReaderInit) {
    this.#checks = checks
    this.#from = from
    this.#leave = leave
    this.#index = from.index
  }

  /** Aborts with `LogRewound`. */
  get signal(): AbortSignal {
    return this.#found.signal
  }

  delivered(entries: readonly LogEntry[]): void {
    this.#index = entries.at(-1)!.index
    this.#checks.delivered(entries)
  }

  /**
   * What was delivered at the sample's index is not the log's. A sample from before this reader may be of another
   * history than its own.
   */
  rewound({ index, number }: Sample, error: LogRewound): void {
    const from = this.#from
    const isOwn = number >= from.number ? index <= this.#index : index <= from.index
    if (isOwn) this.#found.abort(error)
  }

  [Symbol.dispose](): void {
    this.#leave()
  }
}
