/** A revival sets a deadline back by more than this, in milliseconds. What is less is the way of a message. */
const REVIVED_MS_MIN = 400

/** A deadline, between two views. */
export class Countdown {
  #atMs = 0
  #remainingMs = 0
  #told = false

  /** Take what was told at a moment of the page's own clock. True if somebody revived it meanwhile. */
  set(remainingMs: number, nowMs: number): boolean {
    const revived = this.#told && remainingMs > this.remainingMs(nowMs) + REVIVED_MS_MIN
    this.#atMs = nowMs
    this.#remainingMs = remainingMs
    this.#told = true
    return revived
  }

  /** Never less than 0. */
  remainingMs(nowMs: number): number {
    return Math.max(0, this.#remainingMs - (nowMs - this.#atMs))
  }
}
