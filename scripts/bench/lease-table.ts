import { SWEEP_CHUNK_KEYS } from '../../src/leases/sweeper.ts'
import { filled, Keys, TTL_MAX_MS, TTL_MIN_MS } from './lease-table/keys.ts'
import { Sweep } from './lease-table/sweep.ts'
import { type Benchmark, collectGarbage, type Pair, pairs, type Runs, shared, timeMs } from './runner.ts'

const KEYS = 1_000_000
/** The part of the keys that one sweep finds due. */
const DUE_SHARE = 0.01
const GROWTH = { fewKeys: 100_000, manyKeys: 4_000_000, dueKeys: 10_000 }
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

function noop(): void {}
