import { type Clock, sleep } from '../../time/clock.ts'
import type { Table } from './table.ts'

/** How long one statement that deletes pruned rows should take, in milliseconds. */
const SLICE_MS = 20
/** The pause between two such statements, in milliseconds. Others get the disk meanwhile. */
const PAUSE_MS = 20
/**
 * How much longer than the oldest entry a writer is kept, in milliseconds. An entry whose writer is forgotten has no
 * author.
 */
const FORGET_AFTER_MS = 7 * 24 * 60 * 60 * 1000
const ROWS_MIN = 16
const ROWS_MAX = 16_384

/** Deletes the rows of pruned entries in the background, in slices. */
export class Sweeper {
  readonly #table: Table
  readonly #clock: Clock
  readonly #closing: AbortSignal
  #isSweeping = false
  #wasAsked = false

  constructor(table: Table, closing: AbortSignal) {
    this.#table = table
    this.#clock = table.link.clock
    this.#closing = closing
  }

  /** Begin, unless it has begun. */
  sweep(): void {
    this.#wasAsked = true
    if (!this.#isSweeping) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isSweeping = true
    try {
      while (this.#wasAsked) {
        this.#wasAsked = false
        await this.#toTheEnd()
      }
    } catch {
      // The next prune, of any handle, begins where this one ended.
    } finally {
      this.#isSweeping = false
    }
  }

  async #toTheEnd(): Promise<void> {
    const table = this.#table
    const options = { signal: this.#closing }
    for (let rows = ROWS_MIN; ; ) {
      const beganMs = this.#clock.now()
      const [slice] = await table.change<Slice>(table.statements.sweep(rows), [], options)
      if (slice === undefined) return
      await table.change(table.statements.swept, [slice.swept], options)
      if (slice.swept >= slice.first - 1) break
      const tookMs = this.#clock.now() - beganMs
      rows = tookMs < SLICE_MS ? Math.min(ROWS_MAX, rows * 2) : Math.max(ROWS_MIN, Math.ceil(rows / 2))
      await sleep(this.#clock, PAUSE_MS, this.#closing)
    }
    await table.change(table.statements.forgetWriters, [FORGET_AFTER_MS], options)
  }
}

/** How far rows are deleted, and the first that is to stay. */
interface Slice {
  readonly swept: number
  readonly first: number
}
