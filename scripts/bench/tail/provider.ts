import { randomBytes } from 'node:crypto'
import { ReplicatedMap } from '../../../src/index.ts'
import { serveReplica } from '../../../src/testing/index.ts'

/** A replica that serves joiners, and that overwrites items meanwhile. */

const VALUE_CHARACTERS = 100
const BATCH_ITEMS = 1_000
/**
 * The most writes under way. If they are not acknowledged, the log cannot be reached, or no replica leads.
 */
const PENDING_MAX = 64

type Texts = ReplicatedMap<string, string>

let pending = 0

serveReplica({
  machine: () => new ReplicatedMap<string, string>(),
  methods: {
    /** Set `items` items. */
    async fill(_, map: Texts, items: number) {
      for (let first = 0; first < items; first += BATCH_ITEMS) {
        const count = Math.min(BATCH_ITEMS, items - first)
        await map.setMany(Array.from({ length: count }, (_, i) => [keyOf(first + i), noise()]))
      }
    },
    /** Overwrite one of `items` items, again and again until the process ends. */
    overwrite(_, map: Texts, items: number, everyMs: number) {
      setInterval(() => {
        if (pending < PENDING_MAX) void write(map, keyOf(Math.floor(Math.random() * items)))
      }, everyMs).unref()
    },
  },
})

async function write(map: Texts, key: string): Promise<void> {
  pending++
  try {
    await map.set(key, noise())
  } catch {
    // Writes fail while the replica starts or stops. The benchmark needs no particular item in the log.
  } finally {
    pending--
  }
}

function keyOf(item: number): string {
  return `key-${String(item).padStart(8, '0')}`
}

function noise(): string {
  return randomBytes(VALUE_CHARACTERS).toString('base64').slice(0, VALUE_CHARACTERS)
}
