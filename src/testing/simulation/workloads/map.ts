import { ReplicatedMap } from '../../../machines/map/replicated-map.ts'
import type { Chance } from '../chance.ts'
import { MapModel } from '../oracle/map-model.ts'
import type { Workload } from '../workload.ts'

/** Few, so that writers meet at the same key. */
const KEYS = 24
const keyOf = (chance: Chance) => `key-${chance.integer(0, KEYS - 1)}`
/** Mostly over within the run, some within the time that a catch-up takes. */
const ttlOf = (chance: Chance) => chance.pick([1, 100, 1_000, 5_000, 60_000])

/** A map with everything that it can do: keys that die, clears, and writes under a condition. */
export const mapWorkload: Workload<ReplicatedMap<string, string>> = {
  name: 'map',
  machine: () => new ReplicatedMap<string, string>(),
  model: () => new MapModel(),
  chunkBytes: 64,
  write({ machine: map, chance, tag }) {
    const key = keyOf(chance)
    const deed = chance.weighted({
      set: 40,
      ttl: 25,
      many: 8,
      delete: 8,
      deleteMany: 4,
      compareAndSet: 10,
      persist: 4,
      clear: 1,
    })
    switch (deed) {
      case 'set':
        return map.set(key, tag)
      case 'ttl':
        return map.set(key, tag, { ttlMs: ttlOf(chance) })
      case 'many': {
        const entries = Array.from({ length: chance.integer(1, 6) }, () => [keyOf(chance), tag] as const)
        return map.setMany(entries, chance.happens(0.3) ? { ttlMs: ttlOf(chance) } : {})
      }
      case 'delete':
        return map.delete(key)
      case 'deleteMany':
        return map.deleteMany(Array.from({ length: chance.integer(1, 6) }, () => keyOf(chance)))
      case 'compareAndSet': {
        // What this replica has, which may be old by the time that the write is applied.
        const expected = chance.happens(0.8) ? currentOf(map, key) : tag
        const value = chance.happens(0.9) ? tag : undefined
        const ttl = value !== undefined && chance.happens(0.2) ? { ttlMs: ttlOf(chance) } : {}
        return map.compareAndSet(key, expected, value, ttl)
      }
      case 'persist':
        return map.persist(key)
      case 'clear':
        return map.clear()
      default:
        return deed satisfies never
    }
  },
}

/** Undefined, too, on a replica that cannot be read yet. */
function currentOf(map: ReplicatedMap<string, string>, key: string): string | undefined {
  try {
    return map.get(key)
  } catch {
    return undefined
  }
}

/** A state of some hundred chunks, over a network on which a catch-up takes longer than the log is kept. */
export const chunksWorkload: Workload<ReplicatedMap<string, string>> = {
  name: 'chunks',
  machine: () => new ReplicatedMap<string, string>(),
  model: () => new MapModel(),
  filled: 200,
  plan: {
    steps: 20,
    settings: { keepEntries: 5, bytesPerSecond: 100_000, snapshotAfter: 10, lookMs: 0.02 },
  },
  write({ machine: map, chance, tag }) {
    // It does not compress, so that the chunks are as long on the way as in memory.
    const value = Array.from({ length: 200 }, () => chance.integer(0, 2 ** 32).toString(36)).join('')
    return map.set(`key-${chance.integer(0, 400)}`, `${tag}:${value}`)
  },
}

/** Many small writes at once, more than a replica that lags can replay for a while. */
export const floodWorkload: Workload<ReplicatedMap<string, string>> = {
  ...mapWorkload,
  name: 'flood',
  filled: 300,
  plan: { steps: 60, settings: { lookMs: 0.02, snapshotAfter: 100 } },
}

/** Half the time and two thirds of the steps: for many seeds in a short time. */
export const shortWorkload: Workload<ReplicatedMap<string, string>> = {
  ...mapWorkload,
  name: 'short',
  plan: { durationMs: 6_000, steps: 20 },
}
