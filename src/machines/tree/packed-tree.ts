import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'
import type { Run } from '../../machine/run.ts'
import { systemClock } from '../../time/clock.ts'
import { leavesBelow, type TreeContents } from './inner-node.ts'
import { Leaf, NO_EDITION } from './leaf.ts'
import { Pages, Slab } from './pages.ts'
import { Path } from './path.ts'
import { keyAt, recordBytes } from './record.ts'
import { UndoLog } from './undo-log.ts'

/** The bytes of a page that holds some dozens of items. */
export const PAGE_BYTES = 4096
/** A page of large items is larger, so that it holds this many of the average size. */
const PAGE_ITEMS = 16
/** The largest page of more than one item, in bytes. Words can point that far. */
const PAGE_BYTES_MAX = 32 * 1024
/** The first page of a tree. The page of a tree that is one leaf grows by doubling. */
const PAGE_BYTES_MIN = 128
/** A leaf that takes less of its page than this is joined with a neighbour, if both fit into the other part. */
const SPARSE_BYTES = PAGE_BYTES / 4
const JOINED_BYTES = (PAGE_BYTES * 3) / 4
/** A full leaf gives items to a neighbour that has this much room. If none has, it is split. */
const ROOMY_BYTES = PAGE_BYTES / 4
/** The most leaves that one step of compaction moves. A write makes one step, and a turn at rest several. */
const MOVES_MAX = 8
const STEPS_PER_TURN = 32

let editions = NO_EDITION

/** How the items of a tree are ordered: by the keys that they begin with (see record.ts), or by place alone. */
export type Order = 'keys' | 'places'

/** The items between two places. */
export interface PlaceRange {
  /** Default: 0. */
  readonly from?: number | undefined
  /** The place after the last. Default: the tree's size. */
  readonly to?: number | undefined
  /** Last item first. Default: false. */
  readonly reverse?: boolean | undefined
}

/** Some items of one leaf, from `from` up to `to`. */
export interface LeafRange {
  readonly leaf: Leaf
  readonly from: number
  readonly to: number
}

/**
 * Items in order, packed: a B+ tree whose leaves are runs of bytes, as they stand in a chunk. An item is found by
 * its place or, if the items begin with keys in ascending order, by its key. Inner nodes know how many items and
 * bytes are below them.
 *
 * `capture` is O(1). The two trees share all nodes, and a write copies the nodes on its path (Driscoll, Sarnak,
 * Sleator and Tarjan, "Making data structures persistent", 1989). A full leaf gives items to a neighbour before it
 * is split, as in a B*-tree (Knuth, volume 3, 6.2.4), so that pages stay some 85% full. Memory that no tree needs
 * is left to the garbage collector, by whole slabs. If much of the slabs is dead, each write that leaves a page
 * moves some leaves out of slabs that are mostly dead.
 *
 * There is one cursor. `seek` and `seekAt` set it, and every write ends it.
 */
export class PackedTree {
  readonly #order: Order
  readonly #path: Path
  #pages: Pages
  #edition = ++editions
  /** The place at which compaction goes on; undefined while there is none. */
  #compacting: number | undefined
  /** The pages that had been dropped at the last step of compaction. */
  #drops = 0
  /** Later turns of the event loop go on with compaction. */
  #isCompacting = false
  /** Snapshots that hold pages which this tree has left. */
  #holds = 0
  /** How to undo the writes of a transaction. */
  #undo: UndoLog | undefined

  constructor(order: Order, contents: TreeContents = emptyTree()) {
    this.#order = order
    this.#path = new Path(contents.root, contents.height)
    this.#pages = contents.pages
  }

  /** The number of items. */
  get size(): number {
    return this.#path.root.length
  }

  /** The bytes of the items, each with its length before it. */
  get bytes(): number {
    return this.#path.root.size
  }

  /** The bytes of the buffers in which the items lie. */
  get heldBytes(): number {
    return this.#pages.held
  }

  /** The same items, in a tree for readers. Later writes to this one do not show in it. */
  capture(): PackedTree {
    this.#edition = ++editions
    const { root, height } = this.#path
    return new PackedTree(this.#order, { root, height, pages: new Pages() })
  }

  /**
   * A captured tree is to be kept for long. Nothing is compacted meanwhile: the pages that this tree leaves are not
   * given back before, so that moving leaves would only take memory.
   */
  hold(): void {
    this.#holds++
  }

  /** The captured tree is not needed any more. */
  release(): void {
    this.#holds--
    this.#beginCompaction()
  }

  /** Set the cursor to the item with this key. False if there is none: the cursor is where it belongs. */
  seek(key: ByteString): boolean {
    return this.#path.seek(key)
  }

  /** Set the cursor to the item at a place from 0; to the end, if the place is the tree's size. */
  seekAt(place: number): void {
    this.#path.seekAt(place)
  }

  /** The cursor's place: how many items come before it. */
  get place(): number {
    return this.#path.place
  }

  /** The item at the cursor: a view, valid until the next write. */
  item(): Uint8Array {
    return this.#path.leaf.item(this.#path.at)
  }

  /** The leaf at the cursor, and which item of it. */
  get cursor(): { readonly leaf: Leaf; readonly at: number } {
    return this.#path
  }

  /** From here on, remember how to undo writes. */
  begin(): void {
    this.#undo = new UndoLog()
  }

  /** Keep what was written since `begin`. */
  commit(): void {
    this.#undo = undefined
  }

  /** Undo what was written since `begin`. */
  rollback(): void {
    const undo = this.#undo
    this.#undo = undefined
    undo?.undo(this)
  }

  /** Insert an item before the cursor. */
  insert(item: Uint8Array): void {
    this.#undo?.inserted(this.place)
    const path = this.#path
    this.#insert(item, recordBytes(item))
    path.isAppending = path.at === path.leaf.length - 1 && (path.isAppending || path.isOutermost(1))
    this.#compact()
  }

  /** Put another item in the place of the one at the cursor. Its key must be the same. */
  replace(item: Uint8Array): void {
    this.#undo?.replaced(this.place, this.item())
    const path = this.#path
    const before = path.leaf.recordStart(path.at + 1) - path.leaf.recordStart(path.at)
    const bytes = recordBytes(item)
    this.#own(Math.max(0, bytes - before))
    const { leaf } = path
    if (leaf.taken + bytes - before <= leaf.room) {
      leaf.replace(path.at, item)
      if (bytes !== before) path.grow(0, bytes - before)
      // A large item had a page of its own.
      if (leaf.room > PAGE_BYTES_MAX && leaf.taken < PAGE_BYTES_MAX)
        path.putLeaf(this.#moved(leaf, pageRoom(leaf.taken, leaf.length)))
    } else {
      leaf.remove(path.at)
      path.grow(-1, -before)
      this.#insert(item, bytes)
    }
    this.#compact()
  }

  /** Remove the item at the cursor. */
  remove(): void {
    this.#undo?.removed(this.place, this.item())
    const path = this.#path
    const bytes = path.leaf.recordStart(path.at + 1) - path.leaf.recordStart(path.at)
    this.#own(0)
    const { leaf } = path
    leaf.remove(path.at)
    path.grow(-1, -bytes)
    if (path.height > 0) {
      if (leaf.length === 0) this.#dropLeaf(leaf)
      else if (leaf.taken < SPARSE_BYTES) this.#join()
    }
    this.#compact()
  }

  /** Remove the items from a place on: whole leaves at once, but in a transaction one by one. */
  truncate(place: number): void {
    const path = this.#path
    if (this.#undo !== undefined) {
      for (; this.size > place; this.remove()) path.seekAt(this.size - 1)
    } else if (place <= 0) this.clear()
    if (this.size <= place) return
    path.seekAt(place - 1)
    this.#own(0)
    const { leaf } = path
    const kept = path.at + 1
    path.grow(kept - leaf.length, leaf.recordStart(kept) - leaf.end)
    leaf.remove(kept, leaf.length)
    for (const { slab, room } of path.dropAfter()) this.#pages.drop(slab, room)
    if (path.height > 0 && leaf.taken < SPARSE_BYTES) this.#join()
    path.dropRoots()
    this.#compacting = undefined
    this.#beginCompaction()
  }

  /** Remove all items. */
  clear(): void {
    const { root, height } = this.#path
    this.#undo?.cleared({ root, height, pages: this.#pages })
    this.refill(emptyTree())
  }

  /** Put what was in the tree before in the place of what is in it now. */
  refill({ root, height, pages }: TreeContents): void {
    this.#path.root = root
    this.#path.height = height
    this.#path.seekAt(0)
    this.#pages = pages
    this.#compacting = undefined
    this.#drops = pages.drops
  }

  /** The items between two places, as views. The tree must not be written meanwhile. */
  *items(range: PlaceRange = {}): Generator<Uint8Array, undefined> {
    for (const { leaf, from, to } of this.leaves(range)) {
      if (range.reverse) for (let i = to - 1; i >= from; i--) yield leaf.item(i)
      else for (let i = from; i < to; i++) yield leaf.item(i)
    }
  }

  /** The leaves between two places. The tree must not be written meanwhile. */
  *leaves({ from = 0, to = this.size, reverse = false }: PlaceRange = {}): Generator<LeafRange, undefined> {
    const [first, end] = [Math.max(0, from), Math.min(to, this.size)]
    let place = reverse ? end - 1 : first
    while (place >= first && place < end) {
      this.#path.seekAt(place)
      const { siblings, at } = this.#path
      let { index } = this.#path
      let start = place - at
      for (
        let leaf = siblings[index];
        leaf !== undefined && place >= first && place < end;
        leaf = siblings[index]
      ) {
        yield { leaf, from: Math.max(first - start, 0), to: Math.min(end - start, leaf.length) }
        index += reverse ? -1 : 1
        place = reverse ? start - 1 : start + leaf.length
        start = reverse ? start - (siblings[index]?.length ?? 0) : place
      }
    }
  }

  /** The leaves, as runs that do not change any more. For captured trees. */
  *runs(): Generator<Run, undefined> {
    const { root, height } = this.#path
    if (this.size === 0) return
    for (const leaves of leavesBelow(root, height)) for (const leaf of leaves) yield leaf.freeze()
  }

  #insert(item: Uint8Array, bytes: number): void {
    this.#own(bytes + 2)
    if (this.#path.leaf.roomAfter(bytes) < 0) this.#makeRoom(item, bytes)
    this.#path.leaf.insert(this.#path.at, item)
    this.#path.grow(1, bytes)
  }

  /** Make the nodes of the path writable. A leaf that is copied for it gets room for `more` bytes. */
  #own(more: number): void {
    const path = this.#path
    const { leaf } = path
    if (leaf.edition === this.#edition) return
    path.own(this.#edition)
    const taken = leaf.taken + more
    const fits = taken <= fullRoom(taken, leaf.length + 1)
    path.putLeaf(this.#moved(leaf, this.#roomFor(fits ? taken : leaf.taken, leaf.length + 1)))
  }

  /** A page's size, for what is to be in it. */
  #roomFor(taken: number, items: number): number {
    const room = pageRoom(taken, items)
    if (this.#path.height > 0) return room
    return Math.min(room, Math.max(PAGE_BYTES_MIN, 2 ** Math.ceil(Math.log2(taken))))
  }

  /** A copy of a leaf on a page of its own, which takes its place. */
  #moved(leaf: Leaf, room: number): Leaf {
    const copy = Leaf.onPage(this.#edition, this.#pages.take(room), room)
    copy.copy(0, leaf)
    this.#pages.drop(leaf.slab, leaf.room)
    return copy
  }

  /** Bring the cursor to a leaf that has room for a record of `bytes` bytes. */
  #makeRoom(item: Uint8Array, bytes: number): void {
    const path = this.#path
    let isBalanced = false
    while (path.leaf.roomAfter(bytes) < 0) {
      const { leaf } = path
      const taken = leaf.taken + bytes + 2
      if (leaf.length === 0 || taken <= fullRoom(taken, leaf.length + 1)) {
        path.putLeaf(this.#moved(leaf, this.#roomFor(taken, leaf.length + 1)))
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
    const isOwn = before.edition === this.#edition && before.room === PAGE_BYTES
    const neighbour = isOwn ? before : this.#moved(before, PAGE_BYTES)
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
    return Leaf.onPage(this.#edition, this.#pages.take(room), room)
  }

  /** Join the leaf at the cursor with a neighbour that leaves some room. */
  #join(): void {
    const path = this.#path
    const { leaf } = path
    for (const by of [1, -1] as const) {
      const neighbour = path.neighbour(by)
      const taken = leaf.taken + (neighbour?.taken ?? 0)
      if (neighbour === undefined || taken > JOINED_BYTES || taken > leaf.room) continue
      leaf.copy(by === 1 ? leaf.length : 0, neighbour)
      const { separators } = path.parent!
      if (by === -1) separators[path.index] = separators[path.index - 1]!
      path.turn(by, 0)
      return this.#dropLeaf(neighbour)
    }
  }

  #dropLeaf(leaf: Leaf): void {
    this.#pages.drop(leaf.slab, leaf.room)
    this.#path.dropChild()
  }

  /** Move some leaves, if pages were dropped and much of the slabs is dead. */
  #compact(): void {
    if (this.#pages.drops === this.#drops && this.#compacting === undefined) return
    this.#beginCompaction()
    if (this.#compacting !== undefined && this.#holds === 0) this.#moveSome(this.#compacting)
    this.#drops = this.#pages.drops
  }

  #beginCompaction(): void {
    if (this.#compacting !== undefined || this.#holds > 0 || !this.#pages.isWasteful) return
    this.#compacting = 0
    void this.#compactInTurns()
  }

  /** Go on in later turns of the event loop, so that what is dead is given back if nobody writes. */
  async #compactInTurns(): Promise<void> {
    if (this.#isCompacting) return
    this.#isCompacting = true
    while (this.#compacting !== undefined && this.#holds === 0) {
      await systemClock.turn()
      for (let n = 0; n < STEPS_PER_TURN && this.#compacting !== undefined && this.#holds === 0; n++)
        this.#moveSome(this.#compacting)
    }
    this.#isCompacting = false
    if (this.#holds > 0) this.#compacting = undefined
  }

  #moveSome(from: number): void {
    const path = this.#path
    this.#compacting = undefined
    if (path.height === 0) return
    path.seekAt(Math.min(from, this.size))
    let place = Math.min(from, this.size) - path.at
    let moves = 0
    for (let i = path.index; i < path.siblings.length && moves < MOVES_MAX; i++) {
      const leaf = path.siblings[i]!
      place += leaf.length
      if (!this.#pages.isMostlyDead(leaf.slab)) continue
      if (moves++ === 0) path.own(this.#edition)
      const moved = this.#moved(leaf, this.#roomFor(leaf.taken, leaf.length))
      // The bytes are the same: so is the version, by which a cut knows them.
      moved.version = leaf.version
      moved.boundaries = leaf.boundaries
      path.parent!.children[i] = moved
    }
    this.#compacting = place >= this.size ? undefined : place
  }

  #separator(leaf: Leaf, i: number): ByteString {
    return this.#order === 'keys' ? leaf.keyAt(i) : NO_KEY
  }

  #keyOf(item: Uint8Array): ByteString {
    return this.#order === 'keys' ? keyAt(item, 0) : NO_KEY
  }
}

/** The separator of trees without keys. */
export const NO_KEY = byteStringOf(new Uint8Array())

/** How much a leaf with items of this average size may take, in bytes: an even number. */
export function fullRoom(taken: number, items: number): number {
  if (items === 1) return Math.max(PAGE_BYTES, taken + (taken % 2))
  return Math.min(PAGE_BYTES_MAX, Math.max(PAGE_BYTES, Math.ceil(taken / items) * PAGE_ITEMS))
}

/** The bytes of a page for a leaf that takes this much. */
function pageRoom(taken: number, items: number): number {
  return Math.max(fullRoom(taken, items), taken + (taken % 2))
}

/** The item that begins the second half of a leaf's bytes. */
function middleOf(leaf: Leaf): number {
  let middle = 1
  while (middle < leaf.length - 1 && leaf.recordStart(middle) - leaf.start < leaf.size / 2) middle++
  return middle
}

function emptyTree(): TreeContents {
  const slab = new Slab(new Uint8Array(), new Uint16Array(), 0)
  const root = new Leaf(NO_EDITION, slab, { start: 0, room: 0, slots: -1 }, { end: 0, length: 0 })
  return { root, height: 0, pages: new Pages() }
}
