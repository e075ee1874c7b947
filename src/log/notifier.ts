/** Lets one loop sleep until it is notified. A notification that comes before the wait is kept for it. */
export class Notifier {
  #rung = false
  #wake: (() => void) | undefined

  readonly notify = (): void => {
    this.#rung = true
    this.#wake?.()
  }

  async wait(): Promise<void> {
    if (!this.#rung) await new Promise<void>((wake) => (this.#wake = wake))
    this.#rung = false
    this.#wake = undefined
  }
}
