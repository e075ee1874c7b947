import { systemClock } from '../time/clock.ts'
import { AppendUncertain } from './errors.ts'
import type { Appended, NewEntry, SignalOptions } from './log.ts'

interface Room {
  readonly entries: number
  readonly bytes: number
}

/** The room of a transaction that several appends share. A larger append is in one all the same. */
const ROOM: Room = { entries: 10_000, bytes: 8 * 1024 * 1024 }

/** Entries that were written together. */
export interface Committed {
  /** The index of the first. The others follow it. */
  readonly first: number
  /** The id of one of them, if appends tell: `n` counts from 0. */
  idAt?(n: number): string
}

/**
 * Writes entries, whole appends in their order, in one transaction. If more is to come, the entries of the next
 * call belong to the same transaction: it comes within this turn of the event loop, unless an append is aborted.
 */
type Write = (entries: readonly NewEntry[], isMoreToCome: boolean) => Promise<Committed>

/** An append whose promise is not settled. */
class Append {
  readonly entries: readonly NewEntry[]
  readonly bytes: number
  readonly settled: Promise<Appended>
  // The executor sets both before the constructor returns.
  resolve!: (appended: Appended) => void
  reject!: (error: unknown) => void
  isHandedOver = false

  constructor(entries: readonly NewEntry[]) {
    let bytes = 0
    for (const { payload } of entries) bytes += payload.byteLength
    this.entries = entries
    this.bytes = bytes
    this.settled = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

/**
 * Group commit: while one transaction is under way, later appends gather for the next. Callers whose appends
 * settle together append again in the same turn, and share a transaction.
 */
export class AppendQueue {
  readonly #write: Write
  readonly #partEntries: number
  #waiting: Append[] = []
  /** Entries of `#waiting`. */
  #waitingEntries = 0
  /** Parts that were handed over and are not settled. */
  #parts = 0
  /** What the transaction that gathers has room for. */
  #room = ROOM
  /** `committing` from the last part of a transaction until all are settled, then `gathering` for a turn. */
  #state: 'idle' | 'committing' | 'gathering' = 'idle'

  /**
   * @param write is called in order. After a call without more to come it is not called again before all calls
   *   have settled.
   * @param partEntries hand over so many entries while further ones of the same transaction gather. By default
   *   each transaction is one call.
   */
  constructor(write: Write, partEntries: number = Number.POSITIVE_INFINITY) {
    this.#write = write
    this.#partEntries = partEntries
  }

  /**
   * Append entries in their order, behind those of earlier calls. Resolves with their indexes once they are written,
   * and rejects with what `write` rejected with. If the signal aborts meanwhile, it rejects: with `AppendUncertain` if
   * `write` has the entries, or else with the signal's reason, and nothing is written.
   */
  append(entries: readonly NewEntry[], { signal }: SignalOptions = {}): Promise<Appended> {
    const append = new Append(entries)
    this.#waiting.push(append)
    this.#waitingEntries += entries.length
    if (this.#state === 'idle') this.#handOverRest()
    else if (this.#state === 'gathering') this.#handOverEarly()
    return signal ? this.#untilAborted(append, signal) : append.settled
  }

  async #untilAborted(append: Append, signal: AbortSignal): Promise<Appended> {
    const abort = () => {
      if (!append.isHandedOver) this.#drop(append)
      append.reject(
        append.isHandedOver ? new AppendUncertain('the append was aborted on its way') : signal.reason,
      )
    }
    signal.addEventListener('abort', abort)
    try {
      return await append.settled
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  #drop(append: Append): void {
    this.#waiting = this.#waiting.filter((other) => other !== append)
    this.#waitingEntries -= append.entries.length
  }

  /** Hand over everything that waits, now, because the queue will not run again. */
  handOverAll(): void {
    while (this.#waiting.length > 0) this.#handOverRest()
  }

  /** Hand over the last part of a transaction: as much as it has room for, but at least one append. */
  #handOverRest(): void {
    this.#handOver(Math.max(1, this.#countOf(this.#room)), false)
    this.#room = ROOM
    this.#state = 'committing'
  }

  /** Hand over all but the newest append, which is left for the last part, if they are enough for a part. */
  #handOverEarly(): void {
    if (this.#waitingEntries <= this.#partEntries) return
    const count = Math.min(this.#countOf(this.#room), this.#waiting.length - 1)
    if (count > 0) this.#handOver(count, true)
  }

  #handOver(count: number, isMoreToCome: boolean): void {
    const appends = this.#waiting.splice(0, count)
    const entries: NewEntry[] = []
    let bytes = 0
    for (const append of appends) {
      append.isHandedOver = true
      bytes += append.bytes
      for (const entry of append.entries) entries.push(entry)
    }
    this.#waitingEntries -= entries.length
    this.#room = { entries: this.#room.entries - entries.length, bytes: this.#room.bytes - bytes }
    this.#parts++
    void this.#settle(appends, this.#write(entries, isMoreToCome))
  }

  async #settle(appends: readonly Append[], written: Promise<Committed>): Promise<void> {
    try {
      const committed = await written
      let n = 0
      for (const { entries, resolve } of appends) {
        const first = committed.first + n
        const last = first + entries.length - 1
        resolve(committed.idAt ? { first, last, firstId: committed.idAt(n) } : { first, last })
        n += entries.length
      }
    } catch (error) {
      for (const { reject } of appends) reject(error)
    }
    this.#parts--
    if (this.#parts === 0 && this.#state === 'committing') await this.#gather()
  }

  /** Callers whose appends have settled may append again in this turn. */
  async #gather(): Promise<void> {
    this.#state = 'gathering'
    await systemClock.turn()
    if (this.#waiting.length > 0) this.#handOverRest()
    else this.#state = 'idle'
  }

  /** How many of the waiting appends there is room for. */
  #countOf(room: Room): number {
    let count = 0
    let entries = 0
    let bytes = 0
    for (const append of this.#waiting) {
      entries += append.entries.length
      bytes += append.bytes
      if (entries > room.entries || bytes > room.bytes) break
      count++
    }
    return count
  }
}
