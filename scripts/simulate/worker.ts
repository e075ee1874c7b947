import { SimulationFailed, simulate } from '../../src/testing/simulation/index.ts'
import { WORKLOADS } from '../../src/testing/simulation/workloads/index.ts'
import type { Done, Task } from './pool.ts'

// Runs the seeds that its parent sends, one after the other, and ends with it.
process.on('disconnect', () => process.exit())
process.on('message', (task: Task) => void work(task))

async function work({ seed, workload, options, shrinkRuns, command }: Task): Promise<void> {
  process.send?.(await resultOf())

  async function resultOf(): Promise<Done> {
    const began = performance.now()
    const tookMs = () => performance.now() - began
    try {
      const { hash, virtualMs, entries, joins } = await simulate({
        ...options,
        seed,
        workload: WORKLOADS[workload]!,
        shrinkRuns,
        command,
      })
      return {
        seed,
        workload,
        tookMs: tookMs(),
        hash,
        virtualMs,
        entries,
        joinsMs: joins.map((join) => join.tookMs),
      }
    } catch (error) {
      const told = error instanceof SimulationFailed ? error : undefined
      const failure = {
        promise: told?.failure.promise ?? 'none',
        message: told?.message ?? String((error as Error).stack),
      }
      return { seed, workload, tookMs: tookMs(), virtualMs: 0, entries: 0, joinsMs: [], failure }
    }
  }
}
