import { HEDGE_FACTOR, HEDGE_MIN_MS, HEDGE_UNMEASURED_MS } from './limits.ts'

/** Arrivals that are remembered. */
const SAMPLES = 64

/** How long chunks take from request to arrival, and from when on one is late compared to the others. */
export class Pace {
  readonly #tookMs: number[] = []

  arrived(tookMs: number): void {
    this.#tookMs.push(tookMs)
    if (this.#tookMs.length > SAMPLES) this.#tookMs.shift()
  }

  get isMeasured(): boolean {
    return this.#tookMs.length > 0
  }

  /** A chunk in flight for longer is late: a few times the median of the latest arrivals. */
  get lateMs(): number {
    if (this.#tookMs.length === 0) return HEDGE_UNMEASURED_MS
    const sorted = this.#tookMs.toSorted((a, b) => a - b)
    return Math.max(HEDGE_MIN_MS, HEDGE_FACTOR * sorted[sorted.length >> 1]!)
  }
}
