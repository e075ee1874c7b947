import type { Clock } from '../../time/clock.ts'

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
  readonly #own: Pick<Clock, 'now'>
  /** The greatest difference between a timestamp and our own clock in the last window. */
  #before = Number.NEGATIVE_INFINITY
  #current = Number.NEGATIVE_INFINITY
  #windowEndsMs: number

  constructor(own: Pick<Clock, 'now'>) {
    this.#own = own
    this.#windowEndsMs = own.now() + WINDOW_MS
  }

  /** A timestamp arrived. The servers wrote it now or earlier. */
  heard(timestampMs: number): void {
    this.#turn()
    this.#current = Math.max(this.#current, timestampMs - this.#own.now())
  }

  /** The age of something that the servers gave this timestamp, in milliseconds. */
  ageMs(timestampMs: number): number {
    this.#turn()
    return Math.max(0, this.#own.now() + Math.max(this.#before, this.#current) - timestampMs)
  }

  #turn(): void {
    const nowMs = this.#own.now()
    if (nowMs < this.#windowEndsMs || this.#current === Number.NEGATIVE_INFINITY) return
    this.#before = this.#current
    this.#current = Number.NEGATIVE_INFINITY
    this.#windowEndsMs = nowMs + WINDOW_MS
  }
}
