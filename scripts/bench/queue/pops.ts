import TinyQueue from 'tinyqueue'
import { bytesCodec } from '../../../src/index.ts'
import { ReplicatedPriorityQueue } from '../../../src/machines/index.ts'
import { keyOf, randomValue } from '../capture/map.ts'
import { serveCalls } from '../child.ts'
import { collectGarbage } from '../runner.ts'
import { CpuTime } from '../state/cpu-time.ts'

/** A process that pops items off a queue, or off a heap. */

/** The part of the items that one pass pops. */
const POPPED_PART = 1 / 20
const PASSES = 5
/** Items of one command while the queue is filled. */
const EXTEND_ITEMS = 1_000
const PRIORITY_MAX = 1e9
const MS_PER_S = 1_000

type Item = readonly [priority: number, key: string, value: Uint8Array]

const methods = {
  /** Items per second of processor time, each popped by a command of its own. */
  queue(items: number): number {
    const queue = new ReplicatedPriorityQueue<number, string, Uint8Array>({ values: bytesCodec })
    for (let first = 0; first < items; first += EXTEND_ITEMS)
      queue.apply(queue.commands.extend(itemsFrom(first, Math.min(first + EXTEND_ITEMS, items))))
    const pop = queue.commands.popMin()
    const rate = best(items, (count) => {
      for (let n = 0; n < count; n++) queue.apply(pop)
    })
    checkLeft(queue.size, items)
    return rate
  },
  heap(items: number): number {
    const heap = new TinyQueue(itemsFrom(0, items), ([a], [b]) => a - b)
    const rate = best(items, (count) => {
      for (let n = 0; n < count; n++) heap.pop()
    })
    checkLeft(heap.length, items)
    return rate
  },
}
export type PopsMethods = typeof methods

serveCalls(methods, () => {})

/** The best pass counts, which is the least disturbed one. */
function best(items: number, pop: (count: number) => void): number {
  const count = Math.floor(items * POPPED_PART)
  const passes = Array.from({ length: PASSES }, () => {
    collectGarbage({ type: 'major' })
    const time = new CpuTime()
    time.measure(() => pop(count))
    return time.ms
  })
  return (count * MS_PER_S) / Math.min(...passes)
}

function itemsFrom(first: number, end: number): Item[] {
  return Array.from({ length: end - first }, (_, n) => [
    Math.floor(Math.random() * PRIORITY_MAX),
    keyOf(first + n),
    new Uint8Array(randomValue()),
  ])
}

function checkLeft(left: number, items: number): void {
  const expected = items - PASSES * Math.floor(items * POPPED_PART)
  if (left !== expected) throw new Error(`${left} items are left, not ${expected}`)
}
