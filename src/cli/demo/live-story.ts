import { setTimeout as sleep } from 'node:timers/promises'
import { raceSignal } from 'race-signal'
import type { Log } from '../../log/log.ts'
import type { ReplicaProcess } from '../../processes/replica-process.ts'
import { appendAll } from '../log/append-all.ts'
import { counted, duration } from '../output.ts'
import { caughtUp } from './measured.ts'
import type { DemoReporter } from './reporter.ts'
import { batches, type Row, rewrites } from './rows.ts'
import type { SlowReplicas } from './slow-replicas.ts'
import { BackgroundWriter } from './writer.ts'

/** From the beginning of one newcomer to that of the next, in milliseconds, at least. */
const ROUND_MS = 20_000
/** How long a newcomer stays when it has caught up, in milliseconds: so long that one sees it in sync. */
const STAYS_MS = 4_000
/** When a provider dies, after the newcomer has begun to fetch, in milliseconds. */
const DIES_MS = 3_000
/** Every second newcomer loses a provider. */
const ROUNDS_PER_DEATH = 2
const STEP_TIMEOUT_MS = 10 * 60_000
/** A replica that is behind always takes a snapshot, so that there is a catch-up to see. */
const SNAPSHOT_AFTER = 0

export interface LiveStoryInit {
  readonly replicas: SlowReplicas
  readonly providers: number
  readonly log: Log
  readonly rows: readonly Row[]
  readonly reporter: DemoReporter
  readonly signal: AbortSignal
}

/** What repeats while somebody watches the live page. */
export class LiveStory {
  readonly #replicas: SlowReplicas
  readonly #count: number
  readonly #log: Log
  readonly #rows: readonly Row[]
  readonly #reporter: DemoReporter
  readonly #signal: AbortSignal
  #mortal: ReplicaProcess | undefined

  constructor({ replicas, providers, log, rows, reporter, signal }: LiveStoryInit) {
    this.#replicas = replicas
    this.#count = providers
    this.#log = log
    this.#rows = rows
    this.#reporter = reporter
    this.#signal = signal
  }

  /** Resolves with the address of the page, when there is something to see. */
  async begin(): Promise<string> {
    const names = Array.from({ length: this.#count }, (_, n) => `replica-${n + 1}`)
    const starting = Promise.all(names.map((name) => this.#provider(name)))
    const providers = await this.#step('replicas start', starting)
    await this.#step('replicas are in sync', Promise.all(providers.map((replica) => replica.inSync())))
    this.#reporter.say(`loading ${counted(this.#rows.length, 'row')}`)
    await this.#step(
      'rows are loaded',
      appendAll(this.#log, batches(this.#rows, 1, this.#signal), () => {}),
    )
    await this.#step('replicas apply them', Promise.all(providers.map((replica) => replica.barrier())))
    // The page is of the first one, which lives as long as the demo.
    this.#mortal = providers.length > 1 ? providers.at(-1) : undefined
    return await providers[0]!.call<string>('page')
  }

  /** Newcomers join, one after the other, until the signal aborts. */
  async goOn(): Promise<never> {
    const writer = new BackgroundWriter(this.#log, rewrites(this.#rows, 1))
    this.#reporter.say('a writer goes on writing; newcomers join, one after the other: Ctrl-C ends it')
    try {
      for (let round = 1; ; round++) {
        const pause = sleep(ROUND_MS, undefined, { signal: this.#signal })
        // Where the round fails first, nobody waits for this.
        pause.catch(() => {})
        await this.#round(round)
        await pause
      }
    } finally {
      await writer.stop()
    }
  }

  async #round(round: number): Promise<void> {
    const name = `newcomer-${round}`
    const newcomer = await this.#replicas.start({ name, lead: false, snapshotAfter: SNAPSHOT_AFTER })
    const report = this.#step(`${name} catches up`, caughtUp(newcomer, { timeoutMs: STEP_TIMEOUT_MS }))
    report.catch(() => {})
    const dead = round % ROUNDS_PER_DEATH === 0 ? await this.#loseProvider(newcomer) : undefined
    const { totalMs, providersUsed } = await report
    this.#reporter.say(
      `caught up in ${duration(totalMs)} from ${counted(providersUsed.length, 'provider')}`,
      name,
    )
    await sleep(STAYS_MS, undefined, { signal: this.#signal })
    await newcomer.stop()
    if (dead === undefined) return
    this.#mortal = await this.#provider(dead.name)
    this.#reporter.say('is back', dead.name)
  }

  /** Kill a provider while it serves. */
  async #loseProvider(newcomer: ReplicaProcess): Promise<ReplicaProcess | undefined> {
    const victim = this.#mortal
    if (victim === undefined) return undefined
    const fetching = newcomer.waitFor(({ type, detail }) => type === 'sync' && detail.type === 'fetched')
    await raceSignal(fetching, this.#signal)
    await sleep(DIES_MS, undefined, { signal: this.#signal })
    await victim.kill()
    this.#reporter.say('was killed: others send what it owed', victim.name)
    return victim
  }

  async #provider(name: string): Promise<ReplicaProcess> {
    return await this.#replicas.start({ name, snapshotAfter: SNAPSHOT_AFTER })
  }

  /** Await a step, unless a Ctrl-C has made it pointless. */
  async #step<T>(what: string, work: Promise<T>): Promise<T> {
    return await this.#reporter.waiting(what, raceSignal(work, this.#signal))
  }
}
