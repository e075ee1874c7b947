import { once } from 'node:events'
import { memoryLog } from '../../src/log/memory.ts'
import type { ReplicaEvents } from '../../src/replica/events.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import { createReplica, type Replica } from '../../src/replica/replica.ts'
import { Journal } from './journal.ts'

/** Short enough for a quick suite, long enough for two busy cores. */
export const TIMES = { leaseMs: 1500, ttlMs: 5000, requestTimeoutMs: 3000, fetchTimeoutMs: 1000 }

export interface Started {
  readonly replica: Replica<number>
  readonly journal: Journal
}

/** Real replicas in one process: libp2p on loopback, one log in memory. */
export class Cluster implements AsyncDisposable {
  readonly log = memoryLog()
  readonly #replicas: Replica<number>[] = []

  async start(init: Partial<ReplicaInit<number>> = {}, journal = new Journal()): Promise<Started> {
    const replica = await createReplica<number>({
      group: 'journals',
      machine: journal,
      log: this.log,
      volatile: true,
      chunkBytes: 50,
      ...TIMES,
      ...init,
    })
    this.#replicas.push(replica)
    return { replica, journal }
  }

  /** One that leads, and others that never will. */
  async startLed(
    followers: number,
    init: Partial<ReplicaInit<number>> = {},
  ): Promise<[Started, ...Started[]]> {
    const leader = await this.start(init)
    await leads(leader.replica)
    const others: Started[] = []
    while (others.length < followers) others.push(await this.start({ lead: false, ...init }))
    await Promise.all(others.map(({ replica }) => replica.inSync()))
    return [leader, ...others]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.stop()))
  }
}

/** Resolves when `replica` leads. */
export async function leads(replica: Replica<number>): Promise<void> {
  while (replica.leader !== replica.id) await next(replica, 'leader')
}

/** The detail of the next event of a kind. */
export async function next<E extends keyof ReplicaEvents & string>(
  replica: Replica<number>,
  type: E,
): Promise<ReplicaEvents[E]['detail']> {
  const [event] = (await once(replica, type, { signal: AbortSignal.timeout(20_000) })) as [ReplicaEvents[E]]
  return event.detail
}

/** Resolves when `done` holds, looking at every event of a kind. */
export async function when(
  replica: Replica<number>,
  type: keyof ReplicaEvents & string,
  done: () => boolean,
): Promise<void> {
  while (!done()) await next(replica, type)
}
