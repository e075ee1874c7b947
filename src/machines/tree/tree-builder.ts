import { ByteReader } from '../../machine/byte-reader.ts'
import type { ByteString } from '../../machine/byte-string.ts'
import { MalformedItem } from '../../machine/errors.ts'
import type { Items } from '../../machine/items.ts'
import { KEY_BYTES_MAX } from '../limits.ts'
import { InnerNode, type Node } from './inner-node.ts'
import { Leaf, NO_EDITION } from './leaf.ts'
import { NO_KEY, type Order } from './leaves.ts'
import { PackedTree } from './packed-tree.ts'
import { fullRoom } from './page-rooms.ts'
import { Pages, Slab } from './pages.ts'
import { lengthBytes } from './record.ts'

/** How full of the page that it would have on its own a leaf is made. A first insertion then finds room. */
const FULL = 7 / 8
/** The children of an inner node. */
const CHILDREN = 56
/** Runs of less than this many bytes are copied together, because each buffer costs some 300 bytes more. */
const SMALL_BYTES = 16 * 1024

/** A key in a buffer. */
interface KeyPlace {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** Records one after the other, and where each ends. */
interface Records {
  readonly bytes: Uint8Array
  readonly start: number
  readonly ends: Uint32Array
}

/** Called for each item whose head has the flag, with where it begins and ends. */
export type OnFlagged = (bytes: Uint8Array, start: number, end: number) => void

/**
 * Builds a tree from the items of chunks, in order. The chunks themselves become the tree's slabs: nothing is
 * copied, and of each item only the key is read.
 */
export class TreeBuilder {
  readonly #order: Order
  readonly #onFlagged: OnFlagged | undefined
  readonly #pages = new Pages()
  readonly #leaves: Leaf[] = []
  readonly #separators: ByteString[] = []
  /** Small runs that wait to be copied together. */
  #small: Records[] = []
  #smallBytes = 0
  /** The last item's key. */
  #last: KeyPlace | undefined

  constructor(order: Order, onFlagged?: OnFlagged) {
    this.#order = order
    this.#onFlagged = onFlagged
  }

  /** Throws `MalformedItem` for items whose keys do not ascend, or that have none. */
  add(items: Items): void {
    if (items.length === 0) return
    if (this.#order === 'keys') this.#checkKeys(items)
    const start = items.start(0) - lengthBytes(items.end(0) - items.start(0))
    const ends = new Uint32Array(items.length)
    for (let i = 0; i < items.length; i++) ends[i] = items.end(i)
    const size = items.end(items.length - 1) - start
    if (size >= SMALL_BYTES) {
      this.#addSmall()
      this.#addRecords({ bytes: items.bytes, start, ends })
      return
    }
    this.#small.push({
      bytes: items.bytes.slice(start, start + size),
      start: 0,
      ends: ends.map((end) => end - start),
    })
    this.#smallBytes += size
    if (this.#smallBytes >= SMALL_BYTES) this.#addSmall()
  }

  /** The tree. The builder must not be used again. */
  finish(): PackedTree {
    this.#addSmall()
    if (this.#leaves.length === 0) return new PackedTree(this.#order)
    let nodes: Node[] = this.#leaves
    let separators = this.#separators
    let height = 0
    for (; nodes.length > 1; height++) {
      const count = Math.ceil(nodes.length / CHILDREN)
      const above: Node[] = []
      const bounds: ByteString[] = []
      for (let n = 0; n < count; n++) {
        const from = Math.floor((n * nodes.length) / count)
        const to = Math.floor(((n + 1) * nodes.length) / count)
        bounds.push(separators[from]!)
        above.push(InnerNode.over(NO_EDITION, nodes.slice(from, to), separators.slice(from, to)))
      }
      nodes = above
      separators = bounds
    }
    return new PackedTree(this.#order, { root: nodes[0]!, height, pages: this.#pages })
  }

  /** Copy the small runs that wait into one buffer. */
  #addSmall(): void {
    if (this.#small.length === 0) return
    const bytes = new Uint8Array(this.#smallBytes)
    const ends = new Uint32Array(this.#small.reduce((count, run) => count + run.ends.length, 0))
    let at = 0
    let n = 0
    for (const run of this.#small) {
      bytes.set(run.bytes, at)
      for (const end of run.ends) ends[n++] = at + end
      at += run.bytes.length
    }
    this.#small = []
    this.#smallBytes = 0
    this.#addRecords({ bytes, start: 0, ends })
  }

  #addRecords(records: Records): void {
    const { bytes, ends } = records
    const words = new Uint16Array(ends.length)
    const slab = new Slab(bytes, words, ends.at(-1)! - records.start + words.byteLength)
    let start = records.start
    let from = 0
    for (let i = 1; i < ends.length; i++) {
      const taken = ends[i]! - start + 2 * (i + 1 - from)
      if (taken <= PAGE_FULL || taken <= fullRoom(taken, i + 1 - from) * FULL) continue
      this.#addLeaf(slab, ends, start, from, i)
      start = ends[i - 1]!
      from = i
    }
    this.#addLeaf(slab, ends, start, from, ends.length)
  }

  /** A leaf of the records from `from` up to `to`, which is a view of their buffer. */
  #addLeaf(slab: Slab, ends: Uint32Array, start: number, from: number, to: number): void {
    const { words } = slab
    const slots = words.length - 1 - from
    for (let i = from + 1; i < to; i++) words[slots - i + from] = ends[i - 1]! - start
    const end = ends[to - 1]!
    const place = { start, room: end - start + 2 * (to - from), slots }
    const leaf = new Leaf(NO_EDITION, slab, place, { end, length: to - from })
    this.#pages.adopt(slab, leaf.room)
    this.#leaves.push(leaf)
    this.#separators.push(this.#order === 'keys' ? leaf.keyAt(0) : NO_KEY)
  }

  #checkKeys(items: Items): void {
    const { bytes } = items
    const reader = new ByteReader(bytes, MalformedItem)
    const last = this.#last
    let lastStart = 0
    let lastEnd = 0
    for (let i = 0; i < items.length; i++) {
      reader.window(items.start(i), items.end(i))
      const head = reader.uvarint()
      const keyBytes = Math.floor(head / 2)
      if (keyBytes > KEY_BYTES_MAX)
        throw reader.malformed(`a key of ${keyBytes} bytes is beyond ${KEY_BYTES_MAX}`)
      const end = reader.skip(keyBytes)
      const start = end - keyBytes
      const isAbove =
        i > 0
          ? isBelow(bytes, lastStart, lastEnd, bytes, start, end)
          : last === undefined || isBelow(last.bytes, last.start, last.end, bytes, start, end)
      if (!isAbove) throw reader.malformed('its key is not above the one before')
      lastStart = start
      lastEnd = end
      if (head % 2 === 1) this.#onFlagged?.(bytes, items.start(i), items.end(i))
    }
    this.#last = { bytes: bytes.slice(lastStart, lastEnd), start: 0, end: lastEnd - lastStart }
  }
}

const PAGE_FULL = fullRoom(2, 2) * FULL

/** Whether the key `a` comes before the key `b`, each from its start up to its end. */
function isBelow(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  const shared = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < shared; i++) {
    const order = a[aStart + i]! - b[bStart + i]!
    if (order !== 0) return order < 0
  }
  return aEnd - aStart < bEnd - bStart
}
