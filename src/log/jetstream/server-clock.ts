/**
 * The length of a window, in milliseconds. A clock that runs a little slower or faster than the servers' is
 * noticed within two of these.
 */
const WINDOW_MS = 60_000

/**
 * Estimates the servers' time from their timestamps. A timestamp is at most as late as the servers' time when
 * it arrives. So the greatest one heard, moved on by our own clock, is the closest estimate. Old ones are
 * forgotten, because no two clocks run alike.
 */
export class ServerClock {
  readonly #now: () => number
  /** The greatest difference between a timestamp and our own clock in the last window. */
  #before = Number.NEGATIVE_INFINITY
  #current = Number.NEGATIVE_INFINITY
  #windowEndsMs: number

  /** @param now milliseconds that never jump, from any origin */
  constructor(now: () => number) {
    this.#now = now
    this.#windowEndsMs = now() + WINDOW_MS
  }

  /** A timestamp arrived. The servers wrote it now or earlier. */
  heard(timestampMs: number): void {
    this.#turn()
    this.#current = Math.max(this.#current, timestampMs - this.#now())
  }

  /** The age of something that the servers gave this timestamp, in milliseconds. */
  ageMs(timestampMs: number): number {
    this.#turn()
    return Math.max(0, this.#now() + Math.max(this.#before, this.#current) - timestampMs)
  }

  #turn(): void {
    const nowMs = this.#now()
    if (nowMs < this.#windowEndsMs || this.#current === Number.NEGATIVE_INFINITY) return
    this.#before = this.#current
    this.#current = Number.NEGATIVE_INFINITY
    this.#windowEndsMs = nowMs + WINDOW_MS
  }
}
