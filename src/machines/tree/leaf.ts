import type { ByteString } from '../../machine/byte-string.ts'
import { type Boundaries, nextRunVersion, type Run } from '../../machine/run.ts'
import type { Slab } from './pages.ts'
import { compareKey, itemStart, keyAt, recordBytes, writeRecord } from './record.ts'

/** Of leaves that no tree may write: views of a chunk. */
export const NO_EDITION = 0

/**
 * A run of records in a slab, and where each begins: in words that are counted down from `slots`. In a page of
 * a tree's own, the records grow up from its start and the words down from its end.
 */
export class Leaf implements Run {
  /** Only the tree's edition in which a leaf was made may write it. */
  readonly edition: number
  readonly slab: Slab
  readonly bytes: Uint8Array
  readonly words: Uint16Array
  readonly start: number
  end: number
  length: number
  readonly slots: number
  /** The bytes of its page, or of the part of a chunk that it is a view of. */
  readonly room: number
  version = 0
  boundaries: Boundaries | undefined = undefined

  constructor(
    edition: number,
    slab: Slab,
    place: { readonly start: number; readonly room: number; readonly slots: number },
    contents: { readonly end: number; readonly length: number },
  ) {
    this.edition = edition
    this.slab = slab
    this.bytes = slab.bytes
    this.words = slab.words
    this.start = place.start
    this.end = contents.end
    this.length = contents.length
    this.slots = place.slots
    this.room = place.room
  }

  /** An empty leaf on the newest page of a slab. */
  static onPage(edition: number, slab: Slab, room: number): Leaf {
    const start = slab.used - room
    return new Leaf(edition, slab, { start, room, slots: slab.used / 2 - 1 }, { end: start, length: 0 })
  }

  /** The bytes of its records. */
  get size(): number {
    return this.end - this.start
  }

  /** What its records and their words take in a page. */
  get taken(): number {
    return this.end - this.start + 2 * this.length
  }

  /** What another record of this many bytes would leave of its page. Words reach 64 KiB from its start. */
  roomAfter(bytes: number): number {
    const room = this.length === 0 ? this.room : Math.min(this.room, 0x10000)
    return room - this.taken - bytes - 2
  }

  /** A record of this many bytes has room in the place of item `i`, and words reach what comes after it. */
  fits(i: number, bytes: number): boolean {
    const room = this.length === 1 ? this.room : Math.min(this.room, 0x10000)
    return this.taken + bytes - (this.recordStart(i + 1) - this.recordStart(i)) <= room
  }

  /** Where the record of item `i` begins. */
  recordStart(i: number): number {
    return i < this.length ? this.start + this.words[this.slots - i]! : this.end
  }

  /** Where item `i` itself begins. */
  itemStart(i: number): number {
    return itemStart(this.bytes, this.start + this.words[this.slots - i]!)
  }

  /** A view of item `i`. */
  item(i: number): Uint8Array {
    return this.bytes.subarray(this.itemStart(i), this.recordStart(i + 1))
  }

  keyAt(i: number): ByteString {
    return keyAt(this.bytes, this.itemStart(i))
  }

  /** The item with this key, or `~i` where `i` is the first item whose key comes after it. */
  find(key: ByteString): number {
    const { bytes, words, slots, start } = this
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const order = compareKey(bytes, itemStart(bytes, start + words[slots - middle]!), key)
      if (order === 0) return middle
      if (order < 0) low = middle + 1
      else high = middle
    }
    return ~low
  }

  /** Its last key comes before this one. */
  isBelow(key: ByteString): boolean {
    return compareKey(this.bytes, this.itemStart(this.length - 1), key) < 0
  }

  /** Its bytes do not change any more: they have a version, by which they are known. */
  freeze(): this {
    if (this.version === 0) this.version = nextRunVersion()
    return this
  }

  /** Insert an item before item `i`. There must be room. */
  insert(i: number, item: Uint8Array): void {
    const at = this.#open(i, i, recordBytes(item))
    const { words, slots } = this
    for (let n = this.length; n > i; n--) words[slots - n] = words[slots - n + 1]!
    words[slots - i] = at - this.start
    this.length++
    writeRecord(this.bytes, at, item)
  }

  /** Put an item in the place of item `i`. There must be room. */
  replace(i: number, item: Uint8Array): void {
    writeRecord(this.bytes, this.#open(i, i + 1, recordBytes(item)), item)
  }

  /** Remove the items from `from` up to `to`. */
  remove(from: number, to = from + 1): void {
    this.#open(from, to, 0)
    const { words, slots, length } = this
    for (let n = to; n < length; n++) words[slots - from - n + to] = words[slots - n]!
    this.length -= to - from
  }

  /** Copy items of another leaf, from `from` up to `to`, before item `i`. There must be room. */
  copy(i: number, source: Leaf, from = 0, to = source.length): void {
    const first = source.recordStart(from)
    const end = source.recordStart(to)
    const at = this.#open(i, i, end - first)
    const { words, slots } = this
    const count = to - from
    for (let n = this.length - 1; n >= i; n--) words[slots - n - count] = words[slots - n]!
    const by = at - this.start - (first - source.start)
    for (let n = 0; n < count; n++) words[slots - i - n] = source.words[source.slots - from - n]! + by
    this.length += count
    this.bytes.set(source.bytes.subarray(first, end), at)
  }

  /**
   * Make the space of the items from `from` up to `to` have `bytes` bytes, and move what follows. Returns where
   * it begins.
   */
  #open(from: number, to: number, bytes: number): number {
    const start = this.recordStart(from)
    const rest = this.recordStart(to)
    const by = start + bytes - rest
    if (by !== 0) {
      if (rest < this.end) this.bytes.copyWithin(rest + by, rest, this.end)
      const { words, slots, length } = this
      for (let n = to; n < length; n++) words[slots - n] = words[slots - n]! + by
      this.end += by
    }
    this.version = 0
    this.boundaries = undefined
    return start
  }
}
