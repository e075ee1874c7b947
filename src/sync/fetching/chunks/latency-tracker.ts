/**
 * A chunk is late after so many times the median of what others took: most chunks of an honest provider come
 * before.
 */
const HEDGE_FACTOR = 3

/**
 * A chunk is late after this at the earliest, however quick others are: a pause of either process is as long.
 */
const HEDGE_MIN_MS = 250

/** A chunk is late after this as long as none has arrived, and so nothing is known. */
export const HEDGE_UNMEASURED_MS = 1_000

/**
 * Each chunk that came twice doubles the wait, up to so many times: beyond that, waiting is worse than
 * fetching twice.
 */
const HEDGE_PATIENCE_MAX = 8

/** Arrivals that are remembered: one round of full windows from four providers. */
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

  /**
   * A chunk came from both providers that were asked for it. The first was only slow: about one chunk in 64
   * may come twice.
   */
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
