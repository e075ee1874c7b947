import type { Written } from '../machine/machine.ts'
import type { Position } from '../position.ts'

/**
 * This replica's own writes, from the append to their result. An entry may be applied before its append has told
 * us its index: results of own entries are kept while any append is under way.
 */
export class Writes<Result> {
  readonly #epoch: string
  readonly #waiting = new Map<
    number,
    { resolve: (written: Written<Result>) => void; reject: (reason: Error) => void }
  >()
  readonly #early = new Map<number, Result | undefined>()
  #appending = 0
  #applied = 0
  #failure: Error | undefined

  constructor(epoch: string) {
    this.#epoch = epoch
  }

  /** True when the results of this replica's own entries are wanted. */
  get wanted(): boolean {
    return this.#appending > 0 || this.#waiting.size > 0
  }

  async track(append: () => Promise<number>, signal?: AbortSignal): Promise<Written<Result>> {
    this.#appending++
    let index: number
    let early: Result | undefined
    try {
      index = await append()
      early = this.#early.get(index)
    } finally {
      if (--this.#appending === 0) this.#early.clear()
      else this.#early.delete(index!)
    }
    if (index <= this.#applied) return { position: this.#position(index), result: early }
    if (this.#failure !== undefined) throw this.#failure
    return await new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(index)
        reject(signal?.reason)
      }
      if (signal?.aborted) return reject(signal.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      const leave = () => signal?.removeEventListener('abort', onAbort)
      this.#waiting.set(index, {
        resolve: (written) => {
          leave()
          resolve(written)
        },
        reject: (reason) => {
          leave()
          reject(reason)
        },
      })
    })
  }

  /** One of this replica's own entries was applied. */
  applied(index: number, result: Result | undefined): void {
    this.#applied = index
    const waiting = this.#waiting.get(index)
    if (waiting !== undefined) {
      this.#waiting.delete(index)
      waiting.resolve({ position: this.#position(index), result })
    } else if (this.#appending > 0) {
      this.#early.set(index, result)
    }
  }

  /** Everything up to `index` is in the state, some of it perhaps by way of a snapshot. */
  covered(index: number): void {
    this.#applied = Math.max(this.#applied, index)
    for (const [waitingIndex, { resolve }] of this.#waiting) {
      if (waitingIndex > index) continue
      this.#waiting.delete(waitingIndex)
      resolve({ position: this.#position(waitingIndex), result: undefined })
    }
  }

  /** Nothing will be applied: whoever waits is told why, and so is whoever writes before `recover`. */
  fail(reason: Error): void {
    this.#failure = reason
    for (const { reject } of this.#waiting.values()) reject(reason)
    this.#waiting.clear()
  }

  /** There may be a state again. */
  recover(): void {
    this.#failure = undefined
  }

  #position(index: number): Position {
    return { epoch: this.#epoch, index }
  }
}
