import { Conflict } from '../../../group/errors.ts'
import { AppendUncertain } from '../../../log/errors.ts'
import type { Installation, Snapshot, StateMachine, Written } from '../../../machine/machine.ts'
import type { Workload, Writing } from '../workload.ts'
import { Counters } from './counters.ts'

/** Payments that all replicas make, so that most are made several times. */
const PAYMENTS = 60
/** How often a payment is made again whose outcome is uncertain. */
const ATTEMPTS_MAX = 4

/** How often something was paid, and how much in all. */
interface Paid {
  readonly count: number
  readonly total: number
}

/** Counters with the sum of them all, which is in no snapshot. */
class Ledger implements StateMachine<Paid> {
  readonly signature = 'ledger/1'
  readonly #counters = new Counters()
  #total = 0

  apply(command: Uint8Array): Paid {
    const count = this.#counters.apply(command)
    this.#total++
    return { count, total: this.#total }
  }

  capture(): Snapshot {
    return this.#counters.capture()
  }

  install(): Installation {
    return this.#counters.install()
  }

  async afterInstall(): Promise<void> {
    this.#total = 0
    for (const item of this.capture().items()) {
      const [, count] = JSON.parse(Buffer.from(item).toString()) as [name: string, count: number]
      await Promise.resolve()
      this.#total += count
    }
  }
}

/**
 * Payments with keys, that whoever does not know their outcome makes again: each is counted once. Some writes are made
 * only if nothing came between.
 */
export const paymentsWorkload: Workload<Ledger> = {
  name: 'payments',
  machine: () => new Ledger(),
  chunkBytes: 64,
  write: (writing) => (writing.chance.happens(0.7) ? pay(writing) : inTurn(writing)),
}

async function pay({ submit, chance }: Writing<Ledger>): Promise<Written<unknown>> {
  const key = `payment-${chance.integer(0, PAYMENTS - 1)}`
  for (let attempt = 1; ; attempt++) {
    try {
      const written = await submit(Buffer.from(key), { key })
      const { count = 1 } = (written.result ?? {}) as Partial<Paid>
      if (count !== 1) throw new Error(`${key} was made ${count} times`)
      return written
    } catch (error) {
      if (!(error instanceof AppendUncertain) || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

/** Two writes, the second one only if nothing came after the first. */
async function inTurn({ submit, tag }: Writing<Ledger>): Promise<Written<unknown>> {
  const first = await submit(Buffer.from(tag))
  try {
    return await submit(Buffer.from(`${tag} again`), { expect: first.position })
  } catch (error) {
    if (!(error instanceof Conflict)) throw error
    if (error.newest.index <= first.position.index)
      throw new Error(`${tag} conflicts with entry ${error.newest.index}, which came before it`)
    return first
  }
}
