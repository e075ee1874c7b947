import { raceSignal } from 'race-signal'

interface Waiter {
  readonly index: number
  readonly resolve: () => void
  readonly reject: (reason: Error) => void
}

/** Promises for log positions: each settles when that index is applied. */
export class Waiters {
  readonly #waiters = new Set<Waiter>()

  async wait(index: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { index, resolve, reject }
    this.#waiters.add(waiter)
    try {
      await raceSignal(promise, signal)
    } finally {
      this.#waiters.delete(waiter)
    }
  }

  /** Everything up to `index` is applied. */
  reached(index: number): void {
    for (const waiter of this.#waiters) if (waiter.index <= index) waiter.resolve()
  }

  fail(reason: Error): void {
    for (const waiter of this.#waiters) waiter.reject(reason)
  }
}
