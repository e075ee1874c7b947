import { LeaseTable } from '../../src/leases/lease-table.ts'
import { SWEEP_CHUNK_KEYS } from '../../src/leases/sweeper.ts'
import { systemClock } from '../../src/time/clock.ts'
import {
  type Benchmark,
  collectGarbage,
  median,
  type Pair,
  pairs,
  type Runs,
  shared,
  timeMs,
} from './runner.ts'

const KEYS = 1_000_000
/** The part of the keys that one sweep finds due. */
const DUE_SHARE = 0.01
const GROWTH = { fewKeys: 100_000, manyKeys: 4_000_000, dueKeys: 10_000 }
const TTL_MIN_MS = 1_000
const TTL_MAX_MS = 60_000
/** The part of the keys that one run revives or asks for. Each run takes other keys than the last one. */
const PASS_SHARE = 0.2
/** Only young garbage is collected: marking a million keys takes longer than the measured work. */
const RUNS: Runs = { warmUps: 5, counted: 15, garbage: 'minor' }
/** For work that takes long, or costs the same every time. */
const RUNS_FEW: Runs = { warmUps: 1, counted: 3, garbage: 'major' }

export const leaseTable: readonly Benchmark[] = [
  {
    name: 'lease-table/register',
    unit: 'ns/key',
    baseline: 'Map.set of new keys',
    measure: (scale) => {
      const all = new Keys(Math.ceil(KEYS * scale))
      const perKeyNs = (build: () => unknown) => (timeMs(build) / all.keys.length) * 1e6
      return pairs(RUNS_FEW, {
        ours: () => perKeyNs(() => all.table()),
        baseline: () => perKeyNs(() => all.map()),
      })
    },
  },
  {
    name: 'lease-table/revive',
    unit: 'ns/key',
    baseline: 'Map.set of known keys',
    target: { ratioMax: 2 },
    measure: (scale) => reviveBy(1, scale),
  },
  {
    name: 'lease-table/revive-earlier',
    unit: 'ns/key',
    baseline: 'Map.set of known keys',
    measure: (scale) => reviveBy(-1, scale),
  },
  {
    name: 'lease-table/is-expired',
    unit: 'ns/key',
    baseline: 'Map.get and a comparison',
    target: { ratioMax: 2 },
    measure: async (scale) => {
      const { keys, table, map } = filled(Math.ceil(KEYS * scale))
      const nowMs = (TTL_MIN_MS + TTL_MAX_MS) / 2
      let expired = 0
      const measured = await passes(keys.length, {
        ours: (from, to) => {
          for (let i = from; i < to; i++) if (table.isExpired(keys[i]!, nowMs)) expired++
        },
        baseline: (from, to) => {
          for (let i = from; i < to; i++) if (map.get(keys[i]!)! <= nowMs) expired--
        },
      })
      if (expired !== 0) throw new Error('the table and the Map disagree')
      return measured
    },
  },
  {
    name: 'lease-table/sweep',
    unit: 'ns/key',
    baseline: 'Map.delete of as many keys',
    target: { ratioMax: 1.3 },
    measure: async (scale, wanted) =>
      (await sweeps(scale, wanted)).map(({ ours, baseline }) => ({
        ours: ours.perKeyNs,
        baseline: baseline.perKeyNs,
      })),
  },
  {
    name: 'lease-table/sweep-chunk',
    unit: 'ms',
    baseline: `Map.delete of ${SWEEP_CHUNK_KEYS} keys`,
    target: { valueBelow: 2 },
    measure: async (scale, wanted) =>
      (await sweeps(scale, wanted)).map(({ ours, baseline }) => ({
        ours: ours.chunkMs,
        baseline: baseline.chunkMs,
      })),
  },
  {
    name: 'lease-table/sweep-growth',
    unit: 'ns/key',
    baseline: 'a sweep with as many due and 1/40 stored',
    target: { ratioMax: 1.2 },
    measure: async (scale, wanted) => (await growth(scale, wanted)).map(({ table }) => table),
  },
  {
    name: 'lease-table/map-delete-growth',
    unit: 'ns/key',
    baseline: 'Map.delete of as many keys with 1/40 stored',
    measure: async (scale, wanted) => (await growth(scale, wanted)).map(({ map }) => map),
  },
  {
    name: 'lease-table/bytes-per-key',
    unit: 'bytes',
    baseline: 'a Map from key to deadline',
    target: { valueBelow: 100 },
    measure: (scale) => {
      const all = new Keys(Math.ceil(KEYS * scale))
      const perKey = (build: () => { readonly size: number }) => bytesOf(build) / all.keys.length
      return pairs(RUNS_FEW, {
        ours: () => perKey(() => all.table()),
        baseline: () => perKey(() => all.map()),
      })
    },
  },
  {
    name: 'lease-table/timer-per-key',
    unit: 'ns/key',
    baseline: 'clearTimeout and setTimeout, per revive',
    measure: async (scale) => {
      const { keys, ttlsMs, table } = filled(Math.ceil(KEYS * scale))
      const timers = new Map(keys.map((key, i) => [key, setTimeout(noop, ttlsMs[i])]))
      let laterMs = 0
      const measured = await passes(
        keys.length,
        {
          prepare: () => {
            laterMs++
          },
          ours: (from, to) => {
            for (let i = from; i < to; i++) table.revive(keys[i]!, ttlsMs[i]! + laterMs, 0)
          },
          baseline: (from, to) => {
            for (let i = from; i < to; i++) {
              clearTimeout(timers.get(keys[i]!))
              timers.set(keys[i]!, setTimeout(noop, ttlsMs[i]))
            }
          },
        },
        RUNS_FEW,
      )
      for (const timer of timers.values()) clearTimeout(timer)
      return measured
    },
  },
  {
    name: 'lease-table/scan',
    unit: 'ns/key',
    baseline: 'a scan of all keys, per key due',
    measure: (scale) => {
      const sweep = new Sweep(Math.ceil(KEYS * scale), Math.ceil(KEYS * DUE_SHARE * scale))
      return pairs(RUNS, {
        prepare: () => sweep.prepare(),
        ours: () => sweep.evict().perKeyNs,
        baseline: () => sweep.scan(),
        restore: () => sweep.restore(),
      })
    },
  },
]

/** Sweeps beside deletes, at the usual size. */
const sweeps = shared((scale) => {
  const sweep = new Sweep(Math.ceil(KEYS * scale), Math.ceil(KEYS * DUE_SHARE * scale))
  return pairs(RUNS, {
    prepare: () => sweep.prepare(),
    ours: () => sweep.evict(),
    baseline: () => sweep.delete(),
    restore: () => sweep.restore(),
  })
})

/**
 * The same work among many keys ("ours") and among few, for the table and for a plain Map. The growth of the
 * Map's figure is due to memory alone.
 */
const growth = shared(async (scale): Promise<{ readonly table: Pair; readonly map: Pair }[]> => {
  const many = new Sweep(Math.ceil(GROWTH.manyKeys * scale), Math.ceil(GROWTH.dueKeys * scale))
  const few = new Sweep(Math.ceil(GROWTH.fewKeys * scale), Math.ceil(GROWTH.dueKeys * scale))
  const run = (sweep: Sweep) => ({ table: sweep.evict().perKeyNs, map: sweep.delete().perKeyNs })
  const measured = await pairs(RUNS, {
    prepare: () => {
      many.prepare()
      few.prepare()
    },
    ours: () => run(many),
    baseline: () => run(few),
    restore: () => {
      many.restore()
      few.restore()
    },
  })
  return measured.map(({ ours, baseline }) => ({
    table: { ours: ours.table, baseline: baseline.table },
    map: { ours: ours.map, baseline: baseline.map },
  }))
})

/** Keys, each with its TTL. */
class Keys {
  /** In another order than in memory, as in real use. */
  readonly keys: readonly string[]
  readonly ttlsMs: Int32Array
  /** The order in which they are inserted, which is another one again. */
  readonly #order: Uint32Array

  constructor(size: number) {
    this.keys = shuffle(Array.from({ length: size }, (_, i) => `key-${i}`))
    this.ttlsMs = new Int32Array(size).map(randomTtlMs)
    this.#order = shuffle(new Uint32Array(size).map((_, i) => i))
  }

  /** A lease table with all of them, registered at time 0. */
  table(): LeaseTable<string> {
    const table = new LeaseTable<string>({ clock: systemClock })
    for (const i of this.#order) table.register(this.keys[i]!, this.ttlsMs[i]!, 0)
    return table
  }

  /**
   * A plain Map from key to deadline. The deadlines are small integers, which a Map stores best. Those of a
   * real clock have fractions.
   */
  map(): Map<string, number> {
    const map = new Map<string, number>()
    for (const i of this.#order) map.set(this.keys[i]!, this.ttlsMs[i]!)
    return map
  }
}

/** The same keys in a lease table and in a plain Map. */
function filled(size: number) {
  const all = new Keys(size)
  return { keys: all.keys, ttlsMs: all.ttlsMs, table: all.table(), map: all.map() }
}

interface SweepTime {
  readonly perKeyNs: number
  /** The median time of a full chunk. */
  readonly chunkMs: number
}

/** One sweep after the other, each of about as many keys. The keys are put back after each. */
class Sweep {
  readonly #leases: ReturnType<typeof filled>
  readonly #dueKeys: number
  /** Deadlines, in the order of `keys`. */
  readonly #deadlinesMs: Int32Array
  readonly #sortedMs: Int32Array
  #nowMs = 0
  #due: number[] = []
  /**
   * As many other keys. The Map deletes these, so that neither side brings the other's keys into the cache.
   */
  #others: number[] = []
  #othersFrom = 0

  constructor(size: number, dueKeys: number) {
    this.#leases = filled(size)
    this.#dueKeys = dueKeys
    this.#deadlinesMs = this.#leases.ttlsMs.slice()
    this.#sortedMs = new Int32Array(size)
  }

  /** Let time pass until enough keys are due. */
  prepare(): void {
    const deadlinesMs = this.#deadlinesMs
    this.#sortedMs.set(deadlinesMs)
    this.#nowMs = this.#sortedMs.sort()[this.#dueKeys - 1]!
    this.#due = []
    for (let i = 0; i < deadlinesMs.length; i++) if (deadlinesMs[i]! <= this.#nowMs) this.#due.push(i)
    this.#others = []
    while (this.#others.length < this.#due.length) {
      const i = this.#othersFrom++ % deadlinesMs.length
      if (deadlinesMs[i]! > this.#nowMs) this.#others.push(i)
    }
  }

  /** Evict the due keys. */
  evict(): SweepTime {
    const { table } = this.#leases
    const sizeBefore = table.size
    const chunksMs: number[] = []
    while (table.mayHaveExpired(this.#nowMs))
      chunksMs.push(timeMs(() => table.evictExpired(SWEEP_CHUNK_KEYS, this.#nowMs)))
    if (sizeBefore - table.size !== this.#due.length) throw new Error('the sweep missed some keys')
    return this.#sweepTime(chunksMs)
  }

  /** Delete the other keys. */
  delete(): SweepTime {
    const { map } = this.#leases
    const keys = this.#others.map((i) => this.#leases.keys[i]!)
    const chunksMs: number[] = []
    for (let from = 0; from < keys.length; from += SWEEP_CHUNK_KEYS) {
      const to = Math.min(from + SWEEP_CHUNK_KEYS, keys.length)
      chunksMs.push(timeMs(() => deleteKeys(map, keys, from, to)))
    }
    return this.#sweepTime(chunksMs)
  }

  /** Look at all keys of the Map, and delete the due ones. Returns nanoseconds per due key. */
  scan(): number {
    const { map } = this.#leases
    const scanMs = timeMs(() => {
      for (const [key, deadlineMs] of map) if (deadlineMs <= this.#nowMs) map.delete(key)
    })
    return (scanMs / this.#due.length) * 1e6
  }

  restore(): void {
    const { keys, table, map } = this.#leases
    for (const i of this.#due) this.#deadlinesMs[i] = this.#nowMs + randomTtlMs()
    for (const i of shuffle(this.#due))
      table.register(keys[i]!, this.#deadlinesMs[i]! - this.#nowMs, this.#nowMs)
    for (const i of shuffle([...this.#due, ...this.#others])) map.set(keys[i]!, this.#deadlinesMs[i]!)
  }

  #sweepTime(chunksMs: readonly number[]): SweepTime {
    const totalMs = chunksMs.reduce((sum, chunkMs) => sum + chunkMs)
    return {
      perKeyNs: (totalMs / this.#due.length) * 1e6,
      chunkMs: median(chunksMs.length > 1 ? chunksMs.slice(0, -1) : chunksMs),
    }
  }
}

/**
 * A function of its own: V8 drops the compiled code of short-lived closures at a collection, and the slower
 * Map would flatter us.
 */
function deleteKeys(map: Map<string, number>, keys: readonly string[], from: number, to: number): void {
  for (let i = from; i < to; i++) map.delete(keys[i]!)
}

/** Revives keys. Each run gives a deadline that is later than that of the last run by `laterMs`. */
function reviveBy(laterMs: number, scale: number): Promise<Pair[]> {
  const { keys, ttlsMs, table, map } = filled(Math.ceil(KEYS * scale))
  const nowMs = 0
  let moreMs = 0
  return passes(keys.length, {
    prepare: () => {
      moreMs += laterMs
    },
    ours: (from, to) => {
      for (let i = from; i < to; i++) table.revive(keys[i]!, ttlsMs[i]! + moreMs, nowMs)
    },
    baseline: (from, to) => {
      for (let i = from; i < to; i++) map.set(keys[i]!, nowMs + ttlsMs[i]! + moreMs)
    },
  })
}

interface Passes {
  readonly prepare?: () => void
  /** Work on the keys from the first index up to, and without, the second. */
  readonly ours: (from: number, to: number) => void
  readonly baseline: (from: number, to: number) => void
}

/** Nanoseconds per key. Each run goes on where the last one ended, so that it finds no key in the cache. */
function passes(size: number, { prepare, ours, baseline }: Passes, runs = RUNS): Promise<Pair[]> {
  const passKeys = Math.ceil(size * PASS_SHARE)
  let from = size
  const perKeyNs = (pass: Passes['ours']) => (timeMs(() => pass(from, from + passKeys)) / passKeys) * 1e6
  return pairs(runs, {
    prepare: () => {
      prepare?.()
      from = from + 2 * passKeys > size ? 0 : from + passKeys
    },
    ours: () => perKeyNs(ours),
    baseline: () => perKeyNs(baseline),
  })
}

/** Bytes that stay in use for what `build` makes. */
function bytesOf(build: () => { readonly size: number }): number {
  const bytesBefore = usedBytes()
  const built = build()
  const bytes = usedBytes() - bytesBefore
  // This use keeps it from being garbage above.
  if (built.size === 0) throw new Error('nothing was built')
  return bytes
}

function usedBytes(): number {
  collectGarbage({ type: 'major' })
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function randomTtlMs(): number {
  return TTL_MIN_MS + Math.floor(Math.random() * (TTL_MAX_MS - TTL_MIN_MS))
}

function noop(): void {}

/** Shuffles in place. */
function shuffle<T extends Uint32Array | unknown[]>(items: T): T {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    const item = items[i]
    items[i] = items[j]
    items[j] = item
  }
  return items
}
