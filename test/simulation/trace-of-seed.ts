import { planOf, runPlan } from '../../src/testing/simulation/simulate.ts'
import { WORKLOADS } from '../../src/testing/simulation/workloads/index.ts'

// Prints the trace hashes of the seeds of a workload: another process has to print the same ones.
const [, , name = 'map', ...seeds] = process.argv
const workload = WORKLOADS[name]!
for (const seed of seeds) {
  const { hash } = await runPlan(planOf(Number(seed), workload), workload)
  console.log(hash)
}
