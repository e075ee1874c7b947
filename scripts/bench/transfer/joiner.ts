import { once } from 'node:events'
import { type CatchUpReport, createReplica, type Replica, sqliteLog } from '../../../src/index.ts'
import { serveCalls } from '../child.ts'
import { observed } from '../metrics.ts'
import { collectGarbage } from '../runner.ts'
import { GROUP, LEASE_MS, TTL_MS } from './group.ts'
import { makeState, type StateKind } from './states.ts'

/** A process in which empty replicas catch up, all at once, and are then stopped. */

export interface Join {
  readonly logPath: string
  readonly state: StateKind
  readonly replicas: number
}

export interface Joined {
  readonly items: number
  readonly report: CatchUpReport
}

/**
 * How long a write waits for the log's lock, in milliseconds: all replicas write their first announcement at
 * once.
 */
const LOCK_TIMEOUT_MS = 60_000

const replicas = new Set<Replica>()

const methods = {
  async join({ replicas: count, ...join }: Join): Promise<Joined[]> {
    collectGarbage({ type: 'major' })
    try {
      return await Promise.all(Array.from({ length: count }, () => joinOne(join)))
    } finally {
      await stop()
    }
  },
}

async function joinOne({ logPath, state: kind }: Omit<Join, 'replicas'>): Promise<Joined> {
  const { machine, size } = makeState(kind)
  const replica = await createReplica({
    group: GROUP,
    machine,
    log: sqliteLog({ path: logPath, lockTimeoutMs: LOCK_TIMEOUT_MS }),
    lead: false,
    // Providers cannot reach it, so all data pass over the connection that it opens.
    listen: [],
    leaseMs: LEASE_MS,
    ttlMs: TTL_MS,
    snapshotAfter: 0,
  })
  observed(replica)
  replicas.add(replica)
  const [{ detail: report }] = (await once(replica, 'caught-up')) as [CustomEvent<CatchUpReport>]
  return { items: size(), report }
}

async function stop(): Promise<void> {
  await Promise.all([...replicas].map((replica) => replica.stop()))
  replicas.clear()
}

serveCalls(methods, stop)

export type Joiner = typeof methods
