import type { Transaction } from '../machine/machine.ts'

/** A transaction of what a machine of the family keeps. It holds the machine's events back. */
export class EventTransaction implements Transaction {
  readonly #undoable: () => readonly Transaction[]
  #begun: readonly Transaction[] = []
  #held: (() => void)[] = []
  #isOpen = false

  /** @param undoable what the machine keeps now */
  constructor(undoable: () => readonly Transaction[]) {
    this.#undoable = undoable
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Tell something when the transaction is committed. */
  atCommit(tell: () => void): void {
    this.#held.push(tell)
  }

  begin(): void {
    this.#isOpen = true
    this.#begun = this.#undoable()
    for (const undoable of this.#begun) undoable.begin()
  }

  commit(): void {
    for (const undoable of this.#begun) undoable.commit()
    this.#end()
  }

  rollback(): void {
    for (const undoable of this.#begun) undoable.rollback()
    this.#held = []
    this.#end()
  }

  #end(): void {
    this.#isOpen = false
    this.#begun = []
    for (const tell of this.#held.splice(0)) tell()
  }
}
