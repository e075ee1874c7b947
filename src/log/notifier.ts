/** Lets one loop sleep until somebody has news for it. A ring that nobody waits for is kept for the next wait. */
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
