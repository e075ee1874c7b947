import type { ByteString } from '../../machine/byte-string.ts'
import type { Run, RunGroup } from '../../machine/run.ts'
import { Compaction } from './compaction.ts'
import { lowestBelow, type TreeContents } from './inner-node.ts'
import { Leaf, NO_EDITION } from './leaf.ts'
import { Leaves, type Order } from './leaves.ts'
import { Pages, Slab } from './pages.ts'
import { Path } from './path.ts'
import { keyAt, recordBytes } from './record.ts'
import { UndoLog } from './undo-log.ts'

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
  readonly #leaves: Leaves
  readonly #compaction: Compaction
  /** How to undo the writes of a transaction. */
  #undo: UndoLog | undefined

  constructor(order: Order, contents: TreeContents = emptyTree()) {
    this.#order = order
    this.#path = new Path(contents.root, contents.height)
    this.#leaves = new Leaves(order, this.#path, contents.pages)
    this.#compaction = new Compaction(this.#path, this.#leaves)
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
    return this.#leaves.pages.held
  }

  /** The same items, in a tree for readers. Later writes to this one do not show in it. */
  capture(): PackedTree {
    this.#path.newEdition()
    const { root, height } = this.#path
    return new PackedTree(this.#order, { root, height, pages: new Pages() })
  }

  /**
   * A captured tree is to be kept for long. Nothing is compacted meanwhile: the pages that this tree leaves are not
   * given back before, so that moving leaves would only take memory.
   */
  hold(): void {
    this.#compaction.hold()
  }

  /** The captured tree is not needed any more. */
  release(): void {
    this.#compaction.release()
  }

  /** Set the cursor to the item with this key. False if there is none: the cursor is where it belongs. */
  seek(key: ByteString): boolean {
    return this.#path.seek(key)
  }

  /** Set the cursor to the item at a place from 0; to the end, if the place is the tree's size. */
  seekAt(place: number): void {
    this.#path.seekAt(place)
  }

  /**
   * Set the cursor to where an item belongs that is to be at a place. Between two leaves there are two such places,
   * and only a key says which of them it will be looked for in.
   */
  seekFor(item: Uint8Array, place: number): void {
    if (this.#order === 'keys') this.seek(keyAt(item, 0))
    else this.seekAt(place)
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
    this.#compaction.step()
  }

  /** Put another item in the place of the one at the cursor. Its key must be the same. */
  replace(item: Uint8Array): void {
    this.#undo?.replaced(this.place, this.item())
    const path = this.#path
    const before = path.leaf.recordStart(path.at + 1) - path.leaf.recordStart(path.at)
    const bytes = recordBytes(item)
    this.#leaves.own(Math.max(0, bytes - before))
    const { leaf } = path
    if (leaf.fits(path.at, bytes)) {
      leaf.replace(path.at, item)
      if (bytes !== before) path.grow(0, bytes - before)
      if (bytes < before) this.#leaves.shrink()
    } else {
      leaf.remove(path.at)
      path.grow(-1, -before)
      this.#insert(item, bytes)
    }
    this.#compaction.step()
  }

  /** Remove the item at the cursor. */
  remove(): void {
    this.#undo?.removed(this.place, this.item())
    const path = this.#path
    const bytes = path.leaf.recordStart(path.at + 1) - path.leaf.recordStart(path.at)
    this.#leaves.own(0)
    const { leaf } = path
    leaf.remove(path.at)
    path.grow(-1, -bytes)
    if (leaf.length === 0 && path.height > 0) this.#leaves.drop(leaf)
    else this.#leaves.shrink()
    this.#compaction.step()
  }

  /** Remove the items from a place from 0 on: whole leaves at once, but in a transaction one by one. */
  truncate(place: number): void {
    const path = this.#path
    if (place === 0) return this.clear()
    if (this.#undo !== undefined) for (; this.size > place; this.remove()) path.seekAt(this.size - 1)
    if (this.size <= place) return
    path.seekAt(place - 1)
    this.#leaves.own(0)
    const { leaf } = path
    const kept = path.at + 1
    path.grow(kept - leaf.length, leaf.recordStart(kept) - leaf.end)
    leaf.remove(kept, leaf.length)
    for (const { slab, room } of path.dropAfter()) this.#leaves.pages.drop(slab, room)
    this.#leaves.shrink()
    path.dropRoots()
    this.#compaction.restart()
  }

  /** Remove all items. */
  clear(): void {
    const { root, height } = this.#path
    this.#undo?.cleared({ root, height, pages: this.#leaves.pages })
    this.refill(emptyTree())
  }

  /** Put what was in the tree before in the place of what is in it now. */
  refill({ root, height, pages }: TreeContents): void {
    this.#path.root = root
    this.#path.height = height
    this.#path.seekAt(0)
    this.#leaves.pages = pages
    this.#compaction.reset()
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

  /** The leaves, as runs that do not change any more, those below the same node as a group. For captured trees. */
  *runs(): Generator<Run | RunGroup, undefined> {
    const { root, height } = this.#path
    if (this.size === 0) return
    for (const node of lowestBelow(root, height)) yield node.freeze()
  }

  #insert(item: Uint8Array, bytes: number): void {
    this.#leaves.own(bytes + 2)
    if (this.#path.leaf.roomAfter(bytes) < 0) this.#leaves.makeRoom(item, bytes)
    this.#path.leaf.insert(this.#path.at, item)
    this.#path.grow(1, bytes)
  }
}

function emptyTree(): TreeContents {
  const slab = new Slab(new Uint8Array(), new Uint16Array(), 0)
  const root = new Leaf(NO_EDITION, slab, { start: 0, room: 0, slots: -1 }, { end: 0, length: 0 })
  return { root, height: 0, pages: new Pages() }
}
