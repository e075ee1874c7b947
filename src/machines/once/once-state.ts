import type { Transaction } from '../../machine/machine.ts'
import type { FirstSet } from './first-set.ts'

/** The write that was first, if there was one. Whoever waits for it is told when it cannot be undone any more. */
export class OnceState implements Transaction {
  #first: FirstSet | undefined
  #isOpen = false
  /** What a transaction began with. */
  #before: FirstSet | undefined
  #settled = Promise.withResolvers<FirstSet>()
  #isSettled = false

  get first(): FirstSet | undefined {
    return this.#first
  }

  /** Resolves when there is one. */
  get whenSet(): Promise<FirstSet> {
    return this.#settled.promise
  }

  put(first: FirstSet | undefined): void {
    this.#first = first
    if (!this.#isOpen) this.#settle()
  }

  begin(): void {
    this.#isOpen = true
    this.#before = this.#first
  }

  commit(): void {
    this.#isOpen = false
    this.#settle()
  }

  rollback(): void {
    this.#isOpen = false
    this.#first = this.#before
  }

  #settle(): void {
    if (this.#first !== undefined) {
      this.#settled.resolve(this.#first)
      this.#isSettled = true
    } else if (this.#isSettled) {
      // The value was that of a state that was wrong, and is replaced.
      this.#settled = Promise.withResolvers()
      this.#isSettled = false
    }
  }
}
