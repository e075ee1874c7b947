import { raceSignal } from 'race-signal'
import type { Clock } from '../../time/clock.ts'
import { LogDamaged, LogRewound, LogTruncated, LogUnavailable } from '../errors.ts'
import type { Cursor, LogBatch } from '../log.ts'
import { Pause } from '../pause.ts'
import type { EntryWriter } from '../stored-entry.ts'
import { untilTold } from './bells.ts'
import { type Head, Page } from './page.ts'
import type { Table } from './table.ts'

/** The most entries of a page. More are not read faster. */
const PAGE_ENTRIES = 4_096
/** The most payload of a page, in bytes, unless its first entry is larger. */
const PAGE_BYTES = 2 * 1024 * 1024
/** Pages that have fewer entries than this for the sake of their bytes are better summed up by the server. */
const PAGE_ENTRIES_MIN = 256

/** Reads the entries of one log, in pages. */
export class Reader {
  readonly #table: Table
  readonly #clock: Clock
  readonly #pollMs: number
  /** By their numbers, which are random. So what is known of one stays true. */
  readonly #writers = new Map<string, EntryWriter>()

  constructor(table: Table, pollMs: number) {
    this.#table = table
    this.#clock = table.link.clock
    this.#pollMs = pollMs
  }

  /**
   * The entries after the cursor, and those that are appended later if `follows`. Otherwise up to the one that
   * is the newest when it begins. Ends when the signal aborts.
   */
  async *batches(cursor: Cursor, follows: boolean, signal: AbortSignal): AsyncGenerator<LogBatch> {
    using bell = this.#table.bells.hang('entries')
    const pause = new Pause()
    let until = follows ? Number.POSITIVE_INFINITY : undefined
    let at = cursor
    let largest: number | undefined
    let ahead: Promise<Page> | undefined
    while (!signal.aborted) {
      let page: Page
      let head: Head
      try {
        page = await raceSignal(ahead ?? this.#page(at, largest, signal), signal)
        head = await this.#check(at, page)
        await this.#meet(page.writers(), signal)
      } catch (error) {
        if (signal.aborted) return
        if (!follows || !(error instanceof LogUnavailable)) throw error
        ahead = undefined
        await pause.wait(signal)
        await this.#table.link.whenConnected(signal).catch(() => {})
        continue
      }
      pause.reset()
      ahead = undefined
      const { newest } = head
      largest = head.largest
      until ??= newest.index
      if (page.length > 0) {
        const next = { index: page.lastIndex, id: page.lastId }
        // Read on while the consumer works.
        if (next.index < Math.min(newest.index, until)) ahead = this.#page(next, largest, signal)
        ahead?.catch(() => {})
        for (const batch of page.batches(until, this.#table.epoch, this.#writers)) {
          if (signal.aborted) return
          yield batch
        }
        at = next
      }
      if (at.index >= until) return
      if (at.index >= newest.index) await untilTold(bell, this.#pollMs, this.#clock, signal)
    }
  }

  async #page({ index }: Cursor, largest: number | undefined, signal: AbortSignal): Promise<Page> {
    const fit = largest === undefined ? 0 : Math.floor(PAGE_BYTES / Math.max(1, largest))
    const [entries, bytes] =
      fit < PAGE_ENTRIES_MIN ? [PAGE_ENTRIES, PAGE_BYTES] : [Math.min(PAGE_ENTRIES, fit), undefined]
    const rows = await this.#table.copyPage(index, entries, bytes, { signal })
    return new Page(rows)
  }

  /** Throws unless the page goes on where the cursor is. */
  async #check({ index, id }: Cursor, page: Page): Promise<Head> {
    const { head, cursorId } = page
    const { place, epoch } = this.#table
    if (head?.epoch !== epoch) return await this.#table.notFound()
    const { newest, first } = head
    if (newest.index < index) throw new LogRewound(index, newest.index, { place })
    if (id !== undefined && cursorId !== undefined && cursorId !== id)
      throw new LogRewound(index, newest.index, { place })
    if (index + 1 < first) throw new LogTruncated(index + 1, first, { place })
    const last = page.length === 0 ? index : page.lastIndex
    if (last !== index + page.length || (page.length === 0 && index < newest.index))
      throw new LogDamaged(`entries after ${index} are missing; restore a backup`, { place })
    return head
  }

  /** Learn who appended the entries of a page. */
  async #meet(keys: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const table = this.#table
    for (const key of keys) {
      if (this.#writers.has(key)) continue
      const number = BigInt.asIntN(64, BigInt(`0x${key}`))
      const [row] = await table.ask<{ author: Buffer }>(table.statements.author, [number], { signal })
      this.#writers.set(key, { nonce: key, author: row?.author.toString() ?? '' })
    }
  }
}
