import { SWEEP_CHUNK_KEYS } from '../../../src/leases/sweeper.ts'
import { median, timeMs } from '../runner.ts'
import { filled, randomTtlMs, shuffle } from './keys.ts'

interface SweepTime {
  readonly perKeyNs: number
  /** The median time of a full chunk. */
  readonly chunkMs: number
}

/** One sweep after the other, each of about as many keys. The keys are put back after each. */
export class Sweep {
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
