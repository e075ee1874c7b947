/** Writes that are repeated, and writes that expect something: `node payments.ts`. */
import { AppendUncertain, Conflict, createReplica, type LogBackend, memoryLog, type Replica } from 'anchorage'
import type { Log, LogInit } from 'anchorage/log'
import { encode, Tally } from './tally.ts'

/** Adds to an account once, however often that has to be tried. */
export async function pay(bank: Replica<number>, to: string, cents: number, order: string) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await bank.submit(encode([to, cents]), { key: order })
    } catch (error) {
      if (!(error instanceof AppendUncertain) || attempt === 5) throw error
    }
  }
}

/** Doubles what an account has: nobody writes between the look at it and the write. */
export async function double(bank: Replica<number>, accounts: Tally, name: string) {
  for (;;) {
    const expect = bank.position
    const cents = accounts.total(name)
    try {
      return await bank.submit(encode([name, cents]), { expect })
    } catch (error) {
      if (!(error instanceof Conflict)) throw error
    }
  }
}

/** A log whose answers may be lost: the entry is there then, and its writer does not know. */
class ForgetfulLog implements LogBackend {
  forgetsNext = false
  readonly #backend = memoryLog()

  async open(init: LogInit): Promise<Log> {
    const log = await this.#backend.open(init)
    const append = log.append.bind(log)
    log.append = async (entries, options) => {
      const isForgotten = this.forgetsNext
      this.forgetsNext = false
      const appended = await append(entries, options)
      if (isForgotten) throw new AppendUncertain('the answer was lost')
      return appended
    }
    return log
  }
}

export async function main(say: (line: string) => void = console.log): Promise<void> {
  const accounts = new Tally()
  const log = new ForgetfulLog()
  await using bank = await createReplica({ group: 'bank', machine: accounts, log, volatile: true })
  await bank.inSync()
  await pay(bank, 'bob', 200, 'order 1')
  log.forgetsNext = true
  const { repeated } = await pay(bank, 'bob', 300, 'order 2')
  say(`bob has ${accounts.total('bob')}; the second order was ${repeated ? '' : 'not '}repeated`)

  // Both begin at once: the payment comes first, so that what is doubled is looked at again.
  await Promise.all([pay(bank, 'bob', 1, 'order 3'), double(bank, accounts, 'bob')])
  say(`bob has ${accounts.total('bob')}`)
}

if (import.meta.main) await main()
