import { type Random, systemRandom } from '../random.ts'

/** The first pause between two tries, in milliseconds. Each further one is twice as long. */
const PAUSE_MS_MIN = 50
/** The longest pause between two tries, in milliseconds. */
const PAUSE_MS_MAX = 2_000

/** A pause that doubles each time, with a random part, so that clients do not all come back at once. */
export class Pause {
  readonly #random: Random
  #ms = PAUSE_MS_MIN

  constructor(random: Random = systemRandom) {
    this.#random = random
  }

  nextMs(): number {
    const ms = this.#ms
    this.#ms = Math.min(2 * ms, PAUSE_MS_MAX)
    return ms * (0.5 + this.#random() / 2)
  }

  reset(): void {
    this.#ms = PAUSE_MS_MIN
  }

  /**
   * Resolves after the next pause, or when the signal aborts. Holds the process meanwhile: while the first
   * connection is made, nothing else may.
   */
  async wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const onAbort = () => resolve()
    const timer = setTimeout(resolve, this.nextMs())
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) resolve()
    await promise
    signal.removeEventListener('abort', onAbort)
    clearTimeout(timer)
  }
}

/** A signal that aborts when either of the two does. */
export function any(signal: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return signal === undefined ? other : AbortSignal.any([signal, other])
}
