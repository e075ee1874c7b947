import { HEDGE_FACTOR, HEDGE_MIN_MS, HEDGE_PATIENCE_MAX, HEDGE_UNMEASURED_MS } from '../limits.ts'

/** Arrivals that are remembered. */
const SAMPLES = 64

/** How long chunks take from request to arrival, and from when on one is late compared to the others. */
export class LatencyTracker {
  readonly #tookMs: number[] = []
  #patience = 1
  /** Chunks that arrived since the patience last changed. */
  #arrived = 0

  arrived(tookMs: number): void {
    this.#tookMs.push(tookMs)
    if (this.#tookMs.length > SAMPLES) this.#tookMs.shift()
    if (++this.#arrived >= SAMPLES) this.#setPatience(Math.max(1, this.#patience / 2))
  }

  /** A chunk came from both who were asked for it: who was late was only slow. So at most one chunk in 64 or so comes twice. */
  cameTwice(): void {
    this.#setPatience(Math.min(2 * this.#patience, HEDGE_PATIENCE_MAX))
  }

  get isMeasured(): boolean {
    return this.#tookMs.length > 0
  }

  /** A chunk that is waited for any longer is late: a few times the median of the latest arrivals. */
  get lateMs(): number {
    if (this.#tookMs.length === 0) return this.#patience * HEDGE_UNMEASURED_MS
    const sorted = this.#tookMs.toSorted((a, b) => a - b)
    return this.#patience * Math.max(HEDGE_MIN_MS, HEDGE_FACTOR * sorted[sorted.length >> 1]!)
  }

  #setPatience(patience: number): void {
    this.#patience = patience
    this.#arrived = 0
  }
}
