import { afterEach, expect, test, vi } from 'vitest'
import { KINDS } from '../../src/testing/simulation/hostile/index.ts'
import type { Plan, Step } from '../../src/testing/simulation/plan.ts'
import { planOf, runPlan } from '../../src/testing/simulation/simulate.ts'
import { type Note, Trace } from '../../src/testing/simulation/trace.ts'
import { WORKLOADS } from '../../src/testing/simulation/workloads/index.ts'

const workload = WORKLOADS.map!
const SETTINGS = {
  replicas: 3,
  durable: false,
  log: 'local',
  keepEntries: 0,
  snapshotAfter: 10,
  latencyMs: 5,
  jitterMs: 0,
  bytesPerSecond: 100_000,
  drift: 0,
} as const

afterEach(() => vi.restoreAllMocks())

/** A run with these steps, and what happened in it. */
async function runOf(steps: readonly Step[]) {
  const note = vi.spyOn(Trace.prototype, 'note')
  const plan: Plan = { ...planOf(7, workload, { settings: SETTINGS, troubles: [] }), steps }
  const outcome = await runPlan(plan, workload)
  const notes = note.mock.calls.map(([{ who, what }]: [Note]) => `${who} ${what}`)
  note.mockRestore()
  return { outcome, notes }
}

const hostile = (kind: number): Step[] => [
  { atMs: 1_000, do: 'hostile', kind, forMs: 15_000 },
  { atMs: 2_000, do: 'write', node: 0, count: 30 },
  { atMs: 3_000, do: 'prune', node: 0 },
  { atMs: 4_000, do: 'join', node: 4, forMs: 10_000 },
  { atMs: 4_500, do: 'join', node: 5, forMs: 10_000 },
  { atMs: 6_000, do: 'wipe', node: 1, forMs: 100 },
]

const LIES = KINDS.indexOf('wants anchors')

test.each(KINDS.slice(0, LIES).map((name, kind) => [name, kind] as const))(
  'a liar that tells %s: joiners have the right state all the same',
  async (_, kind) => {
    const { outcome, notes } = await runOf(hostile(kind))
    expect(outcome.failure).toBeUndefined()
    expect(outcome.joins.length).toBeGreaterThan(0)
    expect(notes.some((note) => note.startsWith('x1 lies about'))).toBe(true)
  },
)

/** What honest replicas say about each. */
const TOLD: Readonly<Record<string, RegExp>> = {
  'wants anchors': /refused|revived|captured/,
  'pins for ever': /revived/,
  trickles: /captured/,
  'opens streams': /refused Busy/,
  floods: /refused UnknownAnchor/,
  'asks wrongly': /refused (UnknownAnchor|OutOfRange|Incompatible)/,
  // Some of it is no frame, some is a frame that is no message, and some ends in the middle.
  'sends junk': /refused Malformed|broken/,
  forges: /skipped/,
  intrudes: /refused Unauthorized/,
}

test.each(KINDS.slice(LIES).map((name, n) => [name, LIES + n] as const))(
  'a member that %s: everybody keeps all promises',
  async (name, kind) => {
    const { outcome, notes } = await runOf(hostile(kind))
    expect(outcome.failure).toBeUndefined()
    expect(outcome.joins.length).toBeGreaterThan(0)
    expect(notes.filter((note) => !note.startsWith('x1') && TOLD[name]!.test(note))).not.toEqual([])
  },
)

test('a log is put back, and made anew: who was ahead, and who followed it, halts, and the operator goes on', async () => {
  const { outcome, notes } = await runOf([
    { atMs: 1_000, do: 'rewind', by: 5 },
    { atMs: 6_000, do: 'write', node: 0, count: 5 },
    { atMs: 9_000, do: 'recreate' },
  ])
  expect(outcome.failure).toBeUndefined()
  expect(notes.filter((note) => note.includes('is halted (LogRewound)')).length).toBe(3)
  expect(notes.some((note) => note.includes('is halted (EpochChanged)'))).toBe(true)
})
