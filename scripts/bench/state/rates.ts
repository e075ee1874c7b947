import { bytesCodec, stringCodec } from '../../../src/index.ts'
import { bytesMap, keyOf } from '../capture/map.ts'
import { serveCalls } from '../child.ts'
import { collectGarbage } from '../runner.ts'
import { BtreeMap } from './btree-map.ts'
import { CpuTime } from './cpu-time.ts'
import { loads, randomOrder, sets } from './items.ts'
import type { MapUnderTest } from './map-under-test.ts'

/** A process that works on maps of one make. */

export type Make = 'packed' | 'btree'

/** Items per second of processor time. */
export interface Rates {
  readonly setRandom: number
  readonly get: number
  readonly scan: number
  readonly loadOrdered: number
}

type BytesMap = MapUnderTest<string, Uint8Array>

const MS_PER_S = 1_000
/** Items of one command of an ordered load. */
const LOAD_ITEMS = 1_000
/** How often all items are read or loaded. The best pass counts, which is the least disturbed one. */
const PASSES = 5
/** The part of the items with which everything is done once before the measurement. */
const WARM_UP_PART = 1 / 20

const methods = {
  measure(make: Make, items: number): Rates {
    measureAll(make, Math.ceil(items * WARM_UP_PART))
    return measureAll(make, items)
  },
}
export type RatesMethods = typeof methods

serveCalls(methods, () => {})

function measureAll(make: Make, items: number): Rates {
  const loadOrdered = bestRate(items, () => applyMs(emptyMap(make), loads(items, LOAD_ITEMS)))
  const map = emptyMap(make)
  // Each item is set twice: once it is new, and once it replaces another value.
  const setMs = applyMs(map, sets(randomOrder(items))) + applyMs(map, sets(randomOrder(items)))
  return {
    setRandom: (2 * items * MS_PER_S) / setMs,
    get: bestRate(items, () => getMs(map, randomOrder(items))),
    scan: bestRate(items, () => scanMs(map)),
    loadOrdered,
  }
}

function bestRate(items: number, pass: () => number): number {
  return (items * MS_PER_S) / Math.min(...Array.from({ length: PASSES }, pass))
}

function emptyMap(make: Make): BytesMap {
  switch (make) {
    case 'packed':
      return bytesMap()
    case 'btree':
      return new BtreeMap(stringCodec, bytesCodec)
    default:
      return make satisfies never
  }
}

function applyMs(map: BytesMap, batches: Iterable<readonly Uint8Array[]>): number {
  collectGarbage({ type: 'major' })
  const time = new CpuTime()
  for (const batch of batches) time.measure(() => applyEach(map, batch))
  return time.ms
}

function applyEach(map: BytesMap, batch: readonly Uint8Array[]): void {
  for (const command of batch) map.apply(command)
}

function getMs(map: BytesMap, order: Uint32Array): number {
  const keys = Array.from(order, keyOf)
  collectGarbage({ type: 'major' })
  const time = new CpuTime()
  time.measure(() => getEach(map, keys))
  return time.ms
}

function getEach(map: BytesMap, keys: readonly string[]): void {
  for (const key of keys) if (map.get(key) === undefined) throw new Error(`${key} is missing`)
}

function scanMs(map: BytesMap): number {
  collectGarbage({ type: 'major' })
  const time = new CpuTime()
  const seen = time.measure(() => count(map))
  if (seen !== map.size) throw new Error(`${seen} of ${map.size} items were read`)
  return time.ms
}

function count(map: BytesMap): number {
  let seen = 0
  for (const [, value] of map) if (value.length > 0) seen++
  return seen
}
