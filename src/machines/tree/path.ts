import type { ByteString } from '../../machine/byte-string.ts'
import { CHILDREN_MAX, InnerNode, lowestBelow, type Node } from './inner-node.ts'
import { type Leaf, NO_EDITION } from './leaf.ts'

/** An inner node with fewer children is joined with a neighbour, if both fit into one of this many. */
const SPARSE_CHILDREN = CHILDREN_MAX / 4
const JOINED_CHILDREN = (CHILDREN_MAX * 3) / 4

let editions = NO_EDITION

/** A tree's nodes, and the way from its root down to one item. Changes of the tree's shape keep to that way. */
export class Path {
  /** The nodes of this edition are this path's alone. It copies others before it writes them. */
  edition = ++editions
  root: Node
  height: number
  /** The inner nodes from the root down, and which child of each leads on. Only `height` of them count. */
  readonly nodes: InnerNode[] = []
  readonly indexes: number[] = []
  leaf: Leaf
  /** The item in the leaf; its length stands for the end. */
  at = 0
  /** The path leads to the last item of all, which was added just now. The next one mostly follows it. */
  isAppending = false

  constructor(root: Node, height: number) {
    this.root = root
    this.height = height
    this.leaf = root as Leaf
  }

  /** Lead to the item with this key. False if there is none: the path leads to where it belongs. */
  seek(key: ByteString): boolean {
    if (this.isAppending && this.leaf.isBelow(key)) {
      this.at = this.leaf.length
      return false
    }
    this.isAppending = false
    let node = this.root
    for (let level = 0; level < this.height; level++) {
      const inner = node as InnerNode
      const index = inner.childOf(key)
      this.nodes[level] = inner
      this.indexes[level] = index
      node = inner.children[index]!
    }
    this.leaf = node as Leaf
    const at = this.leaf.find(key)
    this.at = at < 0 ? ~at : at
    return at >= 0
  }

  /** Lead to the item at a place from 0; to the end, if the place is the number of items. */
  seekAt(place: number): void {
    this.isAppending = false
    let node = this.root
    let rest = place
    for (let level = 0; level < this.height; level++) {
      const { children } = node as InnerNode
      const last = children.length - 1
      let index = 0
      for (; index < last; index++) {
        const { length } = children[index]!
        if (rest < length) break
        rest -= length
      }
      this.nodes[level] = node as InnerNode
      this.indexes[level] = index
      node = children[index]!
    }
    this.leaf = node as Leaf
    this.at = rest
  }

  /** How many items are before this one. */
  get place(): number {
    let place = this.at
    for (let level = 0; level < this.height; level++) {
      const { children } = this.nodes[level]!
      for (let i = this.indexes[level]! - 1; i >= 0; i--) place += children[i]!.length
    }
    return place
  }

  /** The inner node above the leaf. */
  get parent(): InnerNode | undefined {
    return this.height === 0 ? undefined : this.nodes[this.height - 1]
  }

  /** The leaf's number among its parent's children. */
  get index(): number {
    return this.height === 0 ? 0 : this.indexes[this.height - 1]!
  }

  /** The leaves below the same parent, this one among them. */
  get siblings(): readonly Leaf[] {
    return this.height === 0 ? [this.leaf] : (this.parent!.children as Leaf[])
  }

  /** A neighbour of the leaf below the same parent. */
  neighbour(by: 1 | -1): Leaf | undefined {
    return this.height === 0 ? undefined : (this.parent!.children[this.index + by] as Leaf | undefined)
  }

  /** No leaf comes after this one, or before it. */
  isOutermost(by: 1 | -1): boolean {
    for (let level = 0; level < this.height; level++) {
      if (this.nodes[level]!.children[this.indexes[level]! + by] !== undefined) return false
    }
    return true
  }

  /** Some items, and bytes of records, have come to the leaf. */
  grow(items: number, bytes: number): void {
    for (let level = 0; level < this.height; level++) this.nodes[level]!.grow(items, bytes)
  }

  /** All nodes are shared from now on. */
  newEdition(): void {
    this.edition = ++editions
  }

  /** Copy the inner nodes that this edition may not write. */
  own(): void {
    const { edition } = this
    for (let level = 0; level < this.height; level++) {
      if (this.nodes[level]!.edition === edition) continue
      const copy = this.nodes[level]!.copy(edition)
      this.nodes[level] = copy
      if (level === 0) this.root = copy
      else this.nodes[level - 1]!.children[this.indexes[level - 1]!] = copy
    }
  }

  /** Put another leaf in the place of this one. */
  putLeaf(leaf: Leaf): void {
    this.leaf = leaf
    if (this.height === 0) this.root = leaf
    else this.parent!.children[this.index] = leaf
  }

  /**
   * Put a leaf beside this one.
   *
   * @param separator the first key of the later one of the two
   * @param follow whether the path leads to the new leaf then, and not where it led before
   */
  addLeaf(leaf: Leaf, by: 1 | -1, separator: ByteString, follow: boolean): void {
    if (this.height === 0) this.#addRoot(this.root)
    this.grow(leaf.length, leaf.size)
    const { index, parent } = this
    let bound = separator
    if (by === -1) {
      bound = parent!.separators[index]!
      parent!.separators[index] = separator
    }
    this.#addChild(0, by === 1 ? index + 1 : index, leaf, bound, follow)
    if (follow) this.leaf = leaf
  }

  /** Lead to the neighbour's item `at` instead. */
  turn(by: 1 | -1, at: number): void {
    this.indexes[this.height - 1]! += by
    this.leaf = this.parent!.children[this.index] as Leaf
    this.at = at
  }

  /** Remove the child at the path's level, and nodes above it that are left empty. The path leads nowhere then. */
  dropChild(level = this.height - 1): void {
    this.isAppending = false
    const node = this.nodes[level]!
    const index = this.indexes[level]!
    node.children.splice(index, 1)
    node.separators.splice(index, 1)
    if (node.children.length === 0) return this.dropChild(level - 1)
    this.#join(level)
    this.dropRoots()
  }

  /** Remove all leaves after this one, and give them back. */
  dropAfter(): Leaf[] {
    const dropped: Leaf[] = []
    for (let level = this.height - 1; level >= 0; level--) {
      const { children, separators } = this.nodes[level]!
      const end = this.indexes[level]! + 1
      separators.length = end
      for (const child of children.splice(end)) {
        for (let above = level; above >= 0; above--) this.nodes[above]!.grow(-child.length, -child.size)
        for (const node of lowestBelow(child, this.height - 1 - level))
          dropped.push(...(node instanceof InnerNode ? (node.children as Leaf[]) : [node]))
      }
    }
    return dropped
  }

  /** Remove the root, as long as it has one child alone. The path leads nowhere then. */
  dropRoots(): void {
    while (this.height > 0 && (this.root as InnerNode).children.length === 1) {
      this.root = (this.root as InnerNode).children[0]!
      this.height--
    }
  }

  /** A node that has lost a child is joined with a neighbour if it is sparse. */
  #join(level: number): void {
    const node = this.nodes[level]!
    if (level === 0 || node.children.length >= SPARSE_CHILDREN) return
    const parent = this.nodes[level - 1]!
    const index = this.indexes[level - 1]!
    for (const [left, right] of [
      [index - 1, index],
      [index, index + 1],
    ] as const) {
      const [a, b] = [parent.children[left], parent.children[right]] as (InnerNode | undefined)[]
      if (a === undefined || b === undefined) continue
      if (a.children.length + b.children.length > JOINED_CHILDREN) continue
      const joined = a.edition === node.edition ? a : a.copy(node.edition)
      joined.append(b, parent.separators[right]!)
      parent.children.splice(left, 2, joined)
      parent.separators.splice(right, 1)
      return this.#join(level - 1)
    }
  }

  /**
   * Add a child to the node that is `up` levels above the leaf's parent.
   *
   * @param follow the path leads to the new child, and not where it led before
   */
  #addChild(up: number, index: number, child: Node, separator: ByteString, follow: boolean): void {
    const level = this.height - 1 - up
    const node = this.nodes[level]!
    node.children.splice(index, 0, child)
    node.separators.splice(index, 0, separator)
    if (follow) this.indexes[level] = index
    else if (this.indexes[level]! >= index) this.indexes[level]!++
    if (node.children.length <= CHILDREN_MAX) return
    // Who adds a last child mostly adds more of them: the node before stays full.
    const middle = index === CHILDREN_MAX ? CHILDREN_MAX : CHILDREN_MAX / 2
    const right = node.split(middle)
    const isRight = this.indexes[level]! >= middle
    if (isRight) {
      this.nodes[level] = right
      this.indexes[level]! -= middle
    }
    if (level === 0) this.#addRoot(node).grow(right.length, right.size)
    this.#addChild(up + 1, this.indexes[this.height - 2 - up]! + 1, right, right.separators[0]!, isRight)
  }

  /** Put a node above the root, which the path goes through. */
  #addRoot(below: Node): InnerNode {
    const root = InnerNode.over(below.edition, [below], ['' as ByteString])
    this.root = root
    this.nodes.length = this.height
    this.indexes.length = this.height
    this.nodes.unshift(root)
    this.indexes.unshift(0)
    this.height++
    return root
  }
}
