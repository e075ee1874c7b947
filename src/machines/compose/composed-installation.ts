import { MalformedItem } from '../../machine/errors.ts'
import type { Items } from '../../machine/items.ts'
import type { Installation, Transaction } from '../../machine/machine.ts'
import { decodeHeader } from './header.ts'

/** A part's installation. */
export interface PartInstallation {
  readonly name: string
  readonly installation: Installation
}

/** Gives each part its items of a snapshot, and replaces all parts at once. */
export class ComposedInstallation implements Installation {
  readonly #parts: readonly PartInstallation[]
  readonly #transaction: Transaction
  /** How many items each part is still to get; undefined before the header. */
  #left: number[] | undefined
  /** Whose items come next. */
  #at = 0

  /** @param transaction of all parts: it keeps their events back until each part is replaced */
  constructor(parts: readonly PartInstallation[], transaction: Transaction) {
    this.#parts = parts
    this.#transaction = transaction
  }

  add(items: Items): void {
    if (items.length === 0) return
    let from = 0
    if (this.#left === undefined) {
      this.#left = [...decodeHeader(items.bytes.subarray(items.start(0), items.end(0)), this.#parts.length)]
      from = 1
    }
    while (from < items.length) from += this.#addTo(this.#left, items, from)
  }

  async finish(): Promise<void> {
    this.#checkComplete()
    await Promise.all(this.#parts.map(async ({ installation }) => await installation.finish?.()))
  }

  commit(): void {
    this.#checkComplete()
    this.#transaction.begin()
    try {
      for (const { installation } of this.#parts) installation.commit()
    } finally {
      this.#transaction.commit()
    }
  }

  abandon(): void {
    for (const { installation } of this.#parts) installation.abandon?.()
  }

  /** Give the part whose turn it is what it is to get of the items. Returns how many these are. */
  #addTo(left: number[], items: Items, from: number): number {
    while (left[this.#at] === 0) this.#at++
    const part = this.#parts[this.#at]
    if (part === undefined) throw new MalformedItem('an item follows those of all parts')
    const count = Math.min(items.length - from, left[this.#at]!)
    part.installation.add(items.run(from, count))
    left[this.#at]! -= count
    return count
  }

  #checkComplete(): void {
    if (this.#left === undefined) throw new MalformedItem('there is no header')
    const missing = this.#left.findIndex((count) => count > 0)
    if (missing === -1) return
    throw new MalformedItem(
      `${this.#left[missing]} items of the part ${this.#parts[missing]!.name} are missing`,
    )
  }
}
