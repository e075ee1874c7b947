import { type Cluster, startCluster } from '../../src/testing/index.ts'
import { Child } from './child.ts'
import type { JoinerMethods } from './growth/joiner.ts'
import { type Benchmark, median, type Pair, shared } from './runner.ts'

const SIZES = [10_000, 100_000, 1_000_000, 10_000_000] as const
/** The size with which the others are compared. */
const REFERENCE = 100_000
/** The size of a nearly empty state, for what a request costs for a state of any size. */
const NEARLY_EMPTY = 1
/** Catch-ups of each size in one round, of which the median counts. */
const RUNS = 9
/** Catch-ups of a size above this one in one round: fewer, because they take long. */
const RUNS_ABOVE = { size: REFERENCE, runs: 3 }
/** The items of each warm-up run, at every size. V8 compiles what runs often. */
const WARM_UP_ITEMS = 100_000
/** How often each provider serves before the measurement. */
const WARM_UP_RUNS = 4
/** The TTL of offers, in milliseconds. They expire soon, so that each joiner causes a cut. */
const TTL_MS = 1_000
const WAIT_MS = 120_000
const US_PER_MS = 1_000

type Size = (typeof SIZES)[number]

interface Group {
  readonly cluster: Cluster
  /** The size in the benchmark's name, before it is scaled. */
  readonly size: Size | typeof NEARLY_EMPTY
  readonly items: number
  readonly runs: number
}

/**
 * Each group has one replica. Only then each side of a catch-up has a processor to itself, and the figures
 * show how the work grows, not the wait for a processor. The other groups wait while a replica joins one.
 */
const measured = shared(async (scale, wanted): Promise<readonly ReadonlyMap<number, number>[]> => {
  await using stack = new AsyncDisposableStack()
  const joiner = stack.use(new Child<JoinerMethods>(new URL('./growth/joiner.ts', import.meta.url)))
  const groups: Group[] = []
  for (const size of [NEARLY_EMPTY, ...SIZES] as const) {
    const cluster = stack.use(await startCluster({ replicas: 1, options: { ttlMs: TTL_MS } }))
    await cluster.leader()
    const items = size === NEARLY_EMPTY ? size : Math.ceil(size * scale)
    const runs = Math.ceil((size > RUNS_ABOVE.size ? RUNS_ABOVE.runs : RUNS) * scale)
    groups.push({ cluster, size, items, runs })
  }
  const warmUpItems = Math.ceil(WARM_UP_ITEMS * scale)
  await Promise.all(groups.map((group) => fill(group, warmUpItems)))
  for (let run = 0; run < Math.ceil(WARM_UP_RUNS * scale); run++) {
    for (const group of groups) await join(joiner, group, warmUpItems)
  }
  await Promise.all(groups.map((group) => fill(group, group.items)))

  const rounds = []
  for (let round = 0; round < wanted; round++) {
    rounds.push(await costs(joiner, round % 2 === 0 ? groups : groups.toReversed()))
  }
  return rounds
})

/**
 * For each size, time per item: from the leader's answer to the new state in place, less the time for a state
 * of one item.
 */
export const growth: readonly Benchmark[] = SIZES.map((size) => ({
  name: `growth/${size}`,
  unit: 'µs',
  baseline: `for each of ${REFERENCE} items`,
  ...(size > REFERENCE && { target: { ratioMax: 1.15 } }),
  async measure(scale, wanted): Promise<Pair[]> {
    const rounds = await measured(scale, wanted)
    return rounds.map((costs) => ({ ours: costs.get(size)!, baseline: costs.get(REFERENCE)! }))
  },
}))

/** Microseconds per item, by size. This is one round through all groups, in turn. */
async function costs(joiner: Child<JoinerMethods>, groups: readonly Group[]): Promise<Map<number, number>> {
  const tookMs = new Map(groups.map(({ size }) => [size, [] as number[]]))
  for (let run = 0; run < RUNS; run++) {
    for (const group of groups) {
      if (run < group.runs) tookMs.get(group.size)!.push(await join(joiner, group, group.items))
    }
  }
  const fixedMs = median(tookMs.get(NEARLY_EMPTY)!)
  return new Map(
    groups.map(({ size, items }) => {
      const workMs = median(tookMs.get(size)!) - fixedMs
      return [size, (workMs / items) * US_PER_MS]
    }),
  )
}

/**
 * Have a replica without a state join while there is no snapshot. Resolves with the milliseconds to cut,
 * fetch and install it.
 */
async function join(joiner: Child<JoinerMethods>, { cluster }: Group, items: number): Promise<number> {
  const nobodyOffers = async () => (await cluster.replicas[0]!.status()).offers.length === 0
  await cluster.waitUntil('offers expire', nobodyOffers, { timeoutMs: WAIT_MS })
  const { phasesMs } = await joiner.call('join', cluster.group, cluster.logPath, items)
  return phasesMs.cut + phasesMs.fetch + phasesMs.install
}

/** Values are random texts of 100 characters, as JSON. */
async function fill({ cluster }: Group, items: number): Promise<void> {
  const provider = cluster.replicas[0]!
  await provider.clear()
  await provider.fill({ count: items, batch: 1_000, random: true })
}
