import { once } from 'node:events'
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import type { DropKind, DropQueueInit, DropSource } from '../../src/leases/drop-queue.ts'
import { DropQueue } from '../../src/leases/drop-queue.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { allowFault } from '../setup/strict.ts'

/** Things with places, each of ten bytes, that a test can put to use or make impossible to release. */
class Shelf implements DropSource<number> {
  readonly there: Set<number>
  readonly inUse = new Set<number>()
  /** How often each will fail to be released. */
  readonly failures = new Map<number, number>()
  readonly released: number[] = []

  constructor(...items: number[]) {
    this.there = new Set(items)
  }

  list(): Iterable<number> {
    return this.there
  }

  indexOf(item: number): number {
    return item
  }

  spared(item: number): boolean {
    return this.inUse.has(item) || !this.there.has(item)
  }

  release(item: number): number | Promise<number> {
    const failures = this.failures.get(item) ?? 0
    this.failures.set(item, failures - 1)
    if (failures > 0) throw new Error(`${item} is stuck`)
    this.there.delete(item)
    this.released.push(item)
    return 10
  }
}

/** Things that are released as the test says. */
function things(release: (item: string) => number | Promise<number>): DropSource<string> {
  return { list: () => [], indexOf: () => 0, spared: () => false, release }
}

const upTo = (n: number) => Array.from({ length: n }, (_, at) => at + 1)

let clock: VirtualClock
let shelf: Shelf
let events: string[]
let queue: DropQueue
let drops: DropKind<number>

function begin(source: Shelf, init: Partial<DropQueueInit> = {}): void {
  clock = new VirtualClock()
  events = []
  shelf = source
  queue = new DropQueue({
    clock,
    onDropped: ({ kind, count, bytes }) => events.push(`${kind}: ${count} items, ${bytes} bytes`),
    onFailed: ({ kind, error, willRetry }) =>
      events.push(`${kind}: ${error.message}, ${willRetry ? 'again' : 'given up'}`),
    ...init,
  })
  drops = queue.kind('shelf', source)
}

/** Everything that needs no time has happened. */
async function settled(): Promise<void> {
  for (let n = 0; n < 20; n++) await clock.turn()
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms)
  await settled()
}

beforeEach(() => begin(new Shelf(...upTo(300))))

test('what is dropped is released 50 ms after the first request, all in one batch', async () => {
  drops.drop(1)
  await pass(30)
  drops.drop(2)
  await pass(19)
  expect([shelf.released, events]).toEqual([[], []])
  await pass(1)
  expect([shelf.released, events]).toEqual([[1, 2], ['shelf: 2 items, 20 bytes']])
})

test('after a flush the next request waits its own 50 ms', async () => {
  drops.drop(1)
  await pass(50)
  await pass(30)
  drops.drop(2)
  await pass(49)
  expect(shelf.released).toEqual([1])
  await pass(1)
  expect(shelf.released).toEqual([1, 2])
})

test('after a flush that was asked for, the next requests wait their own time, and count from nothing', async () => {
  for (const item of upTo(60)) drops.drop(item)
  await pass(20)
  await queue.flush()
  for (const item of upTo(120).slice(60)) drops.drop(item)
  await pass(49)
  expect(shelf.released).toEqual(upTo(60))
  await pass(1)
  expect(shelf.released).toEqual(upTo(120))
})

test('asking for the same item a hundred times makes no flush due', async () => {
  for (let n = 0; n < 100; n++) drops.drop(1)
  await settled()
  expect(shelf.released).toEqual([])
})

test('a hundred requests do not wait for the time, but never run in the turn of the caller', async () => {
  for (const item of upTo(99)) drops.drop(item)
  await settled()
  expect(shelf.released).toEqual([])
  drops.drop(100)
  await Promise.resolve()
  expect(shelf.released).toEqual([])
  await settled()
  expect(shelf.released).toEqual(upTo(100))
})

test('the event loop is given back after each batch', async () => {
  drops.dropBelow(251)
  const done = queue.flush()
  const seen = new Set<number>()
  let over = false
  void done.then(() => {
    over = true
  })
  while (!over) {
    seen.add(shelf.released.length)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect([...seen]).toEqual([0, 100, 200, 250])
  expect(events.map((event) => event.split(',')[0])).toEqual([
    'shelf: 100 items',
    'shelf: 100 items',
    'shelf: 50 items',
  ])
})

test('batches are of one kind each', async () => {
  const files = queue.kind('files', new Shelf(1, 2))
  for (const item of [1, 2]) {
    drops.drop(item)
    files.drop(item)
  }
  drops.drop(3)
  await queue.flush()
  expect(events).toEqual(['shelf: 3 items, 30 bytes', 'files: 2 items, 20 bytes'])
})

test('an item queued twice is released once, also if the second time comes while it is being released', async () => {
  const freed = Promise.withResolvers<number>()
  let releases = 0
  const release = () => {
    releases++
    return freed.promise
  }
  const slow = queue.kind('slow', things(release))
  expect([slow.drop('a'), slow.drop('a')]).toEqual([true, true])
  await pass(50)
  expect(slow.drop('a')).toBe(true)
  freed.resolve(7)
  await queue.flush()
  expect([releases, queue.counters.bytes]).toEqual([1, 7])
})

test('what lies below a place is released, what is at it stays', async () => {
  drops.dropBelow(4)
  await queue.flush()
  expect(shelf.released).toEqual([1, 2, 3])
})

test('the latest are kept, whatever order they are listed in', async () => {
  begin(new Shelf(5, 1, 4, 2, 3))
  drops.keepLatest(2)
  await queue.flush()
  expect(shelf.released).toEqual([1, 2, 3])
})

test('what is queued for release is not among the latest that are kept', async () => {
  begin(new Shelf(...upTo(5)))
  drops.keepLatest(2)
  drops.drop(5)
  await queue.flush()
  expect([...shelf.there]).toEqual([3, 4])
})

test('keeping more than there are, or nothing below, releases nothing', async () => {
  drops.keepLatest(301)
  drops.dropBelow(1)
  await queue.flush()
  expect([shelf.released, queue.counters.pending]).toEqual([[], 0])
})

test('of several such requests the strongest counts, and together they take one place', async () => {
  begin(new Shelf(...upTo(9)))
  for (const index of [3, 5, 2]) drops.dropBelow(index)
  expect(queue.counters.pending).toBe(1)
  for (const n of [8, 3, 6]) drops.keepLatest(n)
  expect(queue.counters.pending).toBe(2)
  await queue.flush()
  expect([...shelf.there]).toEqual([7, 8, 9])
  expect(queue.counters.pending).toBe(0)
})

test('such a request judges what is there when it is executed, and not what comes after', async () => {
  begin(new Shelf(2, 3))
  drops.dropBelow(3)
  shelf.there.add(1)
  await queue.flush()
  expect([...shelf.there]).toEqual([3])
  shelf.there.add(1)
  await queue.flush()
  expect([...shelf.there]).toEqual([3, 1])
})

test('what is in use is spared and leaves the queue; queued again by whoever ends the use, it is released', async () => {
  begin(new Shelf(1, 2))
  shelf.inUse.add(1)
  drops.dropBelow(3)
  await queue.flush()
  expect(queue.counters).toEqual({ dropped: 1, bytes: 10, spared: 1, failed: 0, pending: 0 })
  shelf.inUse.delete(1)
  await pass(1_000)
  expect([...shelf.there]).toEqual([1])
  drops.drop(1)
  await pass(50)
  expect([...shelf.there]).toEqual([])
})

test('what is revived between two batches is spared', async () => {
  begin(new Shelf(1, 2), { batchSize: 1, onDropped: () => shelf.inUse.add(2) })
  drops.dropBelow(3)
  await queue.flush()
  expect([...shelf.there]).toEqual([2])
})

test('a failed release does not stop the others; it is reported, and tried again with the next flush', async () => {
  begin(new Shelf(1, 2, 3))
  shelf.failures.set(2, 1)
  drops.dropBelow(4)
  await queue.flush()
  expect(events).toEqual(['shelf: 2 is stuck, again', 'shelf: 2 items, 20 bytes'])
  expect(queue.counters).toMatchObject({ failed: 1, pending: 1 })
  await pass(49)
  expect(shelf.released).toEqual([1, 3])
  await pass(1)
  expect(shelf.released).toEqual([1, 3, 2])
  expect(queue.counters).toEqual({ dropped: 3, bytes: 30, spared: 0, failed: 1, pending: 0 })
})

test('a release that fails every time is given up after three attempts, and reported so', async () => {
  shelf.failures.set(1, Number.POSITIVE_INFINITY)
  drops.drop(1)
  await pass(50)
  expect(drops.drop(1)).toBe(true)
  await pass(50)
  await pass(50)
  expect(events).toEqual([
    'shelf: 1 is stuck, again',
    'shelf: 1 is stuck, again',
    'shelf: 1 is stuck, given up',
  ])
  expect(queue.counters).toMatchObject({ failed: 3, pending: 0 })
  await pass(1_000)
  expect(events).toHaveLength(3)
})

test('a release that rejects is a failed one, as is one whose item cannot be judged', async () => {
  const bad = queue.kind('bad', {
    ...things(() => Promise.reject('no reason')),
    spared: (item) => {
      if (item === 'unjudged') throw new Error('cannot say')
      return false
    },
  })
  bad.drop('unjudged')
  bad.drop('rejecting')
  drops.drop(1)
  await queue.flush()
  expect(events.toSorted()).toEqual([
    'bad: cannot say, again',
    'bad: no reason, again',
    'shelf: 1 items, 10 bytes',
  ])
})

test('a list that cannot be read is reported and read again, and given up in the end; the other kinds go on', async () => {
  let broken = true
  const source = new Shelf(1, 2, 3)
  const list = () => {
    if (broken) throw new Error('no such folder')
    return source.there
  }
  const files = queue.kind('files', {
    list,
    indexOf: (item) => item,
    spared: () => false,
    release: (item) => source.release(item),
  })
  files.dropBelow(2)
  drops.drop(1)
  await queue.flush()
  expect(events.toSorted()).toEqual(['files: no such folder, again', 'shelf: 1 items, 10 bytes'])
  broken = false
  await pass(50)
  expect(source.released).toEqual([1])
  broken = true
  files.keepLatest(0)
  const outcomes = async () => {
    events.length = 0
    for (let n = 0; n < 3; n++) await queue.flush()
    return events.map((event) => event.split(', ')[1])
  }
  expect(await outcomes()).toEqual(['again', 'again', 'given up'])
  expect(queue.counters.pending).toBe(0)
  files.keepLatest(0)
  expect(await outcomes()).toEqual(['again', 'again', 'given up'])
})

test('a full queue says so and queues nothing; what is queued already needs no place', async () => {
  begin(new Shelf(...upTo(9)), { capacity: 2 })
  expect([drops.drop(1), drops.dropBelow(2)]).toEqual([true, true])
  expect([drops.drop(2), drops.keepLatest(0)]).toEqual([false, false])
  expect([drops.drop(1), drops.dropBelow(4)]).toEqual([true, true])
  expect(queue.counters.pending).toBe(2)
  await queue.flush()
  expect(shelf.released).toEqual([1, 2, 3])
  expect(drops.drop(9)).toBe(true)
})

test('flush executes everything at once, also what was queued while another flush was under way', async () => {
  drops.drop(1)
  const first = queue.flush()
  while (shelf.released.length === 0) await clock.turn()
  drops.drop(2)
  await queue.flush()
  await first
  expect(shelf.released).toEqual([1, 2])
})

test('two flushes never run at once', async () => {
  let releasing = 0
  const release = async () => {
    expect(++releasing).toBe(1)
    await settled()
    releasing--
    return 1
  }
  const slow = queue.kind('slow', things(release))
  slow.drop('a')
  const first = queue.flush()
  while (releasing === 0) await clock.turn()
  slow.drop('b')
  await Promise.all([first, queue.flush()])
  expect(queue.counters).toMatchObject({ dropped: 2, failed: 0 })
})

test('stop releases what is queued, to the last attempt, and refuses what comes after', async () => {
  begin(new Shelf(...upTo(250)))
  shelf.failures.set(1, 2)
  shelf.failures.set(2, Number.POSITIVE_INFINITY)
  for (const item of upTo(99)) drops.drop(item)
  drops.dropBelow(241)
  const stopping = queue.stop()
  expect([drops.drop(250), drops.drop(1), drops.dropBelow(5), drops.keepLatest(0)]).toEqual(
    Array(4).fill(false),
  )
  await stopping
  await queue.stop()
  expect([...shelf.there]).toEqual([2, ...upTo(250).slice(240)])
  expect(queue.counters).toEqual({ dropped: 239, bytes: 2390, spared: 0, failed: 5, pending: 0 })
  await pass(1_000)
  expect(queue.counters.failed).toBe(5)
})

test('listeners that throw or reject do no harm', async () => {
  allowFault(/ ListenerFailed: /)
  begin(new Shelf(1, 2, 3), {
    onDropped: () => Promise.reject(new Error('a listener rejects')),
    onFailed: () => {
      throw new Error('a listener throws')
    },
  })
  const warnings: Error[] = []
  const note = (warning: Error) => warnings.push(warning)
  process.on('warning', note)
  shelf.failures.set(1, 1)
  const warned = once(process, 'warning')
  drops.dropBelow(4)
  await queue.stop()
  await warned
  await settled()
  process.off('warning', note)
  expect(shelf.released).toEqual([2, 3, 1])
  expect(new Set(warnings.map(({ name }) => name))).toEqual(new Set(['ListenerFailed']))
})

test.for([
  { batchSize: 0 },
  { batchSize: 1.5 },
  { capacity: 0 },
  { attempts: Number.NaN },
  { flushMs: -1 },
  { flushMs: 2 ** 31 },
])('an impossible setting is refused: %o', (init) => {
  expect(() => begin(shelf, init)).toThrow(RangeError)
})

test('an impossible request is refused', () => {
  expect(() => drops.dropBelow(Number.NaN)).toThrow(RangeError)
  for (const n of [-1, 0.5, Number.NaN]) expect(() => drops.keepLatest(n)).toThrow(RangeError)
  expect(queue.counters.pending).toBe(0)
})

const item = fc.integer({ min: 1, max: 12 })
const request = fc.record({ do: fc.constantFrom('drop', 'dropBelow', 'keepLatest', 'pass'), n: item })
const use = fc.record({ do: fc.constantFrom('use', 'unuse'), n: item })
const small = { batchSize: fc.integer({ min: 1, max: 4 }), capacity: fc.integer({ min: 1, max: 6 }) }
const stuck = (max: number) => fc.array(fc.tuple(item, fc.integer({ min: 1, max })), { maxLength: 3 })

/** Whether a request was accepted. */
async function step({ do: what, n }: { do: string; n: number }): Promise<boolean> {
  if (what === 'drop' || what === 'dropBelow' || what === 'keepLatest') return drops[what](n)
  if (what === 'use') shelf.inUse.add(n)
  if (what === 'unuse') shelf.inUse.delete(n)
  if (what === 'pass') await pass(n * 10)
  return false
}

test('whatever happens, only what was asked for is released, and once; counters and events agree', async () => {
  const steps = fc.array(fc.oneof(request, use), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(steps, stuck(4), fc.record(small), async (steps, stuck, init) => {
      const told = { dropped: 0, bytes: 0, failed: 0 }
      begin(new Shelf(...upTo(12)), {
        ...init,
        onDropped: ({ count, bytes }) => {
          told.dropped += count
          told.bytes += bytes
        },
        onFailed: () => told.failed++,
      })
      for (const [n, failures] of stuck) shelf.failures.set(n, failures)
      const wanted = new Set<number>()
      for (const one of steps) {
        if (!(await step(one))) continue
        if (one.do === 'drop') wanted.add(one.n)
        else for (const n of upTo(one.do === 'dropBelow' ? one.n - 1 : 12 - one.n)) wanted.add(n)
      }
      await queue.stop()
      expect(queue.counters).toMatchObject({ ...told, pending: 0 })
      expect(told.dropped).toBe(shelf.released.length)
      expect(new Set(shelf.released).size).toBe(shelf.released.length)
      expect(shelf.released.filter((n) => !wanted.has(n))).toEqual([])
    }),
  )
})

test('where nothing is in use and nothing fails for good, everything that was accepted is gone in the end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { maxLength: 30 }),
      stuck(2),
      fc.record(small),
      async (steps, stuck, init) => {
        begin(new Shelf(...upTo(12)), init)
        for (const [n, failures] of stuck) shelf.failures.set(n, failures)
        const gone = new Set<number>()
        let kept = 12
        for (const one of steps) {
          if (!(await step(one))) continue
          if (one.do === 'drop') gone.add(one.n)
          if (one.do === 'dropBelow') for (const n of upTo(one.n - 1)) gone.add(n)
          if (one.do === 'keepLatest') kept = Math.min(kept, one.n)
        }
        await queue.stop()
        expect([...shelf.there].filter((n) => gone.has(n))).toEqual([])
        expect(shelf.there.size).toBeLessThanOrEqual(kept)
      },
    ),
  )
})
