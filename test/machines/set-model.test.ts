import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesCodec } from '../../src/machine/codec.ts'
import { Items } from '../../src/machine/items.ts'
import { ReplicatedSet } from '../../src/machines/set/replicated-set.ts'

/** A plain Map from hexadecimal digits to deadlines. Their string order is the byte order. */
type Model = Map<string, number>
type BytesSet = ReplicatedSet<Uint8Array>

interface Step {
  command(set: BytesSet): Uint8Array
  apply(model: Model, timeMs: number): unknown
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const newSet = (): BytesSet => new ReplicatedSet({ values: bytesCodec })

// 259 elements: few enough to be used again, many enough for a tree of several leaves. Some are long.
const elements = fc
  .array(fc.constantFrom(0x00, 0x2f, 0x61, 0x7f, 0x80, 0xff), { maxLength: 3 })
  .map((bytes) =>
    bytes[0] === 0x80 ? Uint8Array.from([...bytes, ...Buffer.alloc(500)]) : Uint8Array.from(bytes),
  )
const ttls = fc.option(fc.constantFrom(1, 10, 50, 1_000), { nil: undefined })

function put(model: Model, element: Uint8Array, deadlineMs: number): boolean {
  const isNew = !model.has(hex(element))
  model.set(hex(element), deadlineMs)
  return isNew
}

const addMany: fc.Arbitrary<Step> = fc
  .tuple(fc.array(elements, { maxLength: 100, size: 'max' }), ttls)
  .map(([many, ttlMs]) => ({
    command: (set) => set.commands.addMany(many, { ttlMs }),
    apply: (model, timeMs) => many.filter((one) => put(model, one, timeMs + (ttlMs ?? Infinity))).length,
  }))

const add: fc.Arbitrary<Step> = fc.tuple(elements, ttls).map(([element, ttlMs]) => ({
  command: (set) => set.commands.add(element, { ttlMs }),
  apply: (model, timeMs) => put(model, element, timeMs + (ttlMs ?? Infinity)),
}))

const remove: fc.Arbitrary<Step> = elements.map((element) => ({
  command: (set) => set.commands.delete(element),
  apply: (model) => model.delete(hex(element)),
}))

const deleteMany: fc.Arbitrary<Step> = fc.array(elements, { maxLength: 80 }).map((many) => ({
  command: (set) => set.commands.deleteMany(many),
  apply: (model) => many.filter((element) => model.delete(hex(element))).length,
}))

const persist: fc.Arbitrary<Step> = elements.map((element) => ({
  command: (set) => set.commands.persist(element),
  apply(model) {
    if ((model.get(hex(element)) ?? Infinity) === Infinity) return false
    model.set(hex(element), Infinity)
    return true
  },
}))

const clear: fc.Arbitrary<Step> = fc.constant({
  command: (set) => set.commands.clear(),
  apply(model) {
    const { size } = model
    model.clear()
    return size
  },
})

const steps = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 4, arbitrary: add },
      { weight: 4, arbitrary: addMany },
      { weight: 3, arbitrary: remove },
      { weight: 3, arbitrary: deleteMany },
      { weight: 3, arbitrary: persist },
      { weight: 1, arbitrary: clear },
    ),
    fc.constantFrom(0, 0, 1, 7, 40),
  ),
  { maxLength: 40, size: 'max' },
)

function bury(model: Model, timeMs: number): void {
  for (const [element, deadlineMs] of [...model]) if (deadlineMs <= timeMs) model.delete(element)
}

function installed(from: BytesSet, timeMs: number): BytesSet {
  const joiner = newSet()
  const installation = joiner.install()
  for (const item of from.capture().items()) installation.add(Items.of(item))
  installation.commit()
  joiner.advance(timeMs)
  return joiner
}

test('a set behaves as a plain one in byte order whose elements die, also where it was installed', () => {
  fc.assert(
    fc.property(steps, fc.nat(10), (run, installEach) => {
      let set = newSet()
      const witness = newSet()
      const model: Model = new Map()
      const captured: [items: Iterable<Uint8Array>, expected: string[]][] = []
      let timeMs = 1_000
      for (const [i, [step, passesMs]] of run.entries()) {
        timeMs += passesMs
        bury(model, timeMs)
        const result = set.apply(step.command(set), { timeMs })
        expect(result).toEqual(step.apply(model, timeMs))
        expect(witness.apply(step.command(witness), { timeMs })).toEqual(result)
        const sorted = [...model.keys()].sort()
        expect([set.size, Array.from(set, hex)]).toEqual([model.size, sorted])
        for (const [element, deadlineMs] of model)
          expect(set.ttl(Buffer.from(element, 'hex'))).toBe(deadlineMs - timeMs)
        if (i % 5 === 0) captured.push([set.capture().items(), Array.from(witness.capture().items(), hex)])
        if (i % 10 === installEach) set = installed(set, timeMs)
      }
      for (const [items, expected] of captured) expect(Array.from(items, hex)).toEqual(expected)
      expect(Array.from(set.capture().items(), hex)).toEqual(Array.from(witness.capture().items(), hex))
    }),
    { numRuns: 100 },
  )
})

test('what is undone never was, whatever it was', () => {
  fc.assert(
    fc.property(steps, steps, (before, undone) => {
      const set = newSet()
      let timeMs = 1_000
      for (const [step, passesMs] of before) {
        timeMs += passesMs
        set.apply(step.command(set), { timeMs })
      }
      const items = Array.from(set.capture().items(), hex)
      const changes: unknown[] = []
      set.addEventListener('change', ({ detail }) => changes.push(detail))
      set.transaction?.begin()
      for (const [step] of undone) set.apply(step.command(set), { timeMs })
      set.transaction?.rollback()
      expect(Array.from(set.capture().items(), hex)).toEqual(items)
      expect(changes).toEqual([])
      set.advance(timeMs + 10_000)
      const immortal = items.filter((item) => Number.parseInt(item.slice(0, 2), 16) % 2 === 0)
      expect(Array.from(set.capture().items(), hex)).toEqual(immortal)
    }),
    { numRuns: 100 },
  )
})

test('any range reads what a filter of all elements would', () => {
  const bound = fc.option(elements, { nil: undefined })
  const ranges = fc.record({
    gte: bound,
    gt: bound,
    lte: bound,
    lt: bound,
    reverse: fc.boolean(),
    limit: fc.option(fc.nat(20), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.array(elements, { maxLength: 200, size: 'max' }), ranges, (stored, range) => {
      const set = newSet()
      set.apply(set.commands.addMany(stored))
      const within = (element: Uint8Array) =>
        (!range.gte || Buffer.compare(element, range.gte) >= 0) &&
        (!range.gt || Buffer.compare(element, range.gt) > 0) &&
        (!range.lte || Buffer.compare(element, range.lte) <= 0) &&
        (!range.lt || Buffer.compare(element, range.lt) < 0)
      const all = [...set].filter(within)
      const expected = (range.reverse ? all.reverse() : all).slice(0, range.limit)
      expect(Array.from(set.range(range), hex)).toEqual(expected.map(hex))
    }),
    { numRuns: 200 },
  )
})

test('an element whose deletion is undone is found again, also where two leaves meet', () => {
  const set = newSet()
  const many = Array.from({ length: 200 }, (_, n) => Buffer.from(String(n).padStart(100, '0')))
  set.apply(set.commands.addMany(many))
  for (const element of many) {
    set.transaction?.begin()
    set.apply(set.commands.delete(element))
    set.transaction?.rollback()
    expect(set.has(element)).toBe(true)
  }
})
