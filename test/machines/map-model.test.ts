import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesCodec } from '../../src/machine/codec.ts'
import { Items } from '../../src/machine/items.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'

/** A plain Map from hexadecimal digits to hexadecimal digits. Their string order is the byte order. */
type Model = Map<string, string>
type BytesMap = ReplicatedMap<Uint8Array, Uint8Array>

interface Step {
  command(map: BytesMap): Uint8Array
  apply(model: Model): unknown
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const newMap = (): BytesMap => new ReplicatedMap({ keys: bytesCodec, values: bytesCodec })

// 259 keys: few enough to be used again, many enough for a tree of several nodes.
const keys = fc
  .array(fc.constantFrom(0x00, 0x2f, 0x61, 0x7f, 0x80, 0xff), { maxLength: 3 })
  .map((k) => Uint8Array.from(k))
const values = fc.uint8Array({ maxLength: 3, max: 2 })

const set: fc.Arbitrary<Step> = fc.record({ key: keys, value: values }).map(({ key, value }) => ({
  command: (map) => map.commands.set(key, value),
  apply(model) {
    const replaced = model.has(hex(key))
    model.set(hex(key), hex(value))
    return { replaced }
  },
}))

const remove: fc.Arbitrary<Step> = keys.map((key) => ({
  command: (map) => map.commands.delete(key),
  apply: (model) => model.delete(hex(key)),
}))

const setMany: fc.Arbitrary<Step> = fc.array(fc.tuple(keys, values), { maxLength: 200 }).map((entries) => ({
  command: (map) => map.commands.setMany(entries),
  apply(model) {
    const before = model.size
    for (const [key, value] of entries) model.set(hex(key), hex(value))
    const added = model.size - before
    return { added, replaced: entries.length - added }
  },
}))

const deleteMany: fc.Arbitrary<Step> = fc.array(keys, { maxLength: 100 }).map((gone) => ({
  command: (map) => map.commands.deleteMany(gone),
  apply: (model) => gone.filter((key) => model.delete(hex(key))).length,
}))

const compareAndSet: fc.Arbitrary<Step> = fc
  .record({
    key: keys,
    expected: fc.option(values, { nil: undefined }),
    value: fc.option(values, { nil: undefined }),
  })
  .map(({ key, expected, value }) => ({
    command: (map) => map.commands.compareAndSet(key, expected, value),
    apply(model) {
      if (model.get(hex(key)) !== (expected && hex(expected))) return false
      if (value === undefined) model.delete(hex(key))
      else model.set(hex(key), hex(value))
      return true
    },
  }))

const clear: fc.Arbitrary<Step> = fc.constant({
  command: (map) => map.commands.clear(),
  apply(model) {
    const { size } = model
    model.clear()
    return size
  },
})

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: set },
    { weight: 4, arbitrary: remove },
    { weight: 4, arbitrary: setMany },
    { weight: 3, arbitrary: deleteMany },
    { weight: 3, arbitrary: compareAndSet },
    { weight: 1, arbitrary: clear },
  ),
  { maxLength: 40, size: 'max' },
)

const byKey = ([a]: readonly [string, string], [b]: readonly [string, string]) =>
  Buffer.compare(Buffer.from(a, 'hex'), Buffer.from(b, 'hex'))
const entriesOf = (map: BytesMap) => Array.from(map, ([key, value]) => [hex(key), hex(value)])
const itemsOf = (items: Iterable<Uint8Array>) => Array.from(items, hex)
const itemsOfModel = (entries: readonly (readonly [string, string])[]) =>
  entries.map(([key, value]) => hex(Uint8Array.of(key.length)) + key + value)

test('a map behaves as a plain Map in byte order, and every snapshot stays as it was captured', () => {
  fc.assert(
    fc.property(steps, (run) => {
      const map = newMap()
      const model: Model = new Map()
      const captured: [items: Iterable<Uint8Array>, expected: string[]][] = []
      for (const [i, step] of run.entries()) {
        expect(map.apply(step.command(map))).toEqual(step.apply(model))
        const sorted = [...model].sort(byKey)
        expect(map.size).toBe(model.size)
        expect(entriesOf(map)).toEqual(sorted)
        if (i % 5 === 0) captured.push([map.capture().items(), itemsOfModel(sorted)])
      }
      for (const [items, expected] of captured) expect(itemsOf(items)).toEqual(expected)
    }),
    { numRuns: 150 },
  )
})

test('maps that apply the same commands have the same items, even if one joined by a snapshot', () => {
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const founder = newMap()
      const witness = newMap()
      const joiner = newMap()
      for (const step of before) {
        founder.apply(step.command(founder))
        witness.apply(step.command(witness))
      }
      const installation = joiner.install()
      for (const item of founder.capture().items()) installation.add(Items.of(item))
      installation.commit()
      for (const step of after) {
        const result = founder.apply(step.command(founder))
        expect(witness.apply(step.command(witness))).toEqual(result)
        expect(joiner.apply(step.command(joiner))).toEqual(result)
      }
      const items = itemsOf(founder.capture().items())
      expect(itemsOf(witness.capture().items())).toEqual(items)
      expect(itemsOf(joiner.capture().items())).toEqual(items)
    }),
    { numRuns: 100 },
  )
})

test('any range reads what a filter of all entries would', () => {
  const bound = fc.option(keys, { nil: undefined })
  const ranges = fc.record({
    gte: bound,
    gt: bound,
    lte: bound,
    lt: bound,
    reverse: fc.boolean(),
    limit: fc.option(fc.nat(20), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.array(keys, { maxLength: 300, size: 'max' }), ranges, (stored, range) => {
      const map = newMap()
      map.apply(map.commands.setMany(stored.map((key) => [key, key])))
      const within = (key: Uint8Array) =>
        (!range.gte || Buffer.compare(key, range.gte) >= 0) &&
        (!range.gt || Buffer.compare(key, range.gt) > 0) &&
        (!range.lte || Buffer.compare(key, range.lte) <= 0) &&
        (!range.lt || Buffer.compare(key, range.lt) < 0)
      const all = [...map.keys()].filter(within)
      const expected = (range.reverse ? all.reverse() : all).slice(0, range.limit)
      expect(Array.from(map.range(range), ([key]) => hex(key))).toEqual(expected.map(hex))
    }),
    { numRuns: 500 },
  )
})

test('random bytes are a command or malformed, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 0, max: 7 }), (bytes, op) => {
      const map = newMap()
      try {
        map.apply(Uint8Array.of(op, ...bytes))
      } catch (error) {
        expect(error).toMatchObject({ name: 'MalformedCommand' })
        expect(map.size).toBe(0)
      }
    }),
    { numRuns: 2000 },
  )
})
