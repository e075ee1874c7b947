interface Waiter {
  readonly index: number
  readonly resolve: () => void
  readonly reject: (reason: Error) => void
}

/** Promises for log positions: each settles when that index is applied. */
export class Waiters {
  readonly #waiters = new Set<Waiter>()

  wait(index: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const leave = () => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener('abort', onAbort)
      }
      const onAbort = () => {
        leave()
        reject(signal?.reason)
      }
      const waiter: Waiter = {
        index,
        resolve: () => {
          leave()
          resolve()
        },
        reject: (reason) => {
          leave()
          reject(reason)
        },
      }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Everything up to `index` is applied. */
  reached(index: number): void {
    for (const waiter of this.#waiters) if (waiter.index <= index) waiter.resolve()
  }

  fail(reason: Error): void {
    for (const waiter of this.#waiters) waiter.reject(reason)
  }
}
