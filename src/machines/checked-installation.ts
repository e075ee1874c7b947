import { MalformedItem } from '../machine/errors.ts'
import type { Items } from '../machine/items.ts'
import type { Installation } from '../machine/machine.ts'
import { ItemParts } from './item-parts.ts'

/** What is wrong with an item; undefined if nothing is. */
export type Complaint = (parts: ItemParts) => string | undefined

/** An installation of well-formed items, in which a machine allows only some. */
export class CheckedInstallation implements Installation {
  readonly #inner: Installation
  readonly #complaint: Complaint
  readonly #parts = new ItemParts()

  constructor(inner: Installation, complaint: Complaint) {
    this.#inner = inner
    this.#complaint = complaint
  }

  add(items: Items): void {
    // The inner one refuses what has no parts to look at.
    this.#inner.add(items)
    for (let i = 0; i < items.length; i++) {
      const complaint = this.#complaint(this.#parts.read(items.bytes, items.start(i), items.end(i)))
      if (complaint !== undefined) throw new MalformedItem(complaint)
    }
  }

  commit(): void {
    this.#inner.commit()
  }
}
