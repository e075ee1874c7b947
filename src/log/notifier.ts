/** Lets one loop sleep until somebody has news for it. A ring that nobody waits for is kept for the next wait. */
export class Doorbell {
  #rung = false
  #wake: (() => void) | undefined

  readonly ring = (): void => {
    this.#rung = true
    this.#wake?.()
  }

  async wait(): Promise<void> {
    if (!this.#rung) await new Promise<void>((wake) => (this.#wake = wake))
    this.#rung = false
    this.#wake = undefined
  }
}
