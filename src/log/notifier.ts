/** Lets one loop sleep until it is notified. A notification that comes before the wait is kept for it. */
export class Notifier {
  #rung = false
  #wake: (() => void) | undefined

  /** Wake the loop, or have its next `wait()` resolve at once. Several of these before a wait count as one. */
  readonly notify = (): void => {
    this.#rung = true
    this.#wake?.()
  }

  /** Resolves when it is notified: at once if that was done since the last wait. Only one loop may wait at a time. */
  async wait(): Promise<void> {
    if (!this.#rung) await new Promise<void>((wake) => (this.#wake = wake))
    this.#rung = false
    this.#wake = undefined
  }
}
