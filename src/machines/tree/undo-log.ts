import type { TreeContents } from './inner-node.ts'

/** The tree whose writes are undone: a `PackedTree`. */
export interface WrittenTree {
  seekAt(place: number): void
  seekFor(item: Uint8Array, place: number): void
  insert(item: Uint8Array): void
  replace(item: Uint8Array): void
  remove(): void
  refill(contents: TreeContents): void
}

/** How one write is undone. */
type Step =
  | { readonly type: 'remove'; readonly place: number }
  | { readonly type: 'insert' | 'replace'; readonly place: number; readonly item: Uint8Array }
  | { readonly type: 'refill'; readonly contents: TreeContents }

/**
 * How to undo the writes to a tree, by writes that do the opposite. A copy of each item that goes is kept: a few
 * bytes where older nodes would be whole pages. So a write costs no more than it does without a transaction.
 */
export class UndoLog {
  readonly #steps: Step[] = []

  inserted(place: number): void {
    this.#steps.push({ type: 'remove', place })
  }

  /** @param item is copied */
  replaced(place: number, item: Uint8Array): void {
    this.#steps.push({ type: 'replace', place, item: new Uint8Array(item) })
  }

  /** @param item is copied */
  removed(place: number, item: Uint8Array): void {
    this.#steps.push({ type: 'insert', place, item: new Uint8Array(item) })
  }

  cleared(contents: TreeContents): void {
    this.#steps.push({ type: 'refill', contents })
  }

  /** Undo all, the last write first. */
  undo(tree: WrittenTree): void {
    for (const step of this.#steps.splice(0).reverse()) undoOne(tree, step)
  }
}

function undoOne(tree: WrittenTree, step: Step): void {
  if (step.type === 'refill') return tree.refill(step.contents)
  if (step.type === 'insert') tree.seekFor(step.item, step.place)
  else tree.seekAt(step.place)
  switch (step.type) {
    case 'remove':
      return tree.remove()
    case 'insert':
      return tree.insert(step.item)
    case 'replace':
      return tree.replace(step.item)
    default:
      step satisfies never
  }
}
