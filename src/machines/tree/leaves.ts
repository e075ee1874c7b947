import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'
import { Leaf } from './leaf.ts'
import { fullRoom, PAGE_BYTES, PAGE_BYTES_MAX, PAGE_BYTES_MIN, pageRoom } from './page-rooms.ts'
import type { Pages } from './pages.ts'
import type { Path } from './path.ts'
import { keyAt } from './record.ts'

/**
 * A leaf that takes less of its page than this, or than half of a larger page, is joined with a neighbour, if both
 * fit into three quarters.
 */
const SPARSE_BYTES = PAGE_BYTES / 4
const JOINED_BYTES = (PAGE_BYTES * 3) / 4
/** A full leaf gives items to a neighbour that has this much room. If none has, it is split. */
const ROOMY_BYTES = PAGE_BYTES / 8

/** How the items of a tree are ordered: by the keys that they begin with (see record.ts), or by place alone. */
export type Order = 'keys' | 'places'

/** The separator of trees without keys. */
export const NO_KEY = byteStringOf(new Uint8Array())

/** Keeps the leaves of a tree writable, and neither too full nor too empty. All is done at the path's leaf. */
export class Leaves {
  readonly #order: Order
  readonly #path: Path
  /** Where new leaves come from, and what is told of those that go. */
  pages: Pages

  constructor(order: Order, path: Path, pages: Pages) {
    this.#order = order
    this.#path = path
    this.pages = pages
  }

  /** Make the nodes of the path writable. A leaf that is copied for it gets room for `more` bytes. */
  own(more: number): void {
    const path = this.#path
    const { leaf } = path
    if (leaf.edition === this.#path.edition) return
    path.own()
    const taken = leaf.taken + more
    const fits = taken <= fullRoom(taken, leaf.length + 1)
    path.putLeaf(this.moved(leaf, this.roomFor(fits ? taken : leaf.taken, leaf.length + 1)))
  }

  /** A page's size, for what is to be in it. */
  roomFor(taken: number, items: number): number {
    const room = pageRoom(taken, items)
    if (this.#path.height > 0) return room
    return Math.min(room, Math.max(PAGE_BYTES_MIN, 2 ** Math.ceil(Math.log2(taken))))
  }

  /** A copy of a leaf on a page of its own, which takes its place. */
  moved(leaf: Leaf, room: number): Leaf {
    const copy = Leaf.onPage(this.#path.edition, this.pages.take(room), room)
    copy.copy(0, leaf)
    this.pages.drop(leaf.slab, leaf.room)
    return copy
  }

  /** Bring the cursor to a leaf that has room for a record of `bytes` bytes. */
  makeRoom(item: Uint8Array, bytes: number): void {
    const path = this.#path
    let isBalanced = false
    while (path.leaf.roomAfter(bytes) < 0) {
      const { leaf } = path
      const taken = leaf.taken + bytes + 2
      if (leaf.length === 0 || taken <= fullRoom(taken, leaf.length + 1)) {
        path.putLeaf(this.moved(leaf, this.roomFor(taken, leaf.length + 1)))
      } else if (isBalanced || !(this.#give(1, bytes) || this.#give(-1, bytes))) {
        this.#split(item, bytes)
      }
      isBalanced = true
    }
  }

  /** Give a neighbour so many items that both are equally full. False if it has no room for that. */
  #give(by: 1 | -1, bytes: number): boolean {
    const path = this.#path
    const { leaf, at } = path
    const before = path.neighbour(by)
    if (before === undefined || leaf.room !== PAGE_BYTES) return false
    const free = PAGE_BYTES - before.taken
    if (free < ROOMY_BYTES) return false
    const wanted = Math.min(free, (leaf.taken + bytes - before.taken) / 2)
    let count = 0
    for (let taken = 0; count < leaf.length - 1; count++) {
      const i = by === 1 ? leaf.length - 1 - count : count
      taken += leaf.recordStart(i + 1) - leaf.recordStart(i) + 2
      if (taken > wanted) break
    }
    if (count === 0) return false
    const index = path.index + by
    const { children, separators } = path.parent!
    const isOwn = before.edition === this.#path.edition && before.room === PAGE_BYTES
    const neighbour = isOwn ? before : this.moved(before, PAGE_BYTES)
    children[index] = neighbour
    if (by === 1) {
      const kept = leaf.length - count
      neighbour.copy(0, leaf, kept)
      leaf.remove(kept, leaf.length)
      separators[index] = this.#separator(neighbour, 0)
      if (at > kept) path.turn(by, at - kept)
    } else {
      const had = neighbour.length
      neighbour.copy(had, leaf, 0, count)
      leaf.remove(0, count)
      separators[path.index] = this.#separator(leaf, 0)
      if (at <= count) path.turn(by, had + at)
      else path.at = at - count
    }
    return true
  }

  /** Put a leaf beside the one at the cursor: for half of its items, or for the new item alone. */
  #split(item: Uint8Array, bytes: number): void {
    const path = this.#path
    const { leaf, at } = path
    const isLarge = bytes * 2 > leaf.room
    const isAtEnd = at === leaf.length && (isLarge || path.isOutermost(1))
    const isAtStart = at === 0 && (isLarge || path.isOutermost(-1))
    if (leaf.length === 1 || isAtEnd || isAtStart) {
      const by = at === 0 ? -1 : 1
      const separator = by === 1 ? this.#keyOf(item) : this.#separator(leaf, 0)
      path.addLeaf(this.#page(pageRoom(bytes + 2, 1)), by, separator, true)
      path.at = 0
      return
    }
    const middle = isLarge && at > 0 && at < leaf.length ? at : middleOf(leaf)
    const items = leaf.length - middle
    const size = leaf.end - leaf.recordStart(middle)
    const right = this.#page(pageRoom(size + 2 * items, items))
    right.copy(0, leaf, middle)
    leaf.remove(middle, leaf.length)
    path.grow(-items, -size)
    path.addLeaf(right, 1, this.#separator(right, 0), at > middle)
    if (at > middle) path.at = at - middle
  }

  #page(room: number): Leaf {
    return Leaf.onPage(this.#path.edition, this.pages.take(room), room)
  }

  /** The leaf at the cursor has lost bytes. If it is sparse, join it with a neighbour, or give it a smaller page. */
  shrink(): void {
    const path = this.#path
    const { leaf } = path
    const { taken, room, length } = leaf
    if (taken >= (room > PAGE_BYTES ? room / 2 : SPARSE_BYTES) || this.#join() || room <= PAGE_BYTES) return
    const smaller = length === 0 ? PAGE_BYTES : this.roomFor(taken, length)
    if (smaller * 2 <= room) path.putLeaf(this.moved(leaf, smaller))
  }

  /** Join the leaf at the cursor with a neighbour that leaves some room. False if none does. */
  #join(): boolean {
    const path = this.#path
    const { leaf } = path
    const enough = Math.max(JOINED_BYTES, (Math.min(leaf.room, PAGE_BYTES_MAX) * 3) / 4)
    for (const by of [1, -1] as const) {
      const neighbour = path.neighbour(by)
      const taken = leaf.taken + (neighbour?.taken ?? 0)
      if (neighbour === undefined || taken > enough || taken > leaf.room) continue
      leaf.copy(by === 1 ? leaf.length : 0, neighbour)
      const { separators } = path.parent!
      if (by === -1) separators[path.index] = separators[path.index - 1]!
      path.turn(by, 0)
      this.drop(neighbour)
      return true
    }
    return false
  }

  drop(leaf: Leaf): void {
    this.pages.drop(leaf.slab, leaf.room)
    this.#path.dropChild()
  }

  #separator(leaf: Leaf, i: number): ByteString {
    return this.#order === 'keys' ? leaf.keyAt(i) : NO_KEY
  }

  #keyOf(item: Uint8Array): ByteString {
    return this.#order === 'keys' ? keyAt(item, 0) : NO_KEY
  }
}

/** The item that begins the second half of a leaf's bytes. */
function middleOf(leaf: Leaf): number {
  let middle = 1
  while (middle < leaf.length - 1 && leaf.recordStart(middle) - leaf.start < leaf.size / 2) middle++
  return middle
}
