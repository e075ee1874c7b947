import { once } from 'node:events'
import { createReplica, type Replica, sqliteLog } from '../../../src/index.ts'
import { Noise } from './noise.ts'

/** A process with many replicas that join at once. When its parent releases it, it stops them and ends. */

export interface Join {
  readonly group: string
  readonly logPath: string
  readonly count: number
  readonly leaseMs: number
}

export interface Joined {
  /** The number of items of each replica. */
  readonly items: readonly number[]
}

/**
 * How long a write waits for the log's lock, in milliseconds: all replicas write their first announcement at
 * once.
 */
const LOCK_TIMEOUT_MS = 60_000

const replicas: Replica<void>[] = []

async function join({ group, logPath, count, leaseMs }: Join): Promise<Joined> {
  const machines = Array.from({ length: count }, () => new Noise())
  const starting = machines.map((machine) =>
    createReplica({
      group,
      machine,
      log: sqliteLog({ path: logPath, lockTimeoutMs: LOCK_TIMEOUT_MS }),
      lead: false,
      leaseMs,
    }),
  )
  replicas.push(...(await Promise.all(starting)))
  await Promise.all(replicas.map(inSync))
  return { items: machines.map(({ items }) => items) }
}

/**
 * Wait until the replica is in sync, for any time. On a busy machine it may find no provider in time and
 * report that its state is lost, and yet it goes on looking.
 */
async function inSync(replica: Replica<void>): Promise<void> {
  while (replica.state !== 'in-sync') await once(replica, 'state')
}

process.on('message', async (message) => process.send!(await join(message as Join)))
process.on('disconnect', () => Promise.all(replicas.map((replica) => replica.stop())))
