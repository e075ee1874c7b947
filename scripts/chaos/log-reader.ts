import type { Log, LogBounds } from '../../src/log/log.ts'
import { type LogPlace, logAt } from '../../src/log/log-at.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Cluster } from '../../src/testing/index.ts'
import { asError } from '../../src/thrown.ts'
import type { Ledger } from './ledger.ts'

/** Reads the log from outside, all the time: what is pruned has been read before. */
export class LogReader implements AsyncDisposable {
  readonly #log: Log
  readonly #ledger: Ledger
  readonly #leaving = new AbortController()
  readonly #reading: Promise<void>
  #failure: Error | undefined

  static async open(place: LogPlace, { group }: Pick<Cluster, 'group'>, ledger: Ledger): Promise<LogReader> {
    const { signature } = new ReplicatedMap()
    return new LogReader(await logAt(place).open({ group, signature, author: 'the ledger' }), ledger)
  }

  private constructor(log: Log, ledger: Ledger) {
    this.#log = log
    this.#ledger = ledger
    this.#reading = this.#read()
  }

  /** Why it could not go on. What was written is not known from then on. */
  get failure(): Error | undefined {
    return this.#failure
  }

  bounds(): Promise<LogBounds> {
    return this.#log.bounds()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving.abort()
    await this.#reading
    await this.#log.close()
  }

  async #read(): Promise<void> {
    try {
      const { signal } = this.#leaving
      for await (const { entries } of this.#log.follow({ index: this.#ledger.newest }, { signal }))
        for (const entry of entries) this.#ledger.add(entry)
    } catch (error) {
      this.#failure = asError(error)
    }
  }
}
