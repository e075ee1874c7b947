import { checkInteger, checkMs } from '../../bounds.ts'
import { AnchorageError } from '../../errors.ts'
import { chanceOf } from './chance.ts'
import { INVARIANTS } from './invariants/index.ts'
import { prepareKeys } from './keys.ts'
import { drawPlan, type Plan, type PlanOptions, TROUBLES } from './plan.ts'
import { describe } from './report.ts'
import { type Failure, type Outcome, Run } from './run.ts'
import { shrink } from './shrink.ts'
import type { Note } from './trace.ts'
import { programsOf, type Workload } from './workload.ts'
import { mapWorkload } from './workloads/map.ts'

/** Options of `simulate`. */
export interface SimulateInit extends PlanOptions {
  /** An integer from 0 to 2^31 - 1, from which all of the run follows. */
  readonly seed: number
  /** What is replicated. Default: a `ReplicatedMap` with TTL keys, clears and compareAndSet. */
  readonly workload?: Workload
  /** How many runs may be spent to find a smaller one that fails as well. Default 100. */
  readonly shrinkRuns?: number
  /** What repeats this run, as told when it fails. Default: a call of `simulate` with this seed. */
  readonly command?: string
}

/** A run that kept all promises. */
export interface SimulationReport extends Omit<Outcome, 'failure' | 'timeline'> {
  readonly seed: number
}

/** A promise was broken in a simulated run. The message has all that is needed to look into it. */
export class SimulationFailed extends AnchorageError {
  static override readonly code = 'SIMULATION_FAILED'
  override readonly name = 'SimulationFailed'
  readonly seed: number
  readonly failure: Failure
  /** The smallest plan found that breaks the same promise. */
  readonly plan: Plan
  /** What happened last in it, by time. */
  readonly timeline: readonly Note[]
  constructor(seed: number, plan: Plan, outcome: Outcome, command: string) {
    super(describe(plan, outcome, command))
    this.seed = seed
    this.failure = outcome.failure!
    this.plan = plan
    this.timeline = outcome.timeline
  }
}

/** The identities that a run may need: each wipe takes another one. */
const KEYS = 256
const SHRINK_RUNS_DEFAULT = 100
const SEED_MAX = 2 ** 31 - 1
/** Of more steps a run would take hours. */
const STEPS_MAX = 100_000

/**
 * Run a whole group in this process, from a seed: real replicas, from `createReplica` down to the frames,
 * with a virtual clock each, on a simulated network, disk and log, with trouble of many kinds. After each
 * thing that happens, the promises are checked. The same seed does the same each time, so `hash` is the same,
 * too.
 *
 * Rejects with `SimulationFailed` where a promise is broken, after it has looked for a smaller run that
 * breaks it. Throws `RangeError` for an impossible option.
 *
 * @example
 * ```ts
 * for (let seed = 0; seed < 1_000; seed++) await simulate({ seed })
 * ```
 */
export async function simulate(init: SimulateInit): Promise<SimulationReport> {
  const { seed, shrinkRuns = SHRINK_RUNS_DEFAULT, command = `await simulate({ seed: ${seed}, … })` } = init
  const workload = init.workload ?? mapWorkload
  const plan = planOf(seed, workload, init)
  const outcome = await runPlan(plan, workload)
  if (outcome.failure === undefined) {
    const { failure: _, timeline: __, ...rest } = outcome
    return { seed, ...rest }
  }
  const smallest = await shrink(plan, outcome, (candidate) => runPlan(candidate, workload), shrinkRuns)
  throw new SimulationFailed(seed, smallest.plan, smallest.outcome, command)
}

/** The plan of a seed. Throws `RangeError` for a seed that is none. */
export function planOf(seed: number, workload: Workload, options: PlanOptions = {}): Plan {
  if (!Number.isInteger(seed) || seed < 0 || seed > SEED_MAX)
    throw new RangeError(`seed is ${seed}; give an integer from 0 to ${SEED_MAX}`)
  checkOptions(options)
  const settings = { ...workload.plan?.settings, ...options.settings }
  const { length: versions } = programsOf(workload)
  return drawPlan(chanceOf(seed, 'plan'), seed, { ...workload.plan, ...options, settings }, versions)
}

function checkOptions({ troubles = [], odds, steps, durationMs }: PlanOptions): void {
  const unknown = troubles.find((trouble) => !TROUBLES.includes(trouble))
  if (unknown !== undefined)
    throw new RangeError(`there is no trouble ${unknown}; there are ${TROUBLES.join(', ')}`)
  if (odds !== undefined && !(odds >= 0 && odds <= 1))
    throw new RangeError(`odds is ${odds}; give a number from 0 to 1`)
  if (steps !== undefined) checkInteger('steps', steps, 0, STEPS_MAX)
  if (durationMs !== undefined) checkMs('durationMs', durationMs, 1)
}

/** Do one plan. What it breaks is in the outcome. */
export async function runPlan(plan: Plan, workload: Workload): Promise<Outcome> {
  await prepareKeys(KEYS)
  return await new Run(plan, workload, INVARIANTS).do()
}
