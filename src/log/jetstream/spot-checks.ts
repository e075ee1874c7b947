import { LogRewound } from '../errors.ts'
import type { LogEntry } from '../log.ts'

/** Entries between two samples: a part of the stream that is no longer may escape. */
const SPACING = 64
/** Time between two samples while entries come in one by one, in milliseconds. */
const EVERY_MS = 100
/** Entries between two comparisons while a log is read fast, a batch: beside the reading this costs nothing that shows. */
const COMPARED_MAX = 1_024
/** For how long a sample is compared again, in milliseconds. Servers come apart when they elect a leader, which takes less. */
const KEPT_MS = 120_000
const SAMPLES_MAX = 4_096
/** Comparisons under way at a time. More of new entries are left out: the servers do not answer then. */
const PENDING_MAX = 8
/** Samples that are compared again at each look, beside all of them after an election. */
const AGAIN = 4
/** The servers answer with the whole entry. A larger one is not worth it. */
const ENTRY_BYTES_MAX = 16 * 1024

interface Sample {
  readonly index: number
  readonly id: string
  readonly atMs: number
}

/** Returns when the stream's leader has the entry of this id there, or none any more; throws `LogRewound` if it has another. */
type Confirm = (index: number, id: string) => Promise<void>

/**
 * Compares entries that a handle was delivered with those of the stream's leader. A consumer is served by any server that keeps the
 * stream. Servers that came apart have other entries in a part of the stream, and the same again after it. Which of them is believed
 * changes with the leader, so entries of the last minutes are compared again with each new one.
 */
export class SpotChecks {
  readonly #confirm: Confirm
  readonly #readers = new Set<SpotReader>()
  readonly #pending = new Set<Promise<boolean>>()
  /** The oldest first. */
  #samples: Sample[] = []
  #sinceSample = 0
  #sinceCompared = 0
  #sampledMs = Number.NEGATIVE_INFINITY
  #leader: string | undefined
  #comparing = false

  constructor(confirm: Confirm) {
    this.#confirm = confirm
  }

  /** Somebody reads: told when something that was delivered up to where it is turns out not to be the log's. */
  reader(): SpotReader {
    const reader = new SpotReader(this, () => this.#readers.delete(reader))
    this.#readers.add(reader)
    return reader
  }

  /** These were delivered. */
  delivered(entries: readonly LogEntry[]): void {
    const atMs = performance.now()
    const isQuiet = atMs - this.#sampledMs >= EVERY_MS
    for (const [at, { index, id, payload }] of entries.entries()) {
      this.#sinceSample++
      const isLast = at === entries.length - 1
      if (this.#sinceSample < SPACING && !(isLast && isQuiet)) continue
      if (payload.byteLength > ENTRY_BYTES_MAX) continue
      this.#sinceSample = 0
      this.#samples.push({ index, id, atMs })
    }
    if (this.#samples.length > SAMPLES_MAX) this.#samples.splice(0, this.#samples.length - SAMPLES_MAX)
    this.#sinceCompared += entries.length
    const newest = this.#samples.at(-1)
    if (newest?.atMs !== atMs || !(isQuiet || this.#sinceCompared >= COMPARED_MAX)) return
    this.#sampledMs = atMs
    this.#sinceCompared = 0
    if (this.#pending.size < PENDING_MAX) void this.#compare(newest)
  }

  /** Compare again, with what leads the stream now. Never rejects. */
  async look(leader: string | undefined): Promise<void> {
    const sinceMs = performance.now() - KEPT_MS
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
    return this.#samples[Math.floor(Math.random() * this.#samples.length)]!
  }

  /** Resolves with whether the servers answered. */
  async #compare({ index, id }: Sample): Promise<boolean> {
    const comparing = this.#confirm(index, id).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof LogRewound)) return false
        for (const reader of this.#readers) reader.rewound(index, error)
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

/** One reader of a log, as long as it reads. */
export class SpotReader implements Disposable {
  readonly #checks: SpotChecks
  readonly #leave: () => void
  readonly #found = new AbortController()
  #index = 0

  constructor(checks: SpotChecks, leave: () => void) {
    this.#checks = checks
    this.#leave = leave
  }

  /** Aborts with `LogRewound`. */
  get signal(): AbortSignal {
    return this.#found.signal
  }

  delivered(entries: readonly LogEntry[]): void {
    this.#index = entries.at(-1)!.index
    this.#checks.delivered(entries)
  }

  /** What was delivered at `index` is not the log's. */
  rewound(index: number, error: LogRewound): void {
    if (index <= this.#index) this.#found.abort(error)
  }

  [Symbol.dispose](): void {
    this.#leave()
  }
}
