import { randomBytes } from 'node:crypto'
import type { Json } from '../machine/codec.ts'
import { ReplicatedMap } from '../machines/map/replicated-map.ts'
import type { TtlOption } from '../machines/ttl.ts'
import type { Position } from '../position.ts'
import { serveReplica } from '../processes/program.ts'
import type { Replica } from '../replica/replica.ts'

/** The built-in program: a replicated map of strings to JSON values. */

/** What to fill the map of a process with. */
export interface FillOptions {
  /** The number of entries to set. */
  readonly count: number
  /** Number of the first; it is part of its key. Default 0. */
  readonly from?: number
  /** What keys begin with. Default `key-`. */
  readonly prefix?: string
  /** Length of each value, in characters. Default 100. */
  readonly valueBytes?: number
  /** Values that can hardly be compressed, rather than a number and dots. Default false. */
  readonly random?: boolean
  /** Entries in one command. Default 1: one `set` for each. */
  readonly batch?: number
  /** Commands in flight. Default 256. */
  readonly concurrency?: number
}

/** How a process goes on writing to its map. */
export interface WritingOptions {
  /** Default 100. */
  readonly perSecond?: number
  /** What keys begin with. Default `written-`. */
  readonly prefix?: string
  /** Length of each value, in characters. Default 100. */
  readonly valueBytes?: number
}

const KEY_DIGITS = 8
const VALUE_BYTES_DEFAULT = 100
const WRITE_EVERY_MS = 10
/** The most of a pause that the writer makes up for, in milliseconds: a longer burst would hide the pause. */
const MAKE_UP_MS = 100

type JsonMap = ReplicatedMap<string, Json>

let writing: { readonly stop: () => Promise<number> } | undefined

serveReplica({
  machine: () => new ReplicatedMap<string, Json>(),
  methods: {
    set: (_, map, key: string, value: Json, options: TtlOption) => map.set(key, value, options),
    ttl: (_, map, key: string) => map.ttl(key),
    persist: (_, map, key: string) => map.persist(key),
    get: (_, map, key: string) => map.get(key),
    setMany: (_, map, entries: [string, Json][]) => map.setMany(entries),
    delete: (_, map, key: string) => map.delete(key),
    deleteMany: (_, map, keys: string[]) => map.deleteMany(keys),
    clear: (_, map) => map.clear(),
    size: (_, map) => map.size,
    entries: (_, map) => [...map],
    fill: (_, map, options: FillOptions) => fill(map, options),
    startWriting(replica, map, options: WritingOptions) {
      if (writing !== undefined) throw new Error('it is writing already: stopWriting() first')
      writing = write(replica, map, options)
    },
    async stopWriting() {
      const stopped = writing
      writing = undefined
      return (await stopped?.stop()) ?? 0
    },
  },
})

/** Resolves with the position of the last command that was applied. */
async function fill(map: JsonMap, options: FillOptions): Promise<Position | undefined> {
  const { count, from = 0, prefix = 'key-', valueBytes = VALUE_BYTES_DEFAULT, random = false } = options
  const { batch = 1, concurrency = 256 } = options
  const end = from + count
  let next = from
  let newest: Position | undefined
  const work = async () => {
    while (next < end) {
      const first = next
      next = Math.min(next + batch, end)
      const entries = Array.from({ length: next - first }, (_, i) =>
        entry(prefix, first + i, valueBytes, random),
      )
      const written = await (batch === 1 ? map.set(...entries[0]!) : map.setMany(entries))
      if (newest === undefined || written.position.index > newest.index) newest = written.position
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return newest
}

/** Write in the background. `stop` resolves with the number of writes that were acknowledged. */
function write(replica: Replica, map: JsonMap, options: WritingOptions): { stop: () => Promise<number> } {
  const { perSecond = 100, prefix = 'written-', valueBytes = VALUE_BYTES_DEFAULT } = options
  const pending = new Set<Promise<void>>()
  let written = 0
  let acknowledged = 0
  let due = 1
  let lastMs = performance.now()

  const one = async () => {
    try {
      await map.set(...entry(prefix, written++, valueBytes))
      acknowledged++
    } catch (error) {
      console.error(`a background write failed: ${error}`)
    }
  }
  const timer = setInterval(() => {
    const nowMs = performance.now()
    due += (Math.min(nowMs - lastMs, MAKE_UP_MS) * perSecond) / 1_000
    lastMs = nowMs
    for (; due >= 1; due--) {
      const promise = one().finally(() => pending.delete(promise))
      pending.add(promise)
    }
  }, WRITE_EVERY_MS)
  replica.addEventListener('state', ({ detail }) => {
    if (detail.state === 'stopped') clearInterval(timer)
  })
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(pending)
      return acknowledged
    },
  }
}

function entry(
  prefix: string,
  number: number,
  valueBytes: number,
  random = false,
): [key: string, value: Json] {
  const text = String(number)
  const value = random
    ? randomBytes(Math.ceil((valueBytes * 3) / 4))
        .toString('base64')
        .slice(0, valueBytes)
    : text.padEnd(valueBytes, '.')
  return [prefix + text.padStart(KEY_DIGITS, '0'), value]
}
