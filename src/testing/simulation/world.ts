import TinyQueue from 'tinyqueue'
import { systemClock, type Timer } from '../../time/clock.ts'
import { type Chance, chanceOf } from './chance.ts'
import { Trace } from './trace.ts'

/** When the runs begin, on a wall clock that is right: some day in 2026. */
export const BEGAN_MS = Date.UTC(2026, 0, 1)

interface Due {
  readonly atMs: number
  /** Of two that are due at one time, the one that was scheduled first comes first. */
  readonly order: number
  callback: (() => void) | undefined
}

/**
 * Time, chance, and the record of what happened, of one simulated run. Time stands still while something
 * happens, and then goes to the next thing that is due: all of what follows from one thing without a wait has
 * happened before the next.
 */
export class World {
  readonly seed: number
  readonly trace = new Trace()
  #nowMs = 0
  #order = 0
  readonly #due = new TinyQueue<Due>([], (a, b) => a.atMs - b.atMs || a.order - b.order)

  constructor(seed: number) {
    this.seed = seed
  }

  /** Milliseconds since the run began. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Random numbers for a part of the run. The same part gets the same ones in each run of this seed. */
  chance(part: string): Chance {
    return chanceOf(this.seed, part)
  }

  /** Have something happen, whatever becomes of the processes meanwhile. */
  schedule(delayMs: number, callback: () => void): Timer {
    const due: Due = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback }
    this.#due.push(due)
    return {
      cancel: () => {
        due.callback = undefined
      },
    }
  }

  note(who: string, what: string): void {
    this.trace.note({ atMs: this.#nowMs, who, what })
  }

  /**
   * Let the next thing happen, and all that follows from it without a wait. False: nothing is due by then,
   * and it is then.
   */
  async step(untilMs: number): Promise<boolean> {
    for (;;) {
      const due = this.#due.peek()
      if (due === undefined || due.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs)
        return false
      }
      this.#due.pop()
      if (due.callback === undefined) continue
      this.#nowMs = due.atMs
      due.callback()
      await this.rest()
      return true
    }
  }

  /**
   * Let happen all that follows without a wait. What a promise leads to is done before the event loop turns.
   */
  rest(): Promise<void> {
    return systemClock.turn()
  }
}
