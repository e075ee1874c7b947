import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from './child.ts'
import { type Benchmark, type Pair, pairs, shared } from './runner.ts'
import type { Cuts, CutsMethods } from './state/cuts.ts'
import type { Make, Rates, RatesMethods } from './state/rates.ts'
import type { ChunkFile, Settled, SettledMethods } from './state/settled.ts'
import type { Source } from './state/source.ts'

const ITEMS = 1_000_000
/** The least number of items whose memory is not lost among that of the process. */
const SETTLED_ITEMS_MIN = 20_000

/** How a map came by its items. */
type Way = 'written' | 'installed' | 'churned'

const SETTLED = [
  { way: 'written', ratioMax: 1.5, after: 'each was set once, in random order' },
  { way: 'installed', ratioMax: 1.3, after: 'a snapshot was installed' },
  { way: 'churned', ratioMax: 1.6, after: 'a snapshot was installed, and each was set once more, at random' },
] as const

/** What the items of a map take, in a process of its own. */
async function settled(way: Way, scale: number, wanted: number): Promise<Pair[]> {
  const items = Math.max(SETTLED_ITEMS_MIN, Math.ceil(ITEMS * scale))
  const directory = await mkdtemp(join(tmpdir(), 'anchorage-bench-'))
  try {
    const chunks = way === 'written' ? [] : await writeChunks(items, directory)
    const measured: Pair[] = []
    for (let run = 0; run < wanted; run++) {
      const { resident, items: itemBytes } = await settledIn(way, items, chunks)
      measured.push({ ours: resident / items, baseline: itemBytes / items })
    }
    return measured
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function settledIn(way: Way, items: number, chunks: readonly ChunkFile[]): Promise<Settled> {
  await using child = new Child<SettledMethods>(new URL('./state/settled.ts', import.meta.url))
  return way === 'written' ? await child.call(way, items) : await child.call(way, chunks)
}

async function writeChunks(items: number, directory: string): Promise<ChunkFile[]> {
  await using source = new Child<Source>(new URL('./state/source.ts', import.meta.url))
  return await source.call('write', items, directory)
}

const RATES = [
  { name: 'set-random', of: 'setRandom', ratioMin: 1, work: 'setting each key twice, in random order' },
  { name: 'get', of: 'get', ratioMin: 0.8, work: 'reading each key once, in random order' },
  { name: 'scan', of: 'scan', ratioMin: 1, work: 'reading all entries in order' },
  {
    name: 'load-ordered',
    of: 'loadOrdered',
    ratioMin: 2,
    work: 'setting all keys in order, 1,000 at a time',
  },
] as const

/** The rates of both makes of the map, each in a process of its own. */
const rates = shared(async (scale, wanted): Promise<Pair<Rates>[]> => {
  const measureIn = async (make: Make) => {
    await using child = new Child<RatesMethods>(new URL('./state/rates.ts', import.meta.url))
    return await child.call('measure', make, Math.ceil(ITEMS * scale))
  }
  return await pairs(
    { warmUps: 0, counted: wanted, garbage: 'minor' },
    { ours: () => measureIn('packed'), baseline: () => measureIn('btree') },
  )
})

const cuts = shared(async (scale, wanted): Promise<Cuts[]> => {
  await using child = new Child<CutsMethods>(new URL('./state/cuts.ts', import.meta.url))
  const measured: Cuts[] = []
  for (let run = 0; run < wanted; run++)
    measured.push(await child.call('measure', Math.ceil(ITEMS * scale), run % 2 === 1))
  return measured
})

/** The benchmarks of cutting and installing. All are of processor time. */
const CUTS = [
  {
    name: 'state/cut',
    baseline: 'copying and hashing as many bytes, 1 MiB at a time',
    target: { ratioMax: 2.5 },
    pair: ({ cut, copyAndHash }: Cuts): Pair => ({ ours: cut, baseline: copyAndHash }),
  },
  {
    name: 'state/cut-neighbours',
    baseline: 'the cut before, since which 1% of the entries changed, all neighbours',
    target: { ratioMax: 0.1 },
    pair: ({ cut, cutNeighbours }: Cuts): Pair => ({ ours: cutNeighbours, baseline: cut }),
  },
  {
    name: 'state/install',
    baseline: 'copying as many bytes, 1 MiB at a time',
    target: { ratioMax: 2 },
    pair: ({ install, copy }: Cuts): Pair => ({ ours: install, baseline: copy }),
  },
] as const

/** What the state of a map takes in memory, and what work on it costs in processor time. */
export const state: readonly Benchmark[] = [
  ...SETTLED.map(({ way, ratioMax, after }) => ({
    name: `state/settled-${way}`,
    unit: 'bytes',
    baseline: `per entry, the bytes of its item, after ${after}`,
    target: { ratioMax },
    measure: (scale: number, wanted: number) => settled(way, scale, wanted),
  })),
  ...RATES.map(({ name, of, ratioMin, work }) => ({
    name: `state/${name}`,
    unit: 'items/CPU s',
    baseline: `${work}, in a sorted-btree of strings`,
    target: { ratioMin },
    measure: async (scale: number, wanted: number) =>
      (await rates(scale, wanted)).map(({ ours, baseline }) => ({ ours: ours[of], baseline: baseline[of] })),
  })),
  ...CUTS.map(({ pair, ...rest }) => ({
    ...rest,
    unit: 'ms of CPU',
    measure: async (scale: number, wanted: number) => (await cuts(scale, wanted)).map(pair),
  })),
]
