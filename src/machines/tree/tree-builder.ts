import { ByteReader } from '../../machine/byte-reader.ts'
import type { ByteString } from '../../machine/byte-string.ts'
import { MalformedItem } from '../../machine/errors.ts'
import type { Items } from '../../machine/items.ts'
import { KEY_BYTES_MAX } from '../limits.ts'
import { InnerNode, type Node } from './inner-node.ts'
import { Leaf, NO_EDITION } from './leaf.ts'
import { fullRoom, NO_KEY, type Order, PackedTree } from './packed-tree.ts'
import { Pages, Slab } from './pages.ts'
import { lengthBytes } from './record.ts'

/** How full of the page that it would have on its own a leaf is made. A first insertion then finds room. */
const FULL = 7 / 8
/** The children of an inner node. */
const CHILDREN = 56

/** A key in a buffer. */
interface KeyPlace {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** Called for each item whose head has the flag, with where it begins and ends. */
export type OnFlagged = (bytes: Uint8Array, start: number, end: number) => void

/**
 * Builds a tree from the items of chunks, in order. The chunks themselves become the tree's slabs: nothing is
 * copied, and of each item only the head is read.
 */
export class TreeBuilder {
  readonly #order: Order
  readonly #onFlagged: OnFlagged | undefined
  readonly #pages = new Pages()
  readonly #leaves: Leaf[] = []
  readonly #separators: ByteString[] = []
  /** The last item's key. */
  #last: KeyPlace = { bytes: new Uint8Array(), start: 0, end: 0 }
  #items = 0

  constructor(order: Order, onFlagged?: OnFlagged) {
    this.#order = order
    this.#onFlagged = onFlagged
  }

  /** Throws `MalformedItem` for items whose keys do not ascend, or that have none. */
  add(items: Items): void {
    if (items.length === 0) return
    if (this.#order === 'keys') this.#checkKeys(items)
    const words = new Uint16Array(items.length)
    const first = items.start(0) - lengthBytes(items.end(0) - items.start(0))
    const slab = new Slab(items.bytes, words, items.end(items.length - 1) - first + words.byteLength)
    let start = first
    let from = 0
    for (let i = 1; i < items.length; i++) {
      const taken = items.end(i) - start + 2 * (i + 1 - from)
      if (taken <= fullRoom(taken, i + 1 - from) * FULL) continue
      this.#addLeaf(slab, items, from, i)
      start = items.end(i - 1)
      from = i
    }
    this.#addLeaf(slab, items, from, items.length)
    this.#items += items.length
  }

  /** The tree. The builder must not be used again. */
  finish(): PackedTree {
    if (this.#items === 0) return new PackedTree(this.#order)
    let nodes: Node[] = this.#leaves
    let separators = this.#separators
    let height = 0
    for (; nodes.length > 1; height++) {
      const count = Math.ceil(nodes.length / CHILDREN)
      const above: Node[] = []
      const bounds: ByteString[] = []
      for (let n = 0; n < count; n++) {
        const [from, to] = [(n * nodes.length) / count, ((n + 1) * nodes.length) / count].map(Math.floor) as [
          number,
          number,
        ]
        bounds.push(separators[from]!)
        above.push(InnerNode.over(NO_EDITION, nodes.slice(from, to), separators.slice(from, to)))
      }
      nodes = above
      separators = bounds
    }
    return new PackedTree(this.#order, { root: nodes[0]!, height, pages: this.#pages })
  }

  /** A leaf of the items from `from` up to `to`, which is a view of their buffer. */
  #addLeaf(slab: Slab, items: Items, from: number, to: number): void {
    const start = items.start(from) - lengthBytes(items.end(from) - items.start(from))
    const end = items.end(to - 1)
    const slots = slab.words.length - 1 - from
    slab.words[slots] = 0
    for (let i = from + 1; i < to; i++) slab.words[slots - i + from] = items.end(i - 1) - start
    const place = { start, room: end - start + 2 * (to - from), slots }
    const leaf = new Leaf(NO_EDITION, slab, place, { end, length: to - from })
    this.#pages.adopt(slab, leaf.room)
    this.#leaves.push(leaf)
    this.#separators.push(this.#order === 'keys' ? leaf.keyAt(0) : NO_KEY)
  }

  #checkKeys(items: Items): void {
    const { bytes } = items
    const reader = new ByteReader(bytes, MalformedItem)
    let { bytes: lastBytes, start: lastStart, end: lastEnd } = this.#last
    let isFirst = this.#items === 0
    for (let i = 0; i < items.length; i++) {
      reader.window(items.start(i), items.end(i))
      const head = reader.uvarint()
      const keyBytes = Math.floor(head / 2)
      if (keyBytes > KEY_BYTES_MAX)
        throw reader.malformed(`a key of ${keyBytes} bytes is beyond ${KEY_BYTES_MAX}`)
      const keyEnd = reader.skip(keyBytes)
      const keyStart = keyEnd - keyBytes
      if (!isFirst && !isBelow(lastBytes, lastStart, lastEnd, bytes, keyStart, keyEnd))
        throw reader.malformed('its key is not above the one before')
      isFirst = false
      lastBytes = bytes
      lastStart = keyStart
      lastEnd = keyEnd
      if (head % 2 === 1) this.#onFlagged?.(bytes, items.start(i), items.end(i))
    }
    this.#last = { bytes, start: lastStart, end: lastEnd }
  }
}

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
