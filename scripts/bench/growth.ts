import { type Cluster, startCluster } from '../../src/testing/index.ts'
import { Child } from './child.ts'
import type { JoinerMethods } from './growth/joiner.ts'
import { type Benchmark, median, type Pair, shared } from './runner.ts'

const SIZES = [10_000, 100_000, 1_000_000] as const
/** What the others are compared with. */
const REFERENCE = 100_000
/** A state that is hardly there takes what a request takes, however large the state. */
const NEARLY_EMPTY = 1
/** Catch-ups of each size in one round, of which the median counts; those of the largest are long, and fewer do. */
const RUNS = 9
const RUNS_LARGEST = 3
/** Each provider has served so many items so often before it counts, whatever it will hold: V8 compiles what runs often. */
const WARM_UP_ITEMS = 100_000
const WARM_UP_RUNS = 4
/** Offers expire soon, so that the next joiner has a snapshot of its own cut. */
const TTL_MS = 1_000
const WAIT_MS = 60_000
const US_PER_MS = 1_000

type Size = (typeof SIZES)[number]

interface Group {
  readonly cluster: Cluster
  /** What it is called, whatever the scale makes of it. */
  readonly size: Size | typeof NEARLY_EMPTY
  readonly items: number
  readonly runs: number
}

/**
 * Groups of one replica each: only then each side of a catch-up has a processor to itself, and what grows is the work, not the
 * wait for a processor. They wait while a replica joins another one.
 */
const measured = shared(async (scale, wanted): Promise<readonly ReadonlyMap<number, number>[]> => {
  await using stack = new AsyncDisposableStack()
  const joiner = stack.use(new Child<JoinerMethods>(new URL('./growth/joiner.ts', import.meta.url)))
  const groups: Group[] = []
  for (const size of [NEARLY_EMPTY, ...SIZES] as const) {
    const cluster = stack.use(await startCluster({ replicas: 1, options: { ttlMs: TTL_MS } }))
    await cluster.leader()
    const items = size === NEARLY_EMPTY ? size : Math.ceil(size * scale)
    const runs = Math.ceil((size === SIZES.at(-1) ? RUNS_LARGEST : RUNS) * scale)
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

/** For each size, per item: from the leader's answer to the new state in place, less what that takes where there is one item. */
export const growth: readonly Benchmark[] = SIZES.map((size) => ({
  name: `growth/${size}`,
  unit: 'µs',
  baseline: `for each of ${REFERENCE} items`,
  ...(size === SIZES.at(-1) && { target: { ratioMax: 1.15 } }),
  async measure(scale, wanted): Promise<Pair[]> {
    const rounds = await measured(scale, wanted)
    return rounds.map((costs) => ({ ours: costs.get(size)!, baseline: costs.get(REFERENCE)! }))
  },
}))

/** Microseconds for each item, by size: one round through all groups, in turn. */
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

/** Have a replica with nothing join while no snapshot is there. Resolves with the milliseconds to cut, fetch and install it. */
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
