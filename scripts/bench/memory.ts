import { setTimeout as delay } from 'node:timers/promises'
import type { ReplicaProcess } from '../../src/testing/index.ts'
import { Loaded, STEP_TIMEOUT_MS } from './capture/loaded.ts'
import { Child } from './child.ts'
import type { PlainMap } from './memory/plain-map.ts'
import { type Benchmark, type Pair, shared } from './runner.ts'

const ITEMS = 1_000_000
/** The least number of items. The memory of fewer is lost among that of the process. */
const ITEMS_MIN = 20_000
const MIB = 1024 * 1024
/** How long the follower is stopped, in milliseconds. It then has an older state. */
const STOPPED_MS = 3_000
/** A process that was stopped within a transaction holds the log's lock this long, in milliseconds. */
const LOCK_HELD_MS = 2_000

/** A replica's resident memory beyond that of an empty one, in bytes. */
interface Memory {
  /** The peak during the measured work. */
  readonly peak: number
  /** The memory some time before or after the work, when nothing is offered or written. */
  readonly settled: number
}

interface Run {
  readonly provider: Memory
  readonly joiner: Memory
  readonly follower: Memory
  /**
   * Bytes per item: of a replica that has applied them, of one that has installed them, and of a plain `Map`.
   */
  readonly perItem: { readonly applied: number; readonly installed: number; readonly plain: number }
}

/**
 * One replica has a million items of 100 random bytes, and another client sets 20,000 keys a second through
 * the log. An empty replica joins: the first captures, cuts and serves for it. Then the joiner is stopped,
 * misses 60,000 sets and their pruning, goes on, and catches up again. Each has its own process. Peaks are
 * the kernel's figure (`VmHWM`).
 */
async function measureRun(scale: number, plainFirst: boolean): Promise<Run> {
  const items = Math.max(ITEMS_MIN, Math.ceil(ITEMS * scale))
  const early = plainFirst ? await plainBytes(items) : undefined
  const { applied, installed, ...memory } = await measureReplicas(items)
  const plain = early ?? (await plainBytes(items))
  return {
    ...memory,
    perItem: { applied: applied / items, installed: installed / items, plain: plain / items },
  }
}

async function measureReplicas(items: number) {
  await using loaded = await Loaded.start()
  const provider = loaded.replica
  const empty = await settled(provider)
  await loaded.fill(items, 0, items)
  const applied = (await settled(provider)) - empty

  await loaded.write(items)
  await provider.call('resetPeak')
  const joiner = await loaded.join()
  await caughtUp(joiner)
  const [providerPeak, joinerPeak] = await Promise.all([peak(provider), peak(joiner)])
  await loaded.rest()
  await loaded.nothingOffered(joiner)
  const installed = (await settled(joiner)) - empty

  await joiner.call('resetPeak')
  const since = joiner.events.length
  await stopAndWrite(loaded, joiner, items)
  await delay(STOPPED_MS)
  await loaded.prune()
  joiner.resume()
  await caughtUp(joiner, since)
  const followerPeak = await peak(joiner)
  await loaded.rest()
  return {
    applied,
    installed,
    provider: { peak: providerPeak - empty, settled: applied },
    joiner: { peak: joinerPeak - empty, settled: installed },
    follower: { peak: followerPeak - empty, settled: installed },
  }
}

/**
 * Stop a replica, and have another client write. If the replica holds the log's lock at that moment, try
 * again.
 */
async function stopAndWrite(loaded: Loaded, replica: ReplicaProcess, items: number): Promise<void> {
  for (;;) {
    replica.pause()
    const writing = loaded.write(items)
    const held = await Promise.race([writing.then(() => false), delay(LOCK_HELD_MS, true)])
    if (!held) return
    replica.resume()
    await writing
    await loaded.rest()
  }
}

async function caughtUp(replica: ReplicaProcess, since = 0): Promise<void> {
  await replica.waitFor(({ type }) => type === 'caught-up', { since, timeoutMs: STEP_TIMEOUT_MS })
}

function peak(replica: ReplicaProcess): Promise<number> {
  return replica.call('peakBytes')
}

function settled(replica: ReplicaProcess): Promise<number> {
  return replica.call('settledBytes')
}

/** What a `Map` of this many items takes in its own process, with each value as a `Uint8Array`. */
async function plainBytes(items: number): Promise<number> {
  await using child = new Child<PlainMap>(new URL('./memory/plain-map.ts', import.meta.url))
  return await child.call('fill', items)
}

const measured = shared(async (scale: number, wanted: number): Promise<readonly Run[]> => {
  const runs: Run[] = []
  for (let run = 0; run < wanted; run++) runs.push(await measureRun(scale, run % 2 === 1))
  return runs
})

async function inPairs(scale: number, wanted: number, pair: (run: Run) => Pair): Promise<readonly Pair[]> {
  return (await measured(scale, wanted)).map(pair)
}

const PEAKS = [
  { who: 'provider', when: 'before it served', ratioMax: 1.4 },
  { who: 'joiner', when: 'some time after it had caught up', ratioMax: 1.3 },
  { who: 'follower', when: 'before it fell behind', ratioMax: 1.8 },
] as const

/**
 * What a state takes, and how much more it takes while it is captured, cut, served, fetched and installed.
 */
export const memory: readonly Benchmark[] = [
  ...PEAKS.map(({ who, when, ratioMax }) => ({
    name: `memory/${who}`,
    unit: 'MiB',
    baseline: `its own settled memory ${when}, both less an empty replica's`,
    target: { ratioMax },
    measure: (scale: number, wanted: number) =>
      inPairs(scale, wanted, ({ [who]: { peak, settled } }) => ({
        ours: peak / MIB,
        baseline: settled / MIB,
      })),
  })),
  {
    name: 'memory/settled',
    unit: 'bytes',
    baseline: 'per entry, as a Uint8Array each in a Map',
    target: { valueBelow: 450 },
    measure: (scale, wanted) =>
      inPairs(scale, wanted, ({ perItem: { applied, plain } }) => ({ ours: applied, baseline: plain })),
  },
  {
    name: 'memory/settled-installed',
    unit: 'bytes',
    baseline: 'per entry, as a Uint8Array each in a Map',
    measure: (scale, wanted) =>
      inPairs(scale, wanted, ({ perItem: { installed, plain } }) => ({ ours: installed, baseline: plain })),
  },
]
