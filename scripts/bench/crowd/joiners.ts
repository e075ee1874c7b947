import { once } from 'node:events'
import { createReplica, type Replica, sqliteLog } from '../../../src/index.ts'
import { Noise } from './noise.ts'

/** A process with many replicas that join at once. It stops them and ends when its parent lets go of it. */

export interface Join {
  readonly group: string
  readonly logPath: string
  readonly count: number
  readonly leaseMs: number
}

export interface Joined {
  /** How many items each has. */
  readonly items: readonly number[]
}

/** So many write their first announcement at once. */
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

/** However long it takes: on a busy machine one may find nobody in time, say that the state is lost, and go on looking. */
async function inSync(replica: Replica<void>): Promise<void> {
  while (replica.state !== 'in-sync') await once(replica, 'state')
}

process.on('message', async (message) => process.send!(await join(message as Join)))
process.on('disconnect', () => Promise.all(replicas.map((replica) => replica.stop())))
