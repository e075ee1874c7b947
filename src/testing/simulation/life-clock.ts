import type { Clock, Timer } from '../../time/clock.ts'
import type { Life } from './life.ts'

export interface LifeClockInit {
  /** How fast its monotonic clock goes, beside the world's: 1 is right. */
  readonly rate?: number
  /** Milliseconds since 1970 on the machine's wall clock now. */
  readonly wallMs: () => number
  /**
   * What a look at the clock costs, in milliseconds of the process's time. Code looks at the clock as it gets
   * work done, so this is how long work takes. Default 0: work takes no time.
   */
  readonly lookMs?: number
}

/**
 * Added to each timer, so that it is never early by this process's own clock: a multiplication rounds. It is
 * far more than that error, and far less than anybody notices.
 */
const ROUNDING_MS = 1e-6

/** The clocks of one process. Timers do not fire while it is paused. */
export class LifeClock implements Clock {
  readonly #life: Life
  readonly #bornMs: number
  readonly #rate: number
  readonly #lookMs: number
  readonly #wallMs: () => number

  constructor(life: Life, { rate = 1, wallMs, lookMs = 0 }: LifeClockInit) {
    this.#life = life
    this.#bornMs = life.nowMs
    this.#rate = rate
    this.#lookMs = lookMs
    this.#wallMs = wallMs
  }

  now(): number {
    if (this.#lookMs > 0) this.#life.work(this.#lookMs)
    return (this.#life.nowMs - this.#bornMs) * this.#rate
  }

  wallNow(): number {
    return this.#wallMs()
  }

  schedule(delayMs: number, callback: () => void): Timer {
    return this.#life.schedule(Math.max(0, delayMs) / this.#rate + ROUNDING_MS, callback)
  }

  turn(): Promise<void> {
    return new Promise((resolve) => this.#life.schedule(0, resolve))
  }
}
