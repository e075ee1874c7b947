import { LeaseTable } from '../../../src/leases/lease-table.ts'
import { systemClock } from '../../../src/time/clock.ts'

export const TTL_MIN_MS = 1_000
export const TTL_MAX_MS = 60_000

/** Keys, each with its TTL. */
export class Keys {
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
export function filled(size: number) {
  const all = new Keys(size)
  return { keys: all.keys, ttlsMs: all.ttlsMs, table: all.table(), map: all.map() }
}

export function randomTtlMs(): number {
  return TTL_MIN_MS + Math.floor(Math.random() * (TTL_MAX_MS - TTL_MIN_MS))
}

/** Shuffles in place. */
export function shuffle<T extends Uint32Array | unknown[]>(items: T): T {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    const item = items[i]
    items[i] = items[j]
    items[j] = item
  }
  return items
}
