import { type Cluster, type ReplicaProcess, startCluster } from '../../../src/testing/index.ts'
import { Child } from '../child.ts'
import type { Writer } from './writer.ts'

/** How many sets a second the other client writes. */
export const WRITES_PER_SECOND = 20_000
/** The TTL of offers, in milliseconds: short, because the benchmarks wait until offers have expired. */
const TTL_MS = 5_000
export const STEP_TIMEOUT_MS = 120_000

/**
 * One replica, and another client that writes to its log, each in its own process. More replicas can join.
 */
export class Loaded implements AsyncDisposable {
  readonly cluster: Cluster
  readonly replica: ReplicaProcess
  readonly #writer: Child<Writer>

  static async start(): Promise<Loaded> {
    const cluster = await startCluster({
      replicas: 1,
      program: new URL('./replica.ts', import.meta.url),
      options: { volatile: true, ttlMs: TTL_MS },
    })
    const loaded = new Loaded(cluster)
    try {
      await loaded.#writer.call('open', cluster.logPath, cluster.group)
      await cluster.leader()
      return loaded
    } catch (error) {
      await loaded[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(cluster: Cluster) {
    this.cluster = cluster
    this.replica = cluster.replicas[0]!
    this.#writer = new Child(new URL('./writer.ts', import.meta.url))
  }

  /** Have the items `from` to `to` of `items` set once. The log is then pruned up to there. */
  async fill(items: number, from: number, to: number): Promise<void> {
    await this.#writer.call('fill', items, from, to)
    await this.replica.barrier()
    await this.prune()
  }

  /** Have random ones of `items` items set all the time. Resolves when that has begun. */
  async write(items: number): Promise<void> {
    await this.#writer.call('write', items, WRITES_PER_SECOND)
  }

  async rest(): Promise<void> {
    await this.#writer.call('rest')
    await this.replica.barrier()
  }

  /** Prune the log. A replica that has not applied all of it needs a snapshot then. */
  async prune(): Promise<void> {
    await this.nothingOffered(this.replica)
    await this.replica.prune({ keepEntries: 0 })
  }

  /** A new replica without a state. */
  async join(): Promise<ReplicaProcess> {
    return await this.cluster.start({ lead: false })
  }

  /** Resolves when every offer of a replica has expired. */
  async nothingOffered(replica: ReplicaProcess): Promise<void> {
    const nothing = async () => (await replica.status()).offers.length === 0
    await this.cluster.waitUntil('nothing is offered', nothing, { timeoutMs: STEP_TIMEOUT_MS })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using _cluster = this.cluster
    await this.#writer[Symbol.asyncDispose]()
  }
}
