import type { Clock } from './clock.ts'

/** Long enough to get work done, short enough that nobody who shares the event loop notices. */
export const SLICE_MS = 5
/** For what can wait: beside work in longer slices it takes a sixth of the time, and alone all of it. */
export const BACKGROUND_SLICE_MS = 1

/**
 * Cuts long synchronous work into slices. Ask `due()` often; when it says yes, `await rest()`.
 *
 *     for (const item of many) { work(item); if (slices.due()) await slices.rest() }
 */
export class Slices {
  readonly #clock: Clock
  readonly #sliceMs: number
  #beganMs: number

  constructor(clock: Clock, sliceMs: number = SLICE_MS) {
    this.#clock = clock
    this.#sliceMs = sliceMs
    this.#beganMs = clock.now()
  }

  due(): boolean {
    return this.#clock.now() - this.#beganMs >= this.#sliceMs
  }

  async rest(): Promise<void> {
    await this.#clock.turn()
    this.#beganMs = this.#clock.now()
  }
}
