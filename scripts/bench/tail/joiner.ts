import { once } from 'node:events'
import {
  type CatchUpReport,
  createReplica,
  type Replica,
  ReplicatedMap,
  sqliteLog,
} from '../../../src/index.ts'
import { serveCalls } from '../child.ts'

/**
 * One process in which replicas join one after the other without a state, so that code that V8 compiled for
 * one serves the next.
 */

export interface Join {
  readonly group: string
  readonly logPath: string
  readonly leaseMs: number
  readonly ttlMs: number
  /** The number of items that it must end with. */
  readonly items: number
}

export interface Joined {
  readonly report: CatchUpReport
  /** From before `createReplica` until the replica was in sync, in milliseconds. */
  readonly wholeMs: number
  /** When the join began, in milliseconds since 1970. */
  readonly beganAtMs: number
  /** The events of the join, each with the milliseconds since its beginning. */
  readonly steps: readonly Step[]
}

export interface Step {
  readonly afterMs: number
  readonly what: string
}

/** A join that takes longer, in milliseconds, has failed. */
const JOIN_MS_MAX = 120_000
/** How many steps are kept. The first ones show where the time went. */
const STEPS_MAX = 60

const methods = {
  async join({ items, logPath, ...join }: Join): Promise<Joined> {
    const beganMs = performance.now()
    const steps: Step[] = []
    const machine = new ReplicatedMap()
    const log = sqliteLog({ path: logPath })
    await using replica = await createReplica({ ...join, machine, log, lead: false })
    const step = (what: string) => {
      if (steps.length < STEPS_MAX) steps.push({ afterMs: performance.now() - beganMs, what })
    }
    step('created')
    follow(replica, step)
    const signal = AbortSignal.timeout(JOIN_MS_MAX)
    const [{ detail: report }] = (await once(replica, 'caught-up', { signal })) as [
      CustomEvent<CatchUpReport>,
    ]
    const wholeMs = performance.now() - beganMs
    if (machine.size !== items) throw new Error(`${machine.size} of ${items} items came`)
    return { report, wholeMs, beganAtMs: performance.timeOrigin + beganMs, steps }
  },
}

/** Report each step that can take long, and each problem. */
function follow<Result>(replica: Replica<Result>, step: (what: string) => void): void {
  let status: string | undefined
  replica.addEventListener('state', ({ detail: { state } }) => step(state))
  replica.addEventListener('problem', ({ detail }) => step(`problem: ${detail.name}: ${detail.message}`))
  replica.addEventListener('sync', ({ detail }) => {
    if (detail.type === 'fault')
      step(`fault of ${detail.peer}: ${detail.error.name}: ${detail.error.message}`)
    if (detail.type === 'anchor-lost') step(`lost: ${detail.error.message}`)
    if (detail.type !== 'session' || detail.state.status === status) return
    status = detail.state.status
    step('anchor' in detail.state ? `${status} ${detail.state.anchor.index}` : status)
  })
}

export type Joiner = typeof methods

serveCalls(methods, () => {})
