import { expect, test } from 'vitest'
import type { Settings, Step } from '../../src/testing/simulation/plan.ts'
import { runPlan } from '../../src/testing/simulation/simulate.ts'
import { WORKLOADS } from '../../src/testing/simulation/workloads/index.ts'

const SETTINGS: Settings = {
  replicas: 3,
  log: 'service',
  durable: true,
  leaseMs: 5_000,
  ttlMs: 2_000,
  requestTimeoutMs: 3_000,
  fetchTimeoutMs: 5_000,
  keepEntries: undefined,
  snapshotAfter: 100,
  checkpointEvery: 100,
  latencyMs: 0.5,
  jitterMs: 0,
  bytesPerSecond: 1_000_000,
  diskMs: 0,
  lookMs: 0,
  drift: 0,
}

/** Runs in which a replica did right, and an invariant once said that it did wrong. */
const PLANS: readonly {
  readonly what: string
  readonly seed: number
  readonly settings: Partial<Settings>
  readonly steps: readonly Step[]
}[] = [
  {
    what: 'a leader that reads the log late may never hear of a pin that lasted 70 ms',
    seed: 713_963,
    settings: { replicas: 5, keepEntries: 20, checkpointEvery: 5, latencyMs: 5, lookMs: 0.02, drift: 0.02 },
    steps: [
      { atMs: 1_769, do: 'join', node: 6, forMs: 1_000 },
      { atMs: 2_590, do: 'log-slow', node: 2, delayMs: 300, forMs: 8_000 },
      { atMs: 3_297, do: 'write', node: 4, count: 5 },
      { atMs: 3_561, do: 'join', node: 5, forMs: 1_000 },
      { atMs: 4_436, do: 'write', node: 1, count: 2 },
    ],
  },
  {
    what: 'deadlines that were written by a clock which was set, and set back while its process was away',
    seed: 716_405,
    settings: {
      leaseMs: 1_500,
      ttlMs: 5_000,
      requestTimeoutMs: 5_000,
      fetchTimeoutMs: 1_000,
      checkpointEvery: 20,
    },
    steps: [
      { atMs: 1_064, during: 'catch-up', do: 'join', node: 3, forMs: 3_000 },
      { atMs: 1_762, do: 'join', node: 5, forMs: 300 },
      { atMs: 4_576, do: 'operator-prune', keep: 3 },
      { atMs: 4_603, do: 'step-wall', node: 3, byMs: 5_000 },
      { atMs: 8_899, during: 'catch-up', do: 'step-wall', node: 3, byMs: -5_000 },
      { atMs: 9_379, do: 'write', node: 0, count: 5 },
      { atMs: 11_153, during: 'catch-up', do: 'pause', node: 6, forMs: 500 },
      { atMs: 11_315, do: 'join', node: 6, forMs: 3_000 },
      { atMs: 11_389, do: 'join', node: 3, forMs: 10_000 },
      { atMs: 11_526, do: 'write', node: 1, count: 5 },
    ],
  },
  {
    what: 'a process that wrote again at the places of writes of its own, which the log had lost',
    seed: 713_621,
    settings: {},
    steps: [
      { atMs: 3_974, do: 'log-refuse', count: 3 },
      { atMs: 4_712, do: 'log-away', node: 'all', forMs: 500 },
      { atMs: 4_893, do: 'write', node: 2, count: 5 },
      { atMs: 5_172, do: 'rewind', by: 8 },
    ],
  },
]

test.each(PLANS)('$what', async ({ seed, settings, steps }) => {
  const plan = { seed, settings: { ...SETTINGS, ...settings }, troubles: [], steps, endMs: 12_000 }
  const { failure } = await runPlan(plan, WORKLOADS.flood!)
  expect(failure).toBeUndefined()
})
