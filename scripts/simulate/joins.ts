import { chanceOf } from '../../src/testing/simulation/chance.ts'
import type { Plan, Settings, Step } from '../../src/testing/simulation/plan.ts'

/** Nodes beside the group's own: those that come and go. */
const JOINERS = [3, 4, 5, 6]
/** How long a run lasts, in milliseconds of virtual time. */
const DURATION_MS = 120_000

/**
 * A group on one network, with the default times, whose log is always pruned: whoever joins needs a snapshot.
 * The network is as in one data centre: 0.5 ms one way, up to 0.2 ms more, 1 Gbit/s for each machine.
 */
const SETTINGS: Settings = {
  replicas: 3,
  log: 'service',
  durable: false,
  leaseMs: 5_000,
  ttlMs: 10_000,
  requestTimeoutMs: 15_000,
  fetchTimeoutMs: 5_000,
  keepEntries: 5,
  snapshotAfter: 10,
  checkpointEvery: 100,
  latencyMs: 0.5,
  jitterMs: 0.2,
  bytesPerSecond: 125_000_000,
  diskMs: 0,
  lookMs: 0.02,
  drift: 0.001,
}

/**
 * A plan in which replicas join and leave all the time, while the others write, and nothing else goes wrong.
 */
export function joinsPlan(seed: number): Plan {
  const chance = chanceOf(seed, 'joins')
  const steps: Step[] = []
  for (const node of JOINERS) {
    for (let atMs = chance.integer(0, 2_000); atMs < DURATION_MS; ) {
      const forMs = chance.integer(500, 4_000)
      steps.push({ atMs, do: 'join', node, forMs })
      atMs += forMs + chance.integer(100, 3_000)
    }
  }
  for (let atMs = 0; atMs < DURATION_MS; atMs += chance.integer(50, 500)) {
    steps.push({ atMs, do: 'write', node: chance.integer(0, 2), count: chance.integer(1, 5) })
  }
  steps.sort((a, b) => a.atMs - b.atMs)
  return { seed, settings: SETTINGS, troubles: ['churn'], steps, endMs: DURATION_MS }
}
