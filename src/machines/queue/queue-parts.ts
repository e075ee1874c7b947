import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'
import { ItemParts } from '../item-parts.ts'
import type { Leaf } from '../tree/leaf.ts'
import { bracketEndAt, numberAt } from './place.ts'

/** A key's length has three bytes at most. */
const KEY_LENGTH_BITS_MAX = 14

/**
 * Where the parts of an item of the queue are in a buffer. An item is:
 * 1. a uvarint: twice the length of its place, plus 1 for one with a TTL;
 * 2. its place (place.ts);
 * 3. with a TTL, its deadline in machine time as a uvarint;
 * 4. its key's length as a uvarint, and its key;
 * 5. its value.
 */
export class QueueParts {
  readonly #parts = new ItemParts()
  start = 0
  bracketEnd = 0
  keyStart = 0
  keyEnd = 0

  /** Find the parts of the item from `start` up to `end`. */
  read(bytes: Uint8Array, start: number, end: number): this {
    const parts = this.#parts.read(bytes, start, end)
    this.start = start
    this.bracketEnd = bracketEndAt(bytes, parts.keyStart)
    let at = parts.valueStart
    let keyBytes = 0
    for (let shift = 0; shift <= KEY_LENGTH_BITS_MAX; shift += 7) {
      const byte = bytes[at++]!
      keyBytes |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    this.keyStart = at
    this.keyEnd = at + keyBytes
    return this
  }

  readAt(leaf: Leaf, i: number): this {
    return this.read(leaf.bytes, leaf.itemStart(i), leaf.recordStart(i + 1))
  }

  get bytes(): Uint8Array {
    return this.#parts.bytes
  }

  get placeStart(): number {
    return this.#parts.keyStart
  }

  get placeEnd(): number {
    return this.#parts.keyEnd
  }

  /** Where what comes after the deadline begins. */
  get contentStart(): number {
    return this.#parts.valueStart
  }

  get valueStart(): number {
    return this.keyEnd
  }

  get valueEnd(): number {
    return this.#parts.valueEnd
  }

  /** The machine time at which it dies; `Infinity` for an item that does not. */
  get deadlineMs(): number {
    return this.#parts.deadlineMs
  }

  get bracket(): ByteString {
    return byteStringOf(this.bytes, this.placeStart, this.bracketEnd)
  }

  get key(): ByteString {
    return byteStringOf(this.bytes, this.keyStart, this.keyEnd)
  }

  /** A view, valid as long as the buffer is. */
  get value(): Uint8Array {
    return this.bytes.subarray(this.valueStart, this.valueEnd)
  }

  copy(): ByteString {
    return byteStringOf(this.bytes, this.start, this.valueEnd)
  }

  /** Its number among the items of its priority. */
  get number(): number {
    return numberAt(this.bytes, this.bracketEnd, this.placeEnd)
  }

  /** Whether its parts fit into it. */
  get isWhole(): boolean {
    const { placeEnd, keyEnd, valueEnd } = this
    return this.bracketEnd < placeEnd && keyEnd <= valueEnd
  }

  /** Whether its priority is that of a bracket. */
  isIn(bracket: ByteString): boolean {
    if (this.bracketEnd - this.placeStart !== bracket.length) return false
    for (let i = 0; i < bracket.length; i++) {
      if (this.bytes[this.placeStart + i] !== bracket.charCodeAt(i)) return false
    }
    return true
  }
}
