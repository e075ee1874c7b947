import { Conflict } from '../../../group/errors.ts'
import { AppendUncertain } from '../../../log/errors.ts'
import type { Written } from '../../../machine/machine.ts'
import type { Workload, Writing } from '../workload.ts'
import { Counters } from './counters.ts'

/** Payments that all replicas make, so that most are made several times. */
const PAYMENTS = 60
/** How often a payment is made again whose outcome is uncertain. */
const ATTEMPTS_MAX = 4

/**
 * Payments with keys, that whoever does not know their outcome makes again: each is counted once. Some writes are made
 * only if nothing came between.
 */
export const paymentsWorkload: Workload<Counters> = {
  name: 'payments',
  machine: () => new Counters(),
  chunkBytes: 64,
  write: (writing) => (writing.chance.happens(0.7) ? pay(writing) : inTurn(writing)),
}

async function pay({ submit, chance }: Writing<Counters>): Promise<Written<unknown>> {
  const key = `payment-${chance.integer(0, PAYMENTS - 1)}`
  for (let attempt = 1; ; attempt++) {
    try {
      const written = await submit(Buffer.from(key), { key })
      if (written.result !== undefined && written.result !== 1)
        throw new Error(`${key} was made ${written.result} times`)
      return written
    } catch (error) {
      if (!(error instanceof AppendUncertain) || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

/** Two writes, the second one only if nothing came after the first. */
async function inTurn({ submit, tag }: Writing<Counters>): Promise<Written<unknown>> {
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
