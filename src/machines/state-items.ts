import { SnapshotReleased } from '../machine/errors.ts'
import type { Items } from '../machine/items.ts'
import type { Installation, Snapshot } from '../machine/machine.ts'
import { nextRunVersion, type Run, type RunGroup } from '../machine/run.ts'
import type { Leaf } from './tree/leaf.ts'
import type { LeafRange, PackedTree } from './tree/packed-tree.ts'
import { recordBytes, writeRecord } from './tree/record.ts'
import { TreeBuilder } from './tree/tree-builder.ts'

/** Whether an item of a snapshot is to be left out. */
export type IsLeftOut = (bytes: Uint8Array, start: number, end: number) => boolean

/** The items of a tree as they are now. */
export class TreeSnapshot implements Snapshot {
  readonly size: number
  readonly #isLeftOut: IsLeftOut | undefined
  readonly #source: PackedTree
  #tree: PackedTree | undefined

  /** @param leftOut how many items are left out, and which */
  constructor(tree: PackedTree, leftOut?: { readonly count: number; readonly is: IsLeftOut }) {
    this.#source = tree
    this.#tree = tree.capture()
    tree.hold()
    this.size = tree.size - (leftOut?.count ?? 0)
    if (leftOut !== undefined && leftOut.count > 0) this.#isLeftOut = leftOut.is
  }

  items(): Iterable<Uint8Array> {
    const tree = this.#readable()
    return this.#isLeftOut === undefined ? tree.items() : itemsBut(tree, this.#isLeftOut)
  }

  runs(): Iterable<Run | RunGroup> {
    const tree = this.#readable()
    return this.#isLeftOut === undefined ? tree.runs() : runsBut(tree, this.#isLeftOut)
  }

  release(): void {
    if (this.#tree === undefined) return
    this.#tree = undefined
    this.#source.release()
  }

  #readable(): PackedTree {
    if (this.#tree === undefined) throw new SnapshotReleased()
    return this.#tree
  }
}

/** Builds a tree of items whose order is their places. */
export class TreeInstallation implements Installation {
  readonly #builder = new TreeBuilder('places')
  readonly #replace: (tree: PackedTree) => void

  constructor(replace: (tree: PackedTree) => void) {
    this.#replace = replace
  }

  add(items: Items): void {
    this.#builder.add(items)
  }

  commit(): void {
    this.#replace(this.#builder.finish())
  }
}

function* itemsBut(tree: PackedTree, isLeftOut: IsLeftOut): Generator<Uint8Array, undefined> {
  for (const range of tree.leaves()) yield* kept(range, isLeftOut)
}

/** Runs as they stand where nothing is left out, and else a run of what is kept. */
function* runsBut(tree: PackedTree, isLeftOut: IsLeftOut): Generator<Run, undefined> {
  for (const range of tree.leaves()) {
    if (isWhole(range.leaf, isLeftOut)) {
      yield range.leaf.freeze()
      continue
    }
    const items = [...kept(range, isLeftOut)]
    if (items.length > 0) yield runOf(items)
  }
}

function isWhole(leaf: Leaf, isLeftOut: IsLeftOut): boolean {
  for (let i = 0; i < leaf.length; i++) {
    if (isLeftOut(leaf.bytes, leaf.itemStart(i), leaf.recordStart(i + 1))) return false
  }
  return true
}

function* kept({ leaf, from, to }: LeafRange, isLeftOut: IsLeftOut): Generator<Uint8Array, undefined> {
  for (let i = from; i < to; i++) {
    if (!isLeftOut(leaf.bytes, leaf.itemStart(i), leaf.recordStart(i + 1))) yield leaf.item(i)
  }
}

/** A run of some items. */
export function runOf(items: readonly Uint8Array[]): Run {
  const bytes = new Uint8Array(items.reduce((sum, item) => sum + recordBytes(item), 0))
  let end = 0
  for (const item of items) {
    writeRecord(bytes, end, item)
    end += recordBytes(item)
  }
  return { bytes, start: 0, end, length: items.length, version: nextRunVersion(), boundaries: undefined }
}
