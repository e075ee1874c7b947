import type { Run } from '../machine/run.ts'

/**
 * A chunk as it stands in memory: neighbouring runs, of which the first may begin and the last may end
 * between two of its items. Its bytes are put together only when somebody asks, so that a state that is
 * captured takes no memory twice. They are there until the snapshot of the runs is released.
 */
export class Slices {
  /** The chunk's size. */
  readonly bytes: number
  readonly #runs: readonly Run[]
  readonly #from: number
  readonly #to: number

  /**
   * @param runs at least one
   * @param from where the chunk begins in the first run, in bytes from the run's start
   * @param to where it ends in the last run
   * @param bytes what that comes to
   */
  constructor(runs: readonly Run[], from: number, to: number, bytes: number) {
    this.#runs = runs
    this.#from = from
    this.#to = to
    this.bytes = bytes
  }

  /** The number of parts. */
  get length(): number {
    return this.#runs.length
  }

  /** A view of the bytes that come from run `i`. */
  part(i: number): Uint8Array {
    const { bytes, start, end } = this.#runs[i]!
    const last = this.#runs.length - 1
    return bytes.subarray(i === 0 ? start + this.#from : start, i === last ? start + this.#to : end)
  }

  /** The whole chunk, as a copy. */
  join(): Uint8Array {
    const joined = new Uint8Array(Buffer.allocUnsafeSlow(this.bytes).buffer)
    let at = 0
    for (let i = 0; i < this.#runs.length; i++) {
      const part = this.part(i)
      joined.set(part, at)
      at += part.length
    }
    return joined
  }
}
