/** One row of a list. It is made once, and then updated in place. */
export interface Row<Item> {
  readonly element: Element
  update(item: Item): void
}

/** Keeps the children of an element like a list of items: each has a row of its own, found again by its key. */
export class KeyedList<Item, Kept extends Row<Item> = Row<Item>> {
  readonly #parent: Element
  readonly #keyOf: (item: Item) => string
  readonly #make: (item: Item) => Kept
  #rows = new Map<string, Kept>()

  constructor(parent: Element, keyOf: (item: Item) => string, make: (item: Item) => Kept) {
    this.#parent = parent
    this.#keyOf = keyOf
    this.#make = make
  }

  get rows(): ReadonlyMap<string, Kept> {
    return this.#rows
  }

  /** Rows are added, moved and removed only where that is needed, so that focus and selection stay. */
  show(items: readonly Item[]): void {
    const rows = new Map<string, Kept>()
    for (const item of items) {
      const key = this.#keyOf(item)
      if (!rows.has(key)) rows.set(key, this.#rows.get(key) ?? this.#make(item))
    }
    for (const [key, { element }] of this.#rows) if (!rows.has(key)) element.remove()
    this.#rows = rows
    let next = this.#parent.firstElementChild
    for (const { element } of rows.values()) {
      if (element === next) next = next.nextElementSibling
      else this.#parent.insertBefore(element, next)
    }
    for (const item of items) rows.get(this.#keyOf(item))?.update(item)
  }
}
