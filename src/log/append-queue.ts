import { systemClock } from '../time/clock.ts'
import { AppendUncertain } from './errors.ts'
import type { Appended, NewEntry, SignalOptions } from './log.ts'

/** The most entries that several appends may have together in one transaction. */
const TRANSACTION_ENTRIES_MAX = 10_000
/** The most bytes that several appends may have together in one transaction. A larger append has its own. */
const TRANSACTION_BYTES_MAX = 8 * 1024 * 1024

interface Append {
  readonly entries: readonly NewEntry[]
  readonly bytes: number
  resolve(appended: Appended): void
  reject(error: unknown): void
  isHandedOver: boolean
}

/** Entries that were written together. */
export interface Committed {
  /** The index of the first. The others follow it. */
  readonly first: number
  /** The id of one of them, if appends tell: `n` counts from 0. */
  idAt?(n: number): string
}

/** Group commit: while one transaction is under way, later appends gather for the next. */
export class AppendQueue {
  readonly #commit: (entries: readonly NewEntry[]) => Promise<Committed>
  #waiting: Append[] = []
  #isCommitting = false

  /**
   * @param commit writes entries in one transaction; it is called in order, and not again before it has
   *   settled
   */
  constructor(commit: (entries: readonly NewEntry[]) => Promise<Committed>) {
    this.#commit = commit
  }

  append(entries: readonly NewEntry[], { signal }: SignalOptions = {}): Promise<Appended> {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>()
    let bytes = 0
    for (const { payload } of entries) bytes += payload.byteLength
    const append: Append = { entries, bytes, resolve, reject, isHandedOver: false }
    this.#waiting.push(append)
    if (!this.#isCommitting) void this.#run()
    return signal ? this.#untilAborted(append, promise, signal) : promise
  }

  async #untilAborted(append: Append, promise: Promise<Appended>, signal: AbortSignal): Promise<Appended> {
    const abort = () => {
      this.#waiting = this.#waiting.filter((other) => other !== append)
      append.reject(
        append.isHandedOver ? new AppendUncertain('the append was aborted on its way') : signal.reason,
      )
    }
    signal.addEventListener('abort', abort)
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** Hand over everything that waits, now, because the queue will not run again. */
  handOverAll(): void {
    while (this.#waiting.length > 0) void this.#handOver()
  }

  async #run(): Promise<void> {
    this.#isCommitting = true
    while (this.#waiting.length > 0) {
      await this.#handOver()
      // Callers whose appends have settled may append again in this turn. All of these then share a
      // transaction.
      await systemClock.turn()
    }
    this.#isCommitting = false
  }

  async #handOver(): Promise<void> {
    const appends = this.#waiting.splice(0, this.#countForOneTransaction())
    for (const append of appends) append.isHandedOver = true
    try {
      const committed = await this.#commit(appends.flatMap(({ entries }) => entries))
      let n = 0
      for (const { entries, resolve } of appends) {
        const first = committed.first + n
        const firstId = committed.idAt?.(n)
        resolve({ first, last: first + entries.length - 1, ...(firstId !== undefined && { firstId }) })
        n += entries.length
      }
    } catch (error) {
      for (const { reject } of appends) reject(error)
    }
  }

  #countForOneTransaction(): number {
    let count = 0
    let entries = 0
    let bytes = 0
    for (const append of this.#waiting) {
      entries += append.entries.length
      bytes += append.bytes
      if (count > 0 && (entries > TRANSACTION_ENTRIES_MAX || bytes > TRANSACTION_BYTES_MAX)) break
      count++
    }
    return count
  }
}
