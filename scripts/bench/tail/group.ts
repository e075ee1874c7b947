import { setTimeout as sleep } from 'node:timers/promises'
import { type Cluster, type ReplicaProcess, startCluster } from '../../../src/testing/index.ts'
import { Child } from '../child.ts'
import type { Joined, Joiner } from './joiner.ts'

/** Three processes that write, checkpoint and prune, and one in which replicas join one after the other. */

const PROVIDERS = 3
export const LEASE_MS = 2_000
/**
 * The TTL of offers, in milliseconds. They expire soon, so that joins soon cover all moments of an offer's
 * life.
 */
export const TTL_MS = 1_500
/** How often each replica writes, in milliseconds: together they append 75 entries a second. */
const WRITE_EVERY_MS = 40
/** The replicas write a checkpoint about every 8 s, and prune up to it. */
const CHECKPOINT = { everyCommands: 600 }
const PRUNE = { keepEntries: 200, intervalMs: 500 }
const READY_MS = 60_000

/** One join, with what was known about the group. */
export interface JoinRecord extends Joined {
  /** Milliseconds since the end of the previous join. */
  readonly pauseMs: number
  /** The snapshot's age when the join began, in milliseconds. Undefined if it was captured for this join. */
  readonly anchorAgeMs: number | undefined
  /** When the leader was killed, in milliseconds since the join began. */
  readonly killedAfterMs: number | undefined
}

export class TailGroup implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #joiners: Child<Joiner>
  readonly #items: number

  static async start(items: number): Promise<TailGroup> {
    const cluster = await startCluster({
      replicas: PROVIDERS,
      program: new URL('./provider.ts', import.meta.url),
      dataDirs: true,
      options: { leaseMs: LEASE_MS, ttlMs: TTL_MS, checkpoint: CHECKPOINT, prune: PRUNE },
    })
    try {
      const leader = await cluster.leader()
      await leader.call('fill', items)
      await Promise.all(cluster.replicas.map((replica) => replica.call('overwrite', items, WRITE_EVERY_MS)))
      // From then on no joiner can replay the log instead.
      await leader.waitFor(({ type }) => type === 'pruned', { timeoutMs: READY_MS })
      return new TailGroup(cluster, items)
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  private constructor(cluster: Cluster, items: number) {
    this.#cluster = cluster
    this.#items = items
    this.#joiners = new Child(new URL('./joiner.ts', import.meta.url))
  }

  /** The replicas' names by PeerId. */
  get names(): ReadonlyMap<string, string> {
    return new Map(this.#cluster.replicas.map(({ id, name }) => [id, name]))
  }

  /**
   * Have one replica join.
   *
   * @param pauseMs how long to wait before
   * @param killAfterMs kill the leader this long after the join began; it is restarted when the join is over
   */
  async join(pauseMs: number, killAfterMs?: number): Promise<JoinRecord> {
    await sleep(pauseMs)
    const leader = killAfterMs === undefined ? undefined : await this.#cluster.leader()
    const { group, logPath } = this.#cluster
    const join = { group, logPath, leaseMs: LEASE_MS, ttlMs: TTL_MS, items: this.#items }
    const joining = this.#joiners.call('join', join)
    const killing = leader && sleep(killAfterMs).then(() => leader.kill())
    const [joined] = await Promise.all([joining, killing])
    const record = {
      ...joined,
      pauseMs,
      anchorAgeMs: this.#ageOf(joined),
      killedAfterMs: killAfterMs,
    }
    if (leader !== undefined) await this.#startAgain(leader)
    return record
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#joiners[Symbol.asyncDispose]()
    await this.#cluster.stop()
  }

  async #startAgain({ name }: ReplicaProcess): Promise<void> {
    const again = await this.#cluster.start({ name })
    await again.inSync()
    await again.call('overwrite', this.#items, WRITE_EVERY_MS)
    await this.#cluster.leader({ timeoutMs: READY_MS })
  }

  #ageOf({ report, beganAtMs }: Joined): number | undefined {
    const { index } = report.anchor
    const captures = this.#cluster.replicas.flatMap(({ events }) =>
      events.flatMap(({ type, detail, atMs }) =>
        type === 'sync' && detail.type === 'captured' && detail.anchor.index === index ? [atMs] : [],
      ),
    )
    const ageMs = beganAtMs - Math.min(...captures)
    return ageMs > 0 && Number.isFinite(ageMs) ? ageMs : undefined
  }
}
