import { setTimeout as delay } from 'node:timers/promises'
import type { Written } from '../../src/machine/machine.ts'
import type { Cluster, ReplicaProcess } from '../../src/testing/index.ts'

/** Pause between two writes of one client, in milliseconds: some 100 writes a second leave the processors to others. */
const PACE_MS = 20
const CLIENTS = 3
/** No write needs as many: each time a replica stops or is killed costs one or two. */
const TRIES_MAX = 20

/** Clients of a group that write all the time: each article once, at any replica, until one acknowledges it. */
export class Writer implements AsyncDisposable {
  /** What has become of writes that were tried again. */
  readonly failures = new Map<string, number>()
  readonly #cluster: Cluster
  readonly #names: readonly string[]
  readonly #acknowledged: string[] = []
  readonly #clients: Promise<unknown>
  #count = 0
  #turn = 0
  #isStopping = false
  #isGivenUp = false

  /** @param names the replicas to write at, whenever they run */
  constructor(cluster: Cluster, names: readonly string[]) {
    this.#cluster = cluster
    this.#names = names
    this.#clients = Promise.all(Array.from({ length: CLIENTS }, () => this.#write()))
    // Whoever waits for it is told.
    this.#clients.catch(() => {})
  }

  /** The articles whose write was acknowledged so far: each has a stock of 1. */
  get acknowledged(): readonly string[] {
    return this.#acknowledged
  }

  /** Resolves when so many more writes are acknowledged. */
  async more(count: number): Promise<void> {
    const enough = this.#acknowledged.length + count
    const written = this.#cluster.waitUntil('clients can write', () => this.#acknowledged.length >= enough)
    await Promise.race([written, this.#clients.then(() => written)])
  }

  /** Resolves when the last write is acknowledged. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#clients
  }

  /** A test has failed: nobody may take the writes any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true
    this.#isGivenUp = true
    await this.#clients.catch(() => {})
  }

  async #write(): Promise<void> {
    while (!this.#isStopping) {
      const article = `article-${this.#count++}`
      if (!(await this.#writeOne(article))) return
      this.#acknowledged.push(article)
      await delay(PACE_MS)
    }
  }

  /** Resolves with whether it was acknowledged. */
  async #writeOne(article: string): Promise<boolean> {
    for (let tries = 0; ; tries++) {
      const replica = await this.#anyReplica()
      if (replica === undefined) return false
      try {
        await replica.call<Written<unknown>>('move', article, 1, article)
        return true
      } catch (error) {
        const { name } = error as Error
        this.failures.set(name, (this.failures.get(name) ?? 0) + 1)
        if (tries >= TRIES_MAX) throw error
        await delay(PACE_MS)
      }
    }
  }

  async #anyReplica(): Promise<ReplicaProcess | undefined> {
    let chosen: ReplicaProcess | undefined
    await this.#cluster.waitUntil('a replica takes writes', () => {
      const taking = this.#cluster.replicas.filter(
        ({ name, running, paused }) => this.#names.includes(name) && running && !paused,
      )
      chosen = taking[this.#turn++ % taking.length]
      return chosen !== undefined || this.#isGivenUp
    })
    return this.#isGivenUp ? undefined : chosen
  }
}
