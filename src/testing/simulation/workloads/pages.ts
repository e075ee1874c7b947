import { ReplicatedMap } from '../../../machines/map/replicated-map.ts'
import { MapModel } from '../oracle/map-model.ts'
import type { Workload } from '../workload.ts'

/** Some 800 KB in values of 1 KB, so that the tree has many leaves. */
const KEYS = 800

/**
 * A map of many leaves, of which most are left as they are between two cuts, and of which much goes at once: chunks
 * are of several leaves, and what is left is compacted.
 */
export const pagesWorkload: Workload<ReplicatedMap<string, string>> = {
  name: 'pages',
  machine: () => new ReplicatedMap<string, string>(),
  model: () => new MapModel(),
  chunkBytes: 16_384,
  filled: 60,
  plan: { steps: 20 },
  write({ machine: map, chance, tag }) {
    const first = chance.integer(0, KEYS - 1)
    // The value compresses: it takes little on the way.
    if (chance.happens(0.93)) {
      const keys = Array.from({ length: chance.pick([1, 40]) }, (_, i) => `key-${(first + i * 37) % KEYS}`)
      return map.setMany(keys.map((key) => [key, `${tag}:${'.'.repeat(1_000)}`] as const))
    }
    const gone = Array.from({ length: KEYS }, (_, i) => i).filter((i) => (i + first) % 4 !== 0)
    return map.deleteMany(gone.map((i) => `key-${i}`))
  },
}
