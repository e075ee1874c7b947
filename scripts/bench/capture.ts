import { setTimeout as delay } from 'node:timers/promises'
import type { ReplicaProcess } from '../../src/testing/index.ts'
import { Loaded, STEP_TIMEOUT_MS, WRITES_PER_SECOND } from './capture/loaded.ts'
import type { Span } from './capture/replica.ts'
import { type Benchmark, type Pair, pairs, shared } from './runner.ts'

const ITEMS = 1_000_000
/** The part of the items with which everything is done once before the measurement. */
const WARM_UP_PART = 1 / 20
const IDLE_MS = 4_000
/** A shorter span says nothing about a rate, in milliseconds. */
const SPAN_MIN_MS = 500

type Event = ReplicaProcess['events'][number]

interface Spans {
  readonly idle: Span
  readonly cutting: Span
  readonly serving: Span
}

interface Captures {
  readonly captures: readonly Pair[]
  readonly spans: readonly Spans[]
}

/**
 * One replica has a million items of 100 random bytes, and another client sets 20,000 keys a second through
 * the log. A joiner fetches a snapshot that was cut before. All three have processes of their own.
 */
async function measureIn(scale: number, wanted: number): Promise<Captures> {
  await using loaded = await startLoaded(scale)
  await loaded.write(itemsAt(scale))
  const spans: Spans[] = []
  for (let run = 0; run < wanted; run++) {
    spans.push(await measureSpans(loaded, Math.max(SPAN_MIN_MS, IDLE_MS * scale), run % 2 === 0))
  }
  await loaded.rest()
  await loaded.replica.barrier()
  const captures = await pairs(
    { warmUps: 1, counted: wanted, garbage: 'minor' },
    {
      ours: () => loaded.replica.call<number>('captureMs'),
      baseline: () => loaded.replica.call<number>('copyMs'),
    },
  )
  return { captures, spans }
}

/** A replica that has all items, and has captured, cut and served some of them. */
export async function startLoaded(scale: number): Promise<Loaded> {
  const items = itemsAt(scale)
  const warmUp = Math.ceil(items * WARM_UP_PART)
  const loaded = await Loaded.start()
  try {
    await loaded.fill(items, 0, warmUp)
    await loaded.write(items)
    await measureSpans(loaded, SPAN_MIN_MS, true)
    await loaded.rest()
    await loaded.fill(items, warmUp, items)
    return loaded
  } catch (error) {
    await loaded[Symbol.asyncDispose]()
    throw error
  }
}

export const itemsAt = (scale: number): number => Math.ceil(ITEMS * scale)

export async function measureSpans(loaded: Loaded, idleMs: number, idleFirst: boolean): Promise<Spans> {
  const { replica } = loaded
  const measureIdle = async () => {
    await loaded.nothingOffered(replica)
    return await span(replica, () => delay(idleMs))
  }
  const early = idleFirst ? await measureIdle() : undefined
  await loaded.nothingOffered(replica)
  const since = replica.events.length
  const cutting = await span(replica, async () => {
    await replica.mark()
    const isCut = ({ type, detail }: Event) => type === 'sync' && detail.type === 'cut'
    await replica.waitFor(isCut, { since, timeoutMs: STEP_TIMEOUT_MS })
  })
  const joiner = await loaded.join()
  await entered(joiner, 'fetching')
  const serving = await span(replica, () => entered(joiner, 'installing'))
  await joiner.waitFor(({ type }) => type === 'caught-up', { timeoutMs: STEP_TIMEOUT_MS })
  const captured = replica.events
    .slice(since)
    .filter(({ type, detail }) => type === 'sync' && detail.type === 'captured')
  if (captured.length !== 1)
    throw new Error('the joiner fetched another snapshot than the one that was cut before')
  await joiner.stop()
  return { idle: early ?? (await measureIdle()), cutting, serving }
}

async function entered(joiner: ReplicaProcess, status: 'fetching' | 'installing'): Promise<void> {
  const isIt = ({ type, detail }: Event) =>
    type === 'sync' && detail.type === 'session' && detail.state.status === status
  await joiner.waitFor(isIt, { timeoutMs: STEP_TIMEOUT_MS })
}

/** What a replica measures of itself during some work. */
async function span(replica: ReplicaProcess, work: () => Promise<void>): Promise<Span> {
  await replica.call('beginSpan')
  await Promise.all([work(), delay(SPAN_MIN_MS)])
  return await replica.call<Span>('endSpan')
}

const measured = shared(measureIn)

const LOAD = `${WRITES_PER_SECOND.toLocaleString('en')} sets/s by another client`
const MEASURES = [
  {
    what: 'delay-p99',
    unit: 'ms',
    baseline: `the event loop's p99 delay under the same ${LOAD}, idle otherwise`,
    of: ({ p99Ms }: Span) => p99Ms,
  },
  {
    what: 'delay-max',
    unit: 'ms',
    baseline: `the event loop's longest delay under the same ${LOAD}, idle otherwise`,
    of: ({ maxMs }: Span) => maxMs,
  },
  {
    what: 'rate',
    unit: 'entries/s',
    baseline: `applied of the same ${LOAD}, idle otherwise`,
    target: { ratioMin: 0.95 },
    of: ({ entriesPerSecond }: Span) => entriesPerSecond,
  },
  {
    what: 'lag',
    unit: 'ms',
    baseline: `how far behind the log it is under the same ${LOAD}, idle otherwise`,
    of: ({ lagMs }: Span) => lagMs,
  },
] as const

/** `delayBelow` is the target of the event loop's p99 delay, in milliseconds. */
const WHEN = [
  { when: 'cutting', delayBelow: 15 },
  { when: 'serving', delayBelow: 10 },
] as const

/** What capturing, cutting and serving a snapshot cost a replica that goes on applying. */
export const capture: readonly Benchmark[] = [
  {
    name: 'capture/capture',
    unit: 'ms',
    baseline: 'the shallow copy of a Map of as many keys',
    target: { valueBelow: 1 },
    measure: async (scale, wanted) => (await measured(scale, wanted)).captures,
  },
  ...WHEN.flatMap(({ when, delayBelow }) =>
    MEASURES.map(({ what, of, ...rest }) => ({
      name: `capture/${when}-${what}`,
      ...rest,
      ...(what === 'delay-p99' && { target: { valueBelow: delayBelow } }),
      async measure(scale: number, wanted: number) {
        const { spans } = await measured(scale, wanted)
        return spans.map((span) => ({ ours: of(span[when]), baseline: of(span.idle) }))
      },
    })),
  ),
]
