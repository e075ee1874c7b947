/** A clock that runs a little slower or faster than the servers' is noticed within two of these. */
const WINDOW_MS = 60_000

/**
 * What time it is on the servers, as their timestamps tell. A timestamp is never younger than the moment it arrives, so the
 * latest that was heard, moved on by our own clock, is the closest; those heard long ago are forgotten, because no two clocks run alike.
 */
export class ServerClock {
  readonly #now: () => number
  /** The greatest difference to our own clock in the window before, and in this one. */
  #before = Number.NEGATIVE_INFINITY
  #current = Number.NEGATIVE_INFINITY
  #windowEndsMs: number

  /** @param now milliseconds that never jump, from any origin */
  constructor(now: () => number) {
    this.#now = now
    this.#windowEndsMs = now() + WINDOW_MS
  }

  /** The servers wrote this timestamp just now, or earlier. */
  heard(timestampMs: number): void {
    this.#turn()
    this.#current = Math.max(this.#current, timestampMs - this.#now())
  }

  /** How old something is that the servers have given this timestamp. */
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
