import type { ByteString } from '../../machine/byte-string.ts'
import { nextRunVersion, type RunGroup } from '../../machine/run.ts'
import type { Leaf } from './leaf.ts'
import type { Pages } from './pages.ts'

export type Node = Leaf | InnerNode

/** What is in a tree. */
export interface TreeContents {
  readonly root: Node
  /** The levels of inner nodes. */
  readonly height: number
  readonly pages: Pages
}

/** The most children of an inner node. */
export const CHILDREN_MAX = 64

/** A node above leaves, or above other inner nodes. */
export class InnerNode {
  readonly edition: number
  readonly children: Node[]
  /**
   * One for each child: no key of it is smaller, and all keys of the child before it are. The first one says
   * nothing: what holds for the node as a whole is in the node above. Trees without keys have empty strings here.
   */
  readonly separators: ByteString[]
  /** The number of items below. */
  length: number
  /** The bytes of the records below. */
  size: number
  /** Of a lowest inner node that does not change any more: names the leaves below. */
  #version = 0

  constructor(edition: number, children: Node[], separators: ByteString[], length: number, size: number) {
    this.edition = edition
    this.children = children
    this.separators = separators
    this.length = length
    this.size = size
  }

  static over(edition: number, children: Node[], separators: ByteString[]): InnerNode {
    const node = new InnerNode(edition, children, separators, 0, 0)
    for (const child of children) node.grow(child.length, child.size)
    return node
  }

  /** A copy that this edition may write. */
  copy(edition: number): InnerNode {
    return new InnerNode(edition, this.children.slice(), this.separators.slice(), this.length, this.size)
  }

  /** The leaves below this lowest inner node. It does not change any more: an edition that was captured made it. */
  freeze(): RunGroup {
    const runs = this.children as Leaf[]
    if (this.#version === 0) {
      for (const leaf of runs) leaf.freeze()
      this.#version = nextRunVersion()
    }
    return { runs, length: this.length, version: this.#version }
  }

  /** The number of the child in which a key is, or belongs. */
  childOf(key: ByteString): number {
    const { separators } = this
    let low = 1
    let high = separators.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (separators[middle]! <= key) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  grow(items: number, bytes: number): void {
    this.length += items
    this.size += bytes
  }

  /** Cut off the children from `at` on, as a node of their own. */
  split(at: number): InnerNode {
    const right = InnerNode.over(this.edition, this.children.splice(at), this.separators.splice(at))
    this.grow(-right.length, -right.size)
    return right
  }

  /**
   * Take over the children of the next node.
   *
   * @param separator of the two nodes. The next node's own first one is larger, if it has lost its first child:
   *   keys that came since may be between the two.
   */
  append(next: InnerNode, separator: ByteString): void {
    this.children.push(...next.children)
    this.separators.push(separator, ...next.separators.slice(1))
    this.grow(next.length, next.size)
  }
}

/** The lowest inner nodes below a node, or the leaf that it is itself, in order. */
export function* lowestBelow(node: Node, height: number): Generator<Node, undefined> {
  if (height <= 1) yield node
  else for (const child of (node as InnerNode).children) yield* lowestBelow(child, height - 1)
}
