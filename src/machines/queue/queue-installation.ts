import { ByteReader } from '../../machine/byte-reader.ts'
import { MalformedItem } from '../../machine/errors.ts'
import type { Items } from '../../machine/items.ts'
import type { Installation } from '../../machine/machine.ts'
import type { PackedTree } from '../tree/packed-tree.ts'
import type { TreeBuilder } from '../tree/tree-builder.ts'
import { QueueParts } from './queue-parts.ts'

/** Takes the items of a `QueueSnapshot`. */
export class QueueInstallation implements Installation {
  readonly #order: TreeBuilder
  readonly #index: Installation
  readonly #replaceOrder: (order: PackedTree) => void
  readonly #parts = new QueueParts()
  /** The number of items in either tree; undefined before the head is read. */
  #size: number | undefined
  /** The items that were added, without the head. */
  #added = 0

  /** @param replaceOrder called on `commit`, right before `index` is committed */
  constructor(order: TreeBuilder, index: Installation, replaceOrder: (order: PackedTree) => void) {
    this.#order = order
    this.#index = index
    this.#replaceOrder = replaceOrder
  }

  add(items: Items): void {
    let from = 0
    if (this.#size === undefined) {
      if (items.length === 0) return
      this.#size = readHead(items)
      from = 1
    }
    const count = items.length - from
    const ordered = Math.min(count, Math.max(0, this.#size - this.#added))
    this.#added += count
    if (this.#added > 2 * this.#size)
      throw new MalformedItem(`${this.#added} items follow a head that says ${2 * this.#size}`)
    if (ordered > 0) this.#addOrdered(items.run(from, ordered))
    if (ordered < count) this.#index.add(items.run(from + ordered, count - ordered))
  }

  commit(): void {
    if (this.#size === undefined) throw new MalformedItem('a queue has a head, and this one has none')
    if (this.#added < 2 * this.#size)
      throw new MalformedItem(`${this.#added} items follow a head that says ${2 * this.#size}`)
    this.#replaceOrder(this.#order.finish())
    this.#index.commit()
  }

  #addOrdered(items: Items): void {
    this.#order.add(items)
    for (let i = 0; i < items.length; i++) {
      if (!this.#parts.read(items.bytes, items.start(i), items.end(i)).isWhole)
        throw new MalformedItem('an item of a queue ends too early')
    }
  }
}

function readHead(items: Items): number {
  const reader = new ByteReader(items.bytes, MalformedItem)
  reader.window(items.start(0), items.end(0))
  const size = reader.uvarint()
  reader.end()
  return size
}
