import type { Clock } from '../../time/clock.ts'

/** Lets one loop sleep until it is time to look again, or until something happens that it should look at. */
export class Wakeup {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  #isDue = false
  #end: (() => void) | undefined

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = signal
  }

  /** Something happened. If the loop is busy, its next sleep ends at once. */
  wake(): void {
    this.#isDue = true
    this.#end?.()
  }

  /**
   * Resolves after `delayMs`, or as soon as the loop is woken. Rejects with the signal's reason when that
   * aborts.
   */
  async sleep(delayMs: number): Promise<void> {
    this.#signal.throwIfAborted()
    if (!this.#isDue) await this.#rest(delayMs)
    this.#signal.throwIfAborted()
    this.#isDue = false
  }

  async #rest(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const onAbort = () => resolve()
    const timer = this.#clock.schedule(delayMs, resolve)
    this.#signal.addEventListener('abort', onAbort, { once: true })
    this.#end = resolve
    await promise
    this.#end = undefined
    this.#signal.removeEventListener('abort', onAbort)
    timer.cancel()
  }
}
