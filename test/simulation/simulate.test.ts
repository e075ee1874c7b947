import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { simulateTallies } from '../../docs/examples/tally-simulation.ts'
import type { StateMachine } from '../../src/machine/machine.ts'
import { type PlanOptions, SimulationFailed, simulate, type Workload } from '../../src/testing/index.ts'
import { planOf, runPlan } from '../../src/testing/simulation/simulate.ts'
import { Counters, countersWorkload } from '../../src/testing/simulation/workloads/counters.ts'
import { WORKLOADS } from '../../src/testing/simulation/workloads/index.ts'

const run = promisify(execFile)
const TRACE = fileURLToPath(new URL('trace-of-seed.ts', import.meta.url))

/** On a machine with other work on it a seed takes ten times as long as alone. */
const TIMEOUT_MS = 360_000
/** Seeds of each workload that the suite runs: as many as take about ten seconds of one core. */
const SEEDS = {
  map: 40,
  counters: 40,
  chunks: 10,
  flood: 15,
  pages: 20,
  short: 60,
  list: 35,
  set: 40,
  register: 50,
  once: 60,
  compose: 40,
  queue: 40,
  versions: 30,
  payments: 40,
}

test.each(Object.entries(SEEDS))(
  '%s: no promise is broken in %i seeds',
  async (name, seeds) => {
    const workload = WORKLOADS[name]!
    for (let seed = 0; seed < seeds; seed++) {
      await simulate({ seed, workload, command: `npm run simulate -- --seed ${seed} --workload ${name}` })
    }
  },
  TIMEOUT_MS,
)

/**
 * Seeds that once broke a promise. Each mend has a test of its own, too: a plan changes with the simulator.
 */
test.each<[seed: number, workload: string, options: PlanOptions, what: string]>([
  [359, 'flood', {}, 'clocks seconds apart moved machine time ahead again and again'],
  [115, 'flood', {}, 'anchors that an operator had pruned away counted as live'],
  [
    122,
    'map',
    { troubles: ['hostility'], odds: 1 },
    'an anchor that was retired while it was cut was offered for a TTL',
  ],
  [2010, 'map', {}, 'the farewell of a replica whose presence was over'],
])('seed %i of %s keeps its promises', async (seed, name, options) => {
  await simulate({ seed, workload: WORKLOADS[name]!, ...options })
})

test('all workloads are run by the suite', () => {
  expect(Object.keys(SEEDS)).toEqual(Object.keys(WORKLOADS))
})

test.each(Object.keys(WORKLOADS))(
  '%s: a seed does the same again, in this process and in others',
  async (name) => {
    const workload = WORKLOADS[name]!
    const seeds = [11, 12, 13]
    const here: string[] = []
    for (const seed of seeds) here.push((await runPlan(planOf(seed, workload), workload)).hash)
    const again: string[] = []
    for (const seed of [...seeds].reverse())
      again.unshift((await runPlan(planOf(seed, workload), workload)).hash)
    expect(again).toEqual(here)
    const { stdout } = await run(process.execPath, [TRACE, name, ...seeds.map(String)])
    expect(stdout.trim().split('\n')).toEqual(here)
    expect(new Set(here).size).toBe(seeds.length)
  },
)

test("a machine of one's own, as docs/testing.md shows it, is simulated", async () => {
  expect(await simulateTallies(20)).toBeGreaterThan(20 * 20)
})

/** Counters that forget a counter when a snapshot is installed. */
class Forgetful extends Counters {
  override install(): ReturnType<StateMachine['install']> {
    const installation = super.install()
    return {
      ...installation,
      add(items) {
        let isFirst = true
        const some = {
          *[Symbol.iterator]() {
            for (const item of items) {
              if (!isFirst) yield item
              isFirst = false
            }
          },
        }
        installation.add(some as never)
      },
    }
  }
}

test('a failing seed tells how to repeat it, the smallest plan that fails, and what happened last', async () => {
  const workload: Workload<Counters> = { ...countersWorkload, machine: () => new Forgetful() }
  const failed = await firstFailure(workload)
  expect(failed.failure.promise).toBe('one anchor, one content')
  expect(failed.message).toContain(`seed: ${failed.seed}`)
  expect(failed.message).toContain('What happened last:')
  const whole = planOf(failed.seed, workload)
  expect(failed.plan.steps.length).toBeLessThan(whole.steps.length)
  const { failure } = await runPlan(failed.plan, workload)
  expect(failure).toEqual(failed.failure)
})

async function firstFailure(workload: Workload): Promise<SimulationFailed> {
  for (let seed = 0; seed < 50; seed++) {
    try {
      await simulate({ seed, workload, troubles: ['churn', 'wipes'], odds: 1 })
    } catch (error) {
      if (error instanceof SimulationFailed) return error
      throw error
    }
  }
  throw new Error('no seed of 50 failed')
}

test.each([-1, 1.5, 2 ** 31, Number.NaN])('seed %d is none', async (seed) => {
  await expect(simulate({ seed })).rejects.toThrow(RangeError)
})

test.each<[what: string, options: object, why: string]>([
  ['odds above 1', { odds: 1.1 }, 'odds is 1.1'],
  ['odds that are none', { odds: Number.NaN }, 'odds is NaN'],
  ['half a step', { steps: 1.5 }, 'steps'],
  ['no time at all', { durationMs: 0 }, 'durationMs'],
  ['a trouble that there is not', { troubles: ['earthquakes'] }, 'there is no trouble earthquakes'],
])('%s: it says so, and runs nothing', async (_what, options, why) => {
  await expect(simulate({ seed: 1, ...options })).rejects.toThrow(why)
})

test('no trouble and no step is a quiet run', async () => {
  const { entries } = await simulate({ seed: 1, troubles: [], steps: 0 })
  expect(entries).toBeGreaterThan(20)
})
