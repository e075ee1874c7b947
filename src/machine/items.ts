/**
 * A run of items in one buffer. Iterate it or, where speed matters, read item `i` from `start(i)` up to
 * `end(i)` of `bytes`. The buffer does not change while the run is in use.
 */
export class Items implements Iterable<Uint8Array> {
  /** Holds all of them, and more. */
  readonly bytes: Uint8Array
  /** The number of items. */
  readonly length: number
  readonly #bounds: Uint32Array
  readonly #from: number

  /**
   * @param bytes items in order, without gaps, each preceded by its length as an unsigned LEB128 varint
   * @param bounds start and end of each item, one after the other
   */
  constructor(bytes: Uint8Array, bounds: Uint32Array, from = 0, length = bounds.length / 2) {
    this.bytes = bytes
    this.length = length
    this.#bounds = bounds
    this.#from = from * 2
  }

  /** Items made of separate arrays. */
  static of(...items: readonly Uint8Array[]): Items {
    const bounds = new Uint32Array(items.length * 2)
    const parts: Uint8Array[] = []
    let at = 0
    for (const [i, item] of items.entries()) {
      const length = lengthBefore(item)
      parts.push(length, item)
      bounds[2 * i] = at + length.length
      at += length.length + item.length
      bounds[2 * i + 1] = at
    }
    return new Items(new Uint8Array(Buffer.concat(parts)), bounds)
  }

  /** Where item `i` begins in `bytes`. The first item is 0. `i` is not checked. */
  start(i: number): number {
    return this.#bounds[this.#from + 2 * i]!
  }

  /** Where item `i` ends in `bytes`: behind its last byte. `i` is not checked. */
  end(i: number): number {
    return this.#bounds[this.#from + 2 * i + 1]!
  }

  /** Up to `count` items, beginning with the one at `from`. */
  run(from: number, count: number): Items {
    return new Items(this.bytes, this.#bounds, this.#from / 2 + from, Math.min(count, this.length - from))
  }

  /** Each item in order, as a view of `bytes`. */
  *[Symbol.iterator](): Generator<Uint8Array> {
    for (let i = 0; i < this.length; i++) yield this.bytes.subarray(this.start(i), this.end(i))
  }
}

function lengthBefore({ length }: Uint8Array): Uint8Array {
  const bytes: number[] = []
  let rest = length
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Uint8Array.of(...bytes, rest)
}
