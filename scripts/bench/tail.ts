import { type Benchmark, type Pair, shared, type Target } from './runner.ts'
import { type JoinRecord, LEASE_MS, TailGroup, TTL_MS } from './tail/group.ts'
import { randomFrom } from './tail/random.ts'
import { formatProviders, formatSlowest } from './tail/slowest.ts'

/** The number of items, for any number of joins: a snapshot of a few chunks. */
const ITEMS = 20_000
const JOINS = 200
const KILLS = 40
/** Joins that are not counted. Afterwards the processes have compiled their code. */
const WARM_UPS = 5
/** The pause before each join, at most, in TTLs of an offer. */
const PAUSE_TTLS = 3
/**
 * The longest that a join with a killed leader should take, in milliseconds: after a lease another replica
 * takes office and names an anchor.
 */
const KILLED_MS_MAX = LEASE_MS + 2_000
/** The variable with the seed. With the seed that was printed, the joins begin at the same moments again. */
const SEED_VARIABLE = 'TAIL_SEED'

type Duration = (join: JoinRecord) => number
const catchUpOf: Duration = ({ report }) => report.totalMs
const wholeOf: Duration = ({ wholeMs }) => wholeMs

interface Tail {
  readonly calm: readonly JoinRecord[]
  /** Joins during which the leader was killed. */
  readonly killed: readonly JoinRecord[]
}

/**
 * A group of three processes writes, checkpoints and prunes all the time. One replica after the other joins
 * it without a state. The joins begin at random moments of three TTLs after the last one has left, so the
 * offers that they find were just revived, are expiring, or are gone. Then more replicas join. During each of
 * these joins the leader is killed (SIGKILL) at a random moment, and restarted afterwards.
 */
const measured = shared(async (scale): Promise<Tail> => {
  const seed = Number(process.env[SEED_VARIABLE] ?? Math.floor(Math.random() * 2 ** 32))
  const random = randomFrom(seed)
  tell(`tail: ${SEED_VARIABLE}=${seed}`)
  await using group = await TailGroup.start(ITEMS)
  const pause = () => random() * PAUSE_TTLS * TTL_MS
  for (let n = 0; n < WARM_UPS; n++) await group.join(pause())

  const calm: JoinRecord[] = []
  for (let n = 0; n < Math.ceil(JOINS * scale); n++) calm.push(await group.join(pause()))
  show('tail', calm, group)

  const usualMs = percentile(calm.map(wholeOf), 0.5)
  const killed: JoinRecord[] = []
  for (let n = 0; n < Math.ceil(KILLS * scale); n++) {
    killed.push(await group.join(pause(), random() * usualMs))
  }
  show('tail, leader killed', killed, group)
  return { calm, killed }
})

/** How long most joins take, and how long the slowest. */
export const tail: readonly Benchmark[] = [
  ofJoins('tail/p50', catchUpOf, 0.5, 'the same from createReplica on', wholeOf),
  ...beyond('catch-up', catchUpOf),
  ...beyond('whole', wholeOf),
  ofKilled('catch-up', catchUpOf),
  ofKilled('whole', wholeOf),
]

function beyond(what: string, duration: Duration): Benchmark[] {
  const median = `the median of the same joins, ${what === 'whole' ? 'from createReplica' : 'from lagging'} to in sync`
  return [
    ofJoins(`tail/${what}-p95`, duration, 0.95, median, duration),
    ofJoins(`tail/${what}-p99`, duration, 0.99, median, duration, { ratioMax: 2 }),
    ofJoins(`tail/${what}-max`, duration, 1, median, duration, { ratioMax: 4 }),
  ]
}

/** @param share the share of the joins that took no longer; the baseline is always a median */
function ofJoins(
  name: string,
  duration: Duration,
  share: number,
  baseline: string,
  baselineOf: Duration,
  target?: Target,
): Benchmark {
  const measure = async (scale: number, pairs: number): Promise<Pair[]> => {
    const { calm } = await measured(scale, pairs)
    const ours = percentile(calm.map(duration), share)
    return [{ ours, baseline: percentile(calm.map(baselineOf), 0.5) }]
  }
  return { name, unit: 'ms', baseline, measure, ...(target && { target }) }
}

function ofKilled(what: string, duration: Duration): Benchmark {
  return {
    name: `tail/killed-${what}-max`,
    unit: 'ms',
    baseline: `one lease of ${LEASE_MS} ms and 2 s; the leader is killed during each join`,
    target: { ratioMax: 1 },
    async measure(scale, pairs) {
      const { killed } = await measured(scale, pairs)
      return [{ ours: Math.max(...killed.map(duration)), baseline: KILLED_MS_MAX }]
    },
  }
}

/** The least value that this share of the values does not exceed. */
function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!
}

function show(title: string, joins: readonly JoinRecord[], { names }: TailGroup): void {
  const shares = { p50: 0.5, p95: 0.95, p99: 0.99, max: 1 }
  const figures = (duration: Duration) =>
    Object.entries(shares)
      .map(([name, share]) => `${name} ${percentile(joins.map(duration), share).toFixed(0)}`)
      .join(', ')
  tell(`${title}: ${joins.length} joins; providers used: ${formatProviders(joins)}`)
  tell(`  catch-up ms: ${figures(catchUpOf)}\n  whole ms: ${figures(wholeOf)}\n  the slowest catch-ups:`)
  tell(formatSlowest(joins, names, catchUpOf))
}

/** Inform the person at the terminal. The results are printed elsewhere. */
function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}
