import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNatsServers, startPostgres } from '../../src/testing/index.ts'
import { Child } from './child.ts'
import type { Latency, Shape, SideMethods } from './log/side.ts'
import type { Place } from './log/subject.ts'
import { type Benchmark, type Pair, pairs, type Runs, shared } from './runner.ts'

type Backend = 'memory' | 'sqlite' | 'jetstream' | 'jetstream-3' | 'foreign' | 'postgres'
type Side = 'ours' | 'plain'

const SERVERS = { memory: 0, sqlite: 0, jetstream: 1, 'jetstream-3': 3, foreign: 1, postgres: 0 } as const
/** Entries of one run. */
const APPENDED = {
  memory: 200_000,
  sqlite: 100_000,
  jetstream: 20_000,
  'jetstream-3': 20_000,
  foreign: 20_000,
  postgres: 100_000,
} as const
const FOLLOWED = {
  memory: 500_000,
  sqlite: 200_000,
  jetstream: 100_000,
  'jetstream-3': 100_000,
  foreign: 100_000,
  postgres: 200_000,
} as const
const LATENCIES = { append: 1_000, seen: 300 } as const
const WARM_UPS = 2
/** The least number of runs that count, because runs are short. */
const COUNTED_MIN = 3
/**
 * There is no target for memory: it has no client of its own, and a plain array has no ids, authors or
 * epochs.
 */
const TARGETS = {
  memory: undefined,
  sqlite: 0.8,
  jetstream: 0.8,
  'jetstream-3': 0.8,
  foreign: 0.8,
  postgres: 0.8,
} as const

/** Appends that are under way at once. */
const AT_ONCE = 1_000
const SINGLE = { each: 1, inFlight: AT_ONCE } as const
const BATCHES = { each: AT_ONCE, inFlight: 1 } as const

/**
 * Entries of 100 bytes are appended and read by our log, and by what one would use instead. Each side has its
 * own process, on servers or files with the same settings. Our entries also keep their id, author, epoch and
 * time.
 */
export const logs: readonly Benchmark[] = [
  ...(
    [
      ['memory', 'memory', SINGLE, SINGLE, 'an array of copies, by async calls'],
      ['sqlite', 'sqlite', SINGLE, BATCHES, 'node:sqlite, INSERTs in transactions of 1,000'],
      ['sqlite-batches', 'sqlite', BATCHES, BATCHES, 'node:sqlite, INSERTs in transactions of 1,000'],
      ['postgres', 'postgres', SINGLE, BATCHES, 'pg, INSERTs of 1,000 rows'],
      ['postgres-batches', 'postgres', BATCHES, BATCHES, 'pg, INSERTs of 1,000 rows'],
      ['jetstream', 'jetstream', SINGLE, SINGLE, 'js.publish, 1,000 at once'],
      ['jetstream-3', 'jetstream-3', SINGLE, SINGLE, 'js.publish, 1,000 at once'],
      ['foreign', 'foreign', SINGLE, SINGLE, 'js.publish, 1,000 at once'],
    ] as const
  ).map(
    ([name, backend, ours, plain, baseline]): Benchmark => ({
      name: `log-append/${name}`,
      unit: 'entries/s',
      baseline,
      ...target(backend),
      measure: (scale, wanted) => appends(backend, { ours, plain }, scale, wanted),
    }),
  ),
  ...latencies('append', {
    postgres: 'pg, an INSERT of one row',
    sqlite: 'node:sqlite, a transaction of one INSERT',
    jetstream: 'js.publish, awaited',
  }),
  ...(
    [
      ['memory', 'the items of an array'],
      ['sqlite', 'node:sqlite, all() of 1,000 rows'],
      ['postgres', 'pg, SELECTs of 1,000 rows'],
      ['jetstream', "the client's ordered consumer"],
      ['jetstream-3', "the client's ordered consumer"],
      ['foreign', "the client's ordered consumer"],
    ] as const
  ).map(
    ([backend, baseline]): Benchmark => ({
      name: `log-follow/${backend}`,
      unit: 'entries/s',
      baseline,
      ...target(backend),
      measure: (scale, wanted) => follows(backend, scale, wanted),
    }),
  ),
  ...latencies('seen', {
    postgres: 'pg, a query each millisecond',
    sqlite: 'node:sqlite, a query each millisecond',
    jetstream: "js.publish, and the client's ordered consumer",
  }),
]

/** Each run appends to a new log. */
async function appends(
  backend: Backend,
  shapes: Readonly<Record<Side, Omit<Shape, 'entries'>>>,
  scale: number,
  wanted: number,
): Promise<Pair[]> {
  await using sides = await startSides(backend)
  const entries = Math.ceil(APPENDED[backend] * scale)
  const run = async (side: Side) => {
    const child = sides[side]
    await child.call('open', side, sides.newPlace(side))
    const perSecond = await child.call('append', { ...shapes[side], entries })
    await child.call('close')
    return perSecond
  }
  return await pairs(runs(wanted), { ours: () => run('ours'), baseline: () => run('plain') })
}

/** Each run reads the same log, from the first entry to the last. */
async function follows(backend: Backend, scale: number, wanted: number): Promise<Pair[]> {
  await using sides = await startSides(backend)
  const entries = Math.ceil(FOLLOWED[backend] * scale)
  const fill = async (side: Side) => {
    await sides[side].call('open', side, sides.newPlace(side))
    const shape = SERVERS[backend] > 0 ? SINGLE : BATCHES
    await sides[side].call('append', { ...shape, entries })
  }
  await Promise.all([fill('ours'), fill('plain')])
  const run = (side: Side) => sides[side].call('follow', entries)
  return await pairs(runs(wanted), { ours: () => run('ours'), baseline: () => run('plain') })
}

type Kind = keyof typeof LATENCIES

const measured = {
  sqlite: shared((scale, wanted) => latenciesOf('sqlite', scale, wanted)),
  postgres: shared((scale, wanted) => latenciesOf('postgres', scale, wanted)),
  jetstream: shared((scale, wanted) => latenciesOf('jetstream', scale, wanted)),
  'jetstream-3': shared((scale, wanted) => latenciesOf('jetstream-3', scale, wanted)),
}

/**
 * The time of one entry after the other: until its append has settled, or until a follower in another handle
 * has it.
 */
function latencies(
  kind: Kind,
  says: Readonly<Record<'sqlite' | 'postgres' | 'jetstream', string>>,
): Benchmark[] {
  const group = kind === 'append' ? 'log-append' : 'log-follow'
  return (['sqlite', 'postgres', 'jetstream', 'jetstream-3'] as const).flatMap((backend) =>
    (
      [
        ['latency', 'medianMs'],
        ['latency-p99', 'p99Ms'],
      ] as const
    ).map(
      ([name, value]): Benchmark => ({
        name: `${group}/${backend}/${name}`,
        unit: 'ms',
        baseline: says[backend === 'jetstream-3' ? 'jetstream' : backend],
        measure: async (scale, wanted) =>
          (await measured[backend](scale, wanted)).map(({ ours, baseline }) => ({
            ours: ours[kind][value],
            baseline: baseline[kind][value],
          })),
      }),
    ),
  )
}

async function latenciesOf(
  backend: Backend,
  scale: number,
  wanted: number,
): Promise<Pair<Readonly<Record<Kind, Latency>>>[]> {
  await using sides = await startSides(backend)
  const run = async (side: Side) => {
    const child = sides[side]
    await child.call('open', side, sides.newPlace(side))
    const append = await child.call('appendLatency', Math.ceil(LATENCIES.append * scale))
    const seen = await child.call('seenLatency', Math.ceil(LATENCIES.seen * scale))
    await child.call('close')
    return { append, seen }
  }
  const few: Runs = { warmUps: 1, counted: wanted, garbage: 'minor' }
  return await pairs(few, { ours: () => run('ours'), baseline: () => run('plain') })
}

interface Sides extends AsyncDisposable, Readonly<Record<Side, Child<SideMethods>>> {
  /** A place where nothing was kept before. */
  newPlace(side: Side): Place
}

async function startSides(backend: Backend): Promise<Sides> {
  await using starting = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-bench-'))
  starting.defer(() => rm(dir, { recursive: true }))
  const count = SERVERS[backend]
  const nats = count === 0 ? undefined : starting.use(await startNatsServers({ servers: count }))
  const postgres = backend === 'postgres' ? starting.use(await startPostgres()) : undefined
  const servers = nats?.servers.map(({ name, url }) => ({ name, url })) ?? []
  const program = new URL('./log/side.ts', import.meta.url)
  const ours = starting.use(new Child<SideMethods>(program))
  const plain = starting.use(new Child<SideMethods>(program))
  const running = starting.move()
  let places = 0
  const newPlace = (side: Side): Place => {
    const name = `${side}_${++places}`
    switch (backend) {
      case 'memory':
        return { backend }
      case 'sqlite':
        return { backend, path: join(dir, name) }
      case 'jetstream':
      case 'jetstream-3':
        return { backend: 'jetstream', servers, stream: name }
      case 'foreign':
        return { backend, servers, stream: name }
      case 'postgres':
        return { backend, url: postgres!.url, schema: name }
      default:
        return backend satisfies never
    }
  }
  return { ours, plain, newPlace, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

function target(backend: Backend): Pick<Benchmark, 'target'> {
  const ratioMin = TARGETS[backend]
  return ratioMin === undefined ? {} : { target: { ratioMin } }
}

function runs(wanted: number): Runs {
  return { warmUps: WARM_UPS, counted: Math.max(COUNTED_MIN, wanted), garbage: 'minor' }
}
