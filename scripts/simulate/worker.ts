import { SimulationFailed, simulate, type Workload } from '../../src/testing/simulation/index.ts'
import type { Outcome } from '../../src/testing/simulation/run.ts'
import { runPlan } from '../../src/testing/simulation/simulate.ts'
import { WORKLOADS } from '../../src/testing/simulation/workloads/index.ts'
import { joinsPlan } from './joins.ts'
import type { Done, Task } from './pool.ts'

// Runs the seeds that its parent sends, one after the other, and ends with it.
process.on('disconnect', () => process.exit())
process.on('message', (task: Task) => void work(task))

async function work(task: Task): Promise<void> {
  const began = performance.now()
  const result = await resultOf(task)
  process.send?.({ ...result, tookMs: performance.now() - began })
}

async function resultOf({
  seed,
  workload: name,
  plan,
  shrinkRuns,
  command,
}: Task): Promise<Omit<Done, 'tookMs'>> {
  const workload = WORKLOADS[name]!
  const task = { seed, workload: name }
  try {
    const { hash, virtualMs, entries, joins } =
      plan === 'joins'
        ? await joinsOf(seed, workload, command)
        : await simulate({ seed, workload, shrinkRuns, command })
    return { ...task, hash, virtualMs, entries, joinsMs: joins.map((join) => join.tookMs) }
  } catch (error) {
    const promise = error instanceof SimulationFailed ? error.failure.promise : 'none'
    const message = error instanceof SimulationFailed ? error.message : String((error as Error).stack)
    return { ...task, virtualMs: 0, entries: 0, joinsMs: [], failure: { promise, message } }
  }
}

/** As `simulate`, for a plan of joins alone, which is not made smaller. */
async function joinsOf(seed: number, workload: Workload, command: string): Promise<Outcome> {
  const plan = joinsPlan(seed)
  const outcome = await runPlan(plan, workload)
  if (outcome.failure !== undefined) throw new SimulationFailed(seed, plan, outcome, command)
  return outcome
}
