import { setTimeout as delay } from 'node:timers/promises'
import { appendAll } from '../../../src/cli/log/append-all.ts'
import { sqliteLog } from '../../../src/index.ts'
import type { Log, NewEntry } from '../../../src/log/index.ts'
import { serveCalls } from '../child.ts'
import { bytesMap, keyOf, randomKey, randomValue } from './map.ts'

/** A client that only writes, in its own process. */

/** Items of one command of a fill. */
const FILL_ITEMS = 1_000
/** Commands of one append of a fill. */
const FILL_COMMANDS = 10
/** A prime greater than any number of items, so that its multiples visit all of them. */
const STRIDE = 2_147_483_647
const WRITE_EVERY_MS = 10
/** The most entries of one append when the client makes up for a stall. */
const APPEND_ENTRIES_MAX = 2_000

const { commands, signature } = bytesMap()
let log: Log | undefined
let writing: { readonly stop: AbortController; readonly stopped: Promise<void> } | undefined

const methods = {
  async open(path: string, group: string): Promise<void> {
    log = await sqliteLog({ path }).open({ group, signature, author: 'writer' })
  },
  /** Set each of the items `from` to `to` of `items` once, in scattered order. */
  async fill(items: number, from: number, to: number): Promise<void> {
    await appendAll(log!, batches(items, from, to), () => {})
  },
  /** Begin to set random ones of `items` items at a steady rate. Resolves when the first is durable. */
  async write(items: number, perSecond: number): Promise<void> {
    await log!.append([set(items)])
    const stop = new AbortController()
    writing = { stop, stopped: write(log!, items, perSecond, stop.signal) }
  },
  rest,
}
export type Writer = typeof methods

serveCalls(methods, async () => {
  await rest()
  await log?.close()
})

async function rest(): Promise<void> {
  writing?.stop.abort()
  await writing?.stopped
}

function* batches(items: number, from: number, to: number): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = []
  for (let first = from; first < to; first += FILL_ITEMS) {
    const length = Math.min(FILL_ITEMS, to - first)
    const numbers = Array.from({ length }, (_, n) => ((first + n) * STRIDE) % items)
    batch.push(commands.setMany(numbers.map((number) => [keyOf(number), randomValue()])))
    if (batch.length < FILL_COMMANDS) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

async function write(log: Log, items: number, perSecond: number, signal: AbortSignal): Promise<void> {
  const beganMs = performance.now()
  let written = 0
  while (!signal.aborted) {
    const due = Math.floor(((performance.now() - beganMs) * perSecond) / 1_000) - written
    const length = Math.min(due, APPEND_ENTRIES_MAX)
    if (length > 0) await log.append(Array.from({ length }, () => set(items)))
    written += length
    if (length === due) await delay(WRITE_EVERY_MS)
  }
}

function set(items: number): NewEntry {
  return { kind: 'command', payload: commands.set(randomKey(items), randomValue()) }
}
