import { once } from 'node:events'
import { type CatchUpReport, createReplica, ReplicatedMap, sqliteLog } from '../../../src/index.ts'
import { serveCalls } from '../child.ts'
import { collectGarbage } from '../runner.ts'

/**
 * One process in which replicas join one after the other, so that code that V8 compiled for one serves the
 * next.
 */

const methods = {
  /** Join without a state, and leave. Resolves with the replica's report. */
  async join(group: string, path: string, items: number): Promise<CatchUpReport> {
    collectGarbage({ type: 'major' })
    const machine = new ReplicatedMap()
    const log = sqliteLog({ path })
    await using replica = await createReplica({ group, machine, log, lead: false, snapshotAfter: 0 })
    const [{ detail }] = (await once(replica, 'caught-up')) as [CustomEvent<CatchUpReport>]
    if (machine.size !== items) throw new Error(`${machine.size} of ${items} items came`)
    return detail
  },
}

export type JoinerMethods = typeof methods

serveCalls(methods, () => {})
