import type { Run } from '../machine/run.ts'

/**
 * A chunk as it stands in memory: neighbouring runs, of which the first may begin and the last may end
 * between two of its items. Its bytes are put together only when somebody asks, so that a state that is
 * captured takes no memory twice.
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

  /** The chunk's bytes, in order. Runs that stand side by side are one part. */
  parts(): Uint8Array[] {
    const parts: Uint8Array[] = []
    const last = this.#runs.length - 1
    let whole: Uint8Array = new Uint8Array(0)
    let from = 0
    let to = 0
    for (const [i, { bytes, start, end }] of this.#runs.entries()) {
      const begin = i === 0 ? start + this.#from : start
      if (bytes !== whole || begin !== to) {
        if (to > from) parts.push(whole.subarray(from, to))
        whole = bytes
        from = begin
      }
      to = i === last ? start + this.#to : end
    }
    parts.push(whole.subarray(from, to))
    return parts
  }

  /**
   * The whole chunk. It is a view, if the chunk stands in one piece and takes most of its buffer: a chunk that
   * was installed is then handed on as it is. Otherwise it is a copy, so that a few bytes do not keep a buffer.
   */
  join(): Uint8Array {
    const parts = this.parts()
    const [first] = parts
    if (parts.length === 1 && first!.buffer.byteLength < this.bytes * 2) return first!
    const joined = new Uint8Array(Buffer.allocUnsafeSlow(this.bytes).buffer)
    copy(parts, joined)
    return joined
  }

  /** The whole chunk, for as long as `buffer` is not used otherwise: it is copied there, if it lies in parts. */
  joinIn(buffer: Uint8Array): Uint8Array {
    const parts = this.parts()
    if (parts.length === 1) return parts[0]!
    copy(parts, buffer)
    return buffer.subarray(0, this.bytes)
  }
}

function copy(parts: readonly Uint8Array[], into: Uint8Array): void {
  let at = 0
  for (const part of parts) {
    into.set(part, at)
    at += part.length
  }
}
