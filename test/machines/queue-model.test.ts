import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesCodec } from '../../src/machine/codec.ts'
import { Items } from '../../src/machine/items.ts'
import { singleRuns } from '../../src/machine/run.ts'
import type { QueueItem } from '../../src/machines/queue/queue-item.ts'
import { ReplicatedPriorityQueue } from '../../src/machines/queue/replicated-priority-queue.ts'

type BytesQueue = ReplicatedPriorityQueue<Uint8Array, Uint8Array, Uint8Array>

/** All parts as hexadecimal digits, whose order is the byte order. */
interface Held {
  readonly priority: string
  readonly key: string
  readonly value: string
  readonly deadlineMs: number
}

/** A plain array in the order of the queue. */
class Model {
  items: Held[] = []
  timeMs = 0

  advance(timeMs: number): void {
    this.timeMs = Math.max(this.timeMs, timeMs)
    this.items = this.items.filter(({ deadlineMs }) => deadlineMs > this.timeMs)
  }

  find(key: string): Held | undefined {
    return this.items.find((item) => item.key === key)
  }

  remove(key: string): Held | undefined {
    const at = this.items.findIndex((item) => item.key === key)
    return at < 0 ? undefined : this.items.splice(at, 1)[0]
  }

  put(item: Held): void {
    const at = this.items.findIndex(({ priority }) => priority > item.priority)
    this.items.splice(at < 0 ? this.items.length : at, 0, item)
  }

  insert(priority: string, key: string, value: string, ttlMs: number | undefined): boolean {
    const replaced = this.remove(key) !== undefined
    this.put({ priority, key, value, deadlineMs: this.timeMs + (ttlMs ?? Number.POSITIVE_INFINITY) })
    return replaced
  }

  pop(end: 'min' | 'max'): Held | undefined {
    const [item] = end === 'min' ? this.items : this.#descending()
    return item && this.remove(item.key)
  }

  within(range: Range): Held[] {
    return (range.reverse ? this.#descending() : this.items).filter(
      ({ priority }) =>
        (range.gte === undefined || priority >= hex(range.gte)) &&
        (range.gt === undefined || priority > hex(range.gt)) &&
        (range.lte === undefined || priority <= hex(range.lte)) &&
        (range.lt === undefined || priority < hex(range.lt)),
    )
  }

  /** Greatest priority first, and those of one priority in the order of insertion. */
  #descending(): Held[] {
    return this.items.toSorted((a, b) => (a.priority < b.priority ? 1 : a.priority > b.priority ? -1 : 0))
  }
}

interface Range {
  readonly gte?: Uint8Array | undefined
  readonly gt?: Uint8Array | undefined
  readonly lte?: Uint8Array | undefined
  readonly lt?: Uint8Array | undefined
  readonly reverse?: boolean | undefined
  readonly limit?: number | undefined
}

interface Step {
  readonly afterMs: number
  command(queue: BytesQueue): Uint8Array
  /** What `apply` must return, all bytes as hexadecimal digits. */
  apply(model: Model): unknown
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const newQueue = (): BytesQueue =>
  new ReplicatedPriorityQueue({ priorities: bytesCodec, keys: bytesCodec, values: bytesCodec })

// Bytes that must be escaped, and those that escape them; priorities that begin with others.
const priorities = fc
  .array(fc.constantFrom(0x00, 0x01, 0xf6, 0xff), { maxLength: 2 })
  .map((bytes) => Uint8Array.from(bytes))
const keys = fc.integer({ min: 0, max: 120 }).map((n) => Uint8Array.of(n))
/** The long ones make trees of several leaves. */
const values = fc.oneof(
  fc.uint8Array({ maxLength: 3, max: 2 }),
  fc.nat(255).map((byte) => new Uint8Array(700).fill(byte)),
)
const ttls = fc.option(fc.constantFrom(1, 50, 400), { nil: undefined, freq: 3 })
const entries = fc.array(fc.tuple(priorities, keys, values), { maxLength: 40 })
const ends = fc.constantFrom('min', 'max')
const bound = fc.option(priorities, { nil: undefined })
const bounds = fc.record({ gte: bound, gt: bound, lte: bound, lt: bound })

const partsOf = (item: QueueItem<Uint8Array, Uint8Array, Uint8Array> | undefined) =>
  item && [hex(item.priority), hex(item.key), hex(item.value)]
const partsOfHeld = (item: Held | undefined) => item && [item.priority, item.key, item.value]

type Deed = Pick<Step, 'command' | 'apply'>

const insert: fc.Arbitrary<Deed> = fc
  .tuple(priorities, keys, values, ttls)
  .map(([priority, key, value, ttlMs]) => ({
    command: (queue) => queue.commands.insert(priority, key, value, { ttlMs }),
    apply: (model) => ({ replaced: model.insert(hex(priority), hex(key), hex(value), ttlMs) }),
  }))

const extend: fc.Arbitrary<Deed> = fc.tuple(entries, ttls).map(([items, ttlMs]) => ({
  command: (queue) => queue.commands.extend(items, { ttlMs }),
  apply(model) {
    const { length } = items.filter(([p, k, v]) => model.insert(hex(p), hex(k), hex(v), ttlMs))
    return { added: items.length - length, replaced: length }
  },
}))

const setPriority: fc.Arbitrary<Deed> = fc.tuple(keys, priorities).map(([key, priority]) => ({
  command: (queue) => queue.commands.setPriority(key, priority),
  apply(model) {
    const item = model.find(hex(key))
    if (item !== undefined && item.priority !== hex(priority)) {
      model.remove(item.key)
      model.put({ ...item, priority: hex(priority) })
    }
    return item !== undefined
  },
}))

function setValueIn(model: Model, key: Uint8Array, value: Uint8Array): boolean {
  model.items = model.items.map((item) => (item.key === hex(key) ? { ...item, value: hex(value) } : item))
  return model.find(hex(key)) !== undefined
}

const setValue: fc.Arbitrary<Deed> = fc.tuple(keys, values).map(([key, value]) => ({
  command: (queue) => queue.commands.setValue(key, value),
  apply: (model) => setValueIn(model, key, value),
}))

const compareAndSet: fc.Arbitrary<Deed> = fc
  .tuple(keys, values, fc.option(values, { nil: undefined }))
  .map(([key, expected, value]) => ({
    command: (queue) => queue.commands.compareAndSet(key, expected, value),
    apply(model) {
      if (model.find(hex(key))?.value !== hex(expected)) return false
      if (value === undefined) model.remove(hex(key))
      else setValueIn(model, key, value)
      return true
    },
  }))

const remove: fc.Arbitrary<Deed> = keys.map((key) => ({
  command: (queue) => queue.commands.delete(key),
  apply: (model) => model.remove(hex(key)) !== undefined,
}))

const deleteRange: fc.Arbitrary<Deed> = bounds.map((range) => ({
  command: (queue) => queue.commands.deleteRange(range),
  apply(model) {
    const gone = model.within(range)
    for (const { key } of gone) model.remove(key)
    return gone.length
  },
}))

const pop: fc.Arbitrary<Deed> = ends.map((end) => ({
  command: ({ commands }) => (end === 'min' ? commands.popMin() : commands.popMax()),
  apply: (model) => partsOfHeld(model.pop(end)),
}))

const popMany: fc.Arbitrary<Deed> = fc.tuple(fc.integer({ min: 1, max: 12 }), ends).map(([count, end]) => ({
  command: (queue) => queue.commands.popMany(count, end),
  apply: (model) =>
    Array.from({ length: Math.min(count, model.items.length) }, () => partsOfHeld(model.pop(end))),
}))

const clear: fc.Arbitrary<Deed> = fc.constant({
  command: (queue) => queue.commands.clear(),
  apply(model) {
    const { length } = model.items
    model.items = []
    return length
  },
})

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc
    .tuple(
      fc.constantFrom(0, 0, 0, 1, 20, 300),
      fc.oneof(
        { weight: 6, arbitrary: insert },
        { weight: 5, arbitrary: extend },
        { weight: 5, arbitrary: setPriority },
        { weight: 2, arbitrary: setValue },
        { weight: 2, arbitrary: compareAndSet },
        { weight: 3, arbitrary: remove },
        { weight: 1, arbitrary: deleteRange },
        { weight: 5, arbitrary: pop },
        { weight: 3, arbitrary: popMany },
        { weight: 1, arbitrary: clear },
      ),
    )
    .map(([afterMs, deed]) => ({ afterMs, ...deed })),
  { maxLength: 40, size: 'max' },
)

function resultOf(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(partsOf)
  const isItem = typeof result === 'object' && result !== null && 'priority' in result
  return isItem ? partsOf(result as QueueItem<Uint8Array, Uint8Array, Uint8Array>) : result
}

function expectSame(queue: BytesQueue, model: Model): void {
  expect(queue.size).toBe(model.items.length)
  expect(Array.from(queue, partsOf)).toEqual(model.items.map(partsOfHeld))
  const descending = model.within({ reverse: true }).map(partsOfHeld)
  expect(Array.from(queue.range({ reverse: true }), partsOf)).toEqual(descending)
  expect(partsOf(queue.peekMin())).toEqual(partsOfHeld(model.items[0]))
  expect(partsOf(queue.peekMax())).toEqual(descending[0])
  for (let n = 0; n <= 120; n += 7) {
    const key = Uint8Array.of(n)
    const held = model.find(hex(key))
    const [priority, value] = [queue.priority(key), queue.get(key)]
    expect([queue.has(key), priority && hex(priority), value && hex(value), queue.ttl(key)]).toEqual([
      held !== undefined,
      held?.priority,
      held?.value,
      held && held.deadlineMs - model.timeMs,
    ])
  }
}

const itemsOf = (items: Iterable<Uint8Array>) => Array.from(items, hex)

/** A queue with the state of another one, by way of a snapshot that is added a few items at a time. */
function joinerOf(queue: BytesQueue): BytesQueue {
  const joiner = newQueue()
  const installation = joiner.install()
  const items = Array.from(queue.capture().items(), (item) => new Uint8Array(item))
  for (let from = 0; from < items.length; from += 5)
    installation.add(Items.of(...items.slice(from, from + 5)))
  installation.commit()
  return joiner
}

test('a queue behaves as a sorted array, and every snapshot stays as it was captured', () => {
  fc.assert(
    fc.property(steps, (run) => {
      const queue = newQueue()
      const model = new Model()
      const captured: [items: Iterable<Uint8Array>, expected: string[]][] = []
      for (const [i, step] of run.entries()) {
        model.advance(model.timeMs + step.afterMs)
        const result = queue.apply(step.command(queue), { timeMs: model.timeMs })
        expect(resultOf(result)).toEqual(step.apply(model))
        expectSame(queue, model)
        if (i % 5 > 0) continue
        const snapshot = queue.capture()
        expect(snapshot.size).toBe(1 + 2 * model.items.length)
        captured.push([snapshot.items(), itemsOf(queue.capture().items())])
      }
      for (const [items, expected] of captured) expect(itemsOf(items)).toEqual(expected)
    }),
    { numRuns: 150 },
  )
})

test('queues that apply the same commands have the same items, even if one joined by a snapshot', () => {
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const founder = newQueue()
      const model = new Model()
      const applyTo = (queue: BytesQueue, step: Step) =>
        resultOf(queue.apply(step.command(queue), { timeMs: model.timeMs }))
      for (const step of before) {
        model.advance(model.timeMs + step.afterMs)
        expect(applyTo(founder, step)).toEqual(step.apply(model))
      }
      const joiner = joinerOf(founder)
      joiner.advance(model.timeMs)
      for (const step of after) {
        model.advance(model.timeMs + step.afterMs)
        const expected = step.apply(model)
        expect([applyTo(founder, step), applyTo(joiner, step)]).toEqual([expected, expected])
      }
      expectSame(joiner, model)
      expect(itemsOf(joiner.capture().items())).toEqual(itemsOf(founder.capture().items()))
    }),
    { numRuns: 150 },
  )
})

test('what is undone leaves the queue as it was', () => {
  fc.assert(
    fc.property(steps, steps, (before, undone) => {
      const queue = newQueue()
      let timeMs = 0
      for (const step of before) {
        timeMs += step.afterMs
        queue.apply(step.command(queue), { timeMs })
      }
      const items = itemsOf(queue.capture().items())
      queue.transaction!.begin()
      for (const step of undone) queue.apply(step.command(queue), { timeMs })
      queue.transaction!.rollback()
      expect(itemsOf(queue.capture().items())).toEqual(items)
      expect(Array.from(joinerOf(queue), partsOf)).toEqual(Array.from(queue, partsOf))
    }),
    { numRuns: 100 },
  )
})

test('the runs of a snapshot are its items', () => {
  fc.assert(
    fc.property(steps, (run) => {
      const queue = newQueue()
      let timeMs = 0
      for (const step of run) {
        timeMs += step.afterMs
        queue.apply(step.command(queue), { timeMs })
      }
      const records = Buffer.concat(
        Array.from(singleRuns(queue.capture().runs!()), ({ bytes, start, end }) => bytes.slice(start, end)),
      )
      const expected = Items.of(...Array.from(queue.capture().items(), (item) => new Uint8Array(item)))
      expect(hex(records)).toEqual(hex(expected.bytes))
    }),
    { numRuns: 50 },
  )
})

test('any range reads what a filter of all items would', () => {
  const ranges = fc.record({
    gte: bound,
    gt: bound,
    lte: bound,
    lt: bound,
    reverse: fc.boolean(),
    limit: fc.option(fc.nat(20), { nil: undefined }),
  })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(priorities, keys, values), { maxLength: 200, size: 'max' }),
      ranges,
      (items, range) => {
        const queue = newQueue()
        const model = new Model()
        queue.apply(queue.commands.extend(items))
        for (const [priority, key, value] of items)
          model.insert(hex(priority), hex(key), hex(value), undefined)
        const expected = model.within(range).slice(0, range.limit).map(partsOfHeld)
        expect(Array.from(queue.range(range), partsOf)).toEqual(expected)
      },
    ),
    { numRuns: 300 },
  )
})

test('random bytes are a command or malformed, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 0, max: 13 }), (bytes, op) => {
      const queue = newQueue()
      try {
        queue.apply(Uint8Array.of(op, ...bytes))
      } catch (error) {
        expect(error).toMatchObject({ name: 'MalformedCommand' })
        expect(queue.size).toBe(0)
      }
    }),
    { numRuns: 2000 },
  )
})
