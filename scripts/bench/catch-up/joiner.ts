import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { createReplica, type MapResult, type Replica, sqliteLog } from '../../../src/index.ts'
import { type BytesMap, bytesMap } from '../capture/map.ts'
import { serveCalls } from '../child.ts'
import { observed } from '../metrics.ts'
import { collectGarbage } from '../runner.ts'
import { GROUP, LEASE_MS, TTL_MS } from '../transfer/group.ts'

/** A process in which replicas of a map live, one after the other. All but the first find compiled code. */

export interface Lived {
  /** From before the replica was made until it was where it should be, in milliseconds. */
  readonly tookMs: number
  /** Processor time meanwhile, user and system, in milliseconds. */
  readonly cpuMs: number
}

const methods = {
  /** Catch up from a provider, and leave. */
  async join(logPath: string, items: number): Promise<Lived> {
    const map = bytesMap()
    const lived = await live(map, logPath, 0, (replica) => once(replica, 'caught-up'))
    if (map.size !== items) throw new Error(`${map.size} of ${items} items came`)
    return lived
  },
  /** Be in sync, with nothing to catch up with, for this long, and leave. */
  idle: (logPath: string, forMs: number): Promise<Lived> =>
    live(bytesMap(), logPath, Number.POSITIVE_INFINITY, async (replica, beganMs) => {
      await replica.inSync()
      await delay(beganMs + forMs - performance.now())
    }),
}
export type JoinerMethods = typeof methods

serveCalls(methods, () => {})

async function live(
  machine: BytesMap,
  logPath: string,
  snapshotAfter: number,
  until: (replica: Replica<MapResult>, beganMs: number) => Promise<unknown>,
): Promise<Lived> {
  collectGarbage({ type: 'major' })
  const log = sqliteLog({ path: logPath })
  const times = { leaseMs: LEASE_MS, ttlMs: TTL_MS }
  const beganMs = performance.now()
  const before = process.cpuUsage()
  // Providers cannot reach it, so all data pass over the connection that it opens.
  const init = { group: GROUP, machine, log, lead: false, listen: [], snapshotAfter, ...times }
  await using replica = await createReplica(init)
  observed(replica)
  await until(replica, beganMs)
  const { user, system } = process.cpuUsage(before)
  return { tookMs: performance.now() - beganMs, cpuMs: (user + system) / 1_000 }
}
