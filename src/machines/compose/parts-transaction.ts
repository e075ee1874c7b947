import type { Transaction } from '../../machine/machine.ts'
import type { Part } from './parts.ts'

/** One transaction of all parts that have any. */
export class PartsTransaction implements Transaction {
  readonly #transactions: readonly Transaction[]
  #isOpen = false

  constructor(parts: readonly Part[]) {
    this.#transactions = parts.flatMap(({ machine: { transaction } }) => transaction ?? [])
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  begin(): void {
    this.#isOpen = true
    for (const transaction of this.#transactions) transaction.begin()
  }

  commit(): void {
    this.#isOpen = false
    for (const transaction of this.#transactions) transaction.commit()
  }

  rollback(): void {
    this.#isOpen = false
    for (const transaction of this.#transactions) transaction.rollback()
  }
}
