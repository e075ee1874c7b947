import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesCodec } from '../../../src/machine/codec.ts'
import { Items } from '../../../src/machine/items.ts'
import { IndexOutOfRange } from '../../../src/machines/list/errors.ts'
import type { ListResult } from '../../../src/machines/list/list-items.ts'
import { ReplicatedList } from '../../../src/machines/list/replicated-list.ts'

type BytesList = ReplicatedList<Uint8Array>
/** A plain array of hexadecimal digits. */
type Model = string[]

interface Step {
  command(list: BytesList): Uint8Array
  apply(model: Model): unknown
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const newList = (): BytesList => new ReplicatedList({ values: bytesCodec })
const OUT_OF_RANGE = 'out of range'

/** What a command gave, in terms of the model. */
function told(result: ListResult<Uint8Array>): unknown {
  if (result instanceof IndexOutOfRange) return OUT_OF_RANGE
  return typeof result === 'object' ? hex(result.value) : result
}

// Of few kinds, so that guards are often right, and of sizes that fill pages.
const values = fc.oneof(
  fc.uint8Array({ maxLength: 2, max: 1 }),
  fc.nat(3).map((n) => new Uint8Array(n * 700).fill(n)),
)
const indexes = fc.oneof({ weight: 8, arbitrary: fc.nat(150) }, { weight: 2, arbitrary: fc.nat(3) })

const pushMany: fc.Arbitrary<Step> = fc.array(values, { maxLength: 60, size: 'max' }).map((many) => ({
  command: (list) => list.commands.pushMany(many),
  apply: (model) => model.push(...many.map(hex)),
}))

const unshift: fc.Arbitrary<Step> = values.map((value) => ({
  command: (list) => list.commands.unshift(value),
  apply: (model) => model.unshift(hex(value)),
}))

const insert: fc.Arbitrary<Step> = fc.tuple(indexes, values).map(([index, value]) => ({
  command: (list) => list.commands.insert(index, value),
  apply(model) {
    if (index > model.length) return OUT_OF_RANGE
    model.splice(index, 0, hex(value))
    return model.length
  },
}))

const set: fc.Arbitrary<Step> = fc.tuple(indexes, values).map(([index, value]) => ({
  command: (list) => list.commands.set(index, value),
  apply: (model) => (index < model.length ? model.splice(index, 1, hex(value))[0] : OUT_OF_RANGE),
}))

const remove: fc.Arbitrary<Step> = indexes.map((index) => ({
  command: (list) => list.commands.delete(index),
  apply: (model) => (index < model.length ? model.splice(index, 1)[0] : OUT_OF_RANGE),
}))

const swap: fc.Arbitrary<Step> = fc.tuple(indexes, indexes).map(([index, other]) => ({
  command: (list) => list.commands.swap(index, other),
  apply(model) {
    if (Math.max(index, other) >= model.length) return OUT_OF_RANGE
    ;[model[index], model[other]] = [model[other]!, model[index]!]
    return index !== other
  },
}))

const ends: fc.Arbitrary<Step> = fc.boolean().map((isFirst) => ({
  command: (list) => (isFirst ? list.commands.shift() : list.commands.pop()),
  apply: (model) => (isFirst ? model.shift() : model.pop()),
}))

const truncate: fc.Arbitrary<Step> = indexes.map((length) => ({
  command: (list) => list.commands.truncate(length),
  apply: (model) => model.splice(length).length,
}))

const clear: fc.Arbitrary<Step> = fc.constant({
  command: (list) => list.commands.clear(),
  apply: (model) => model.splice(0).length,
})

const optional = fc.option(values, { nil: undefined })

const compareAndSet: fc.Arbitrary<Step> = fc
  .tuple(indexes, values, optional)
  .map(([index, expected, value]) => ({
    command: (list) => list.commands.compareAndSet(index, expected, value),
    apply(model) {
      if (model[index] !== hex(expected)) return false
      model.splice(index, 1, ...(value === undefined ? [] : [hex(value)]))
      return true
    },
  }))

const compareAndInsert: fc.Arbitrary<Step> = fc
  .tuple(indexes, optional, values)
  .map(([index, expected, value]) => ({
    command: (list) => list.commands.compareAndInsert(index, expected, value),
    apply(model) {
      if (index > model.length || model[index] !== (expected && hex(expected))) return false
      model.splice(index, 0, hex(value))
      return true
    },
  }))

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: pushMany },
    { weight: 3, arbitrary: unshift },
    { weight: 6, arbitrary: insert },
    { weight: 5, arbitrary: set },
    { weight: 6, arbitrary: remove },
    { weight: 4, arbitrary: swap },
    { weight: 4, arbitrary: ends },
    { weight: 1, arbitrary: truncate },
    { weight: 1, arbitrary: clear },
    { weight: 6, arbitrary: compareAndSet },
    { weight: 6, arbitrary: compareAndInsert },
  ),
  { maxLength: 60, size: 'max' },
)

const itemsOf = (list: BytesList) => Array.from(list.capture().items(), hex)

/** As a snapshot of one list is installed in another, some items at a time. */
function installed(source: BytesList, joiner = newList()): BytesList {
  const installation = joiner.install()
  const items = Array.from(source.capture().items(), (item) => Uint8Array.from(item))
  for (let from = 0; from < items.length; from += 40)
    installation.add(Items.of(...items.slice(from, from + 40)))
  installation.commit()
  return joiner
}

test('a list behaves as an array, and every snapshot stays as it was captured', () => {
  fc.assert(
    fc.property(steps, fc.boolean(), (run, isInstalled) => {
      let list = newList()
      const model: Model = []
      const captured: [items: Iterable<Uint8Array>, expected: string[]][] = []
      for (const [i, step] of run.entries()) {
        expect(told(list.apply(step.command(list)))).toEqual(step.apply(model))
        expect(list.length).toBe(model.length)
        expect(Array.from(list, hex)).toEqual(model)
        if (i % 5 === 0) captured.push([list.capture().items(), [...model]])
        if (isInstalled && i % 7 === 0) list = installed(list)
      }
      for (const [items, expected] of captured) expect(Array.from(items, hex)).toEqual(expected)
    }),
    { numRuns: 150 },
  )
})

test('lists that apply the same commands have the same items, even if one joined by a snapshot', () => {
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const founder = newList()
      for (const step of before) founder.apply(step.command(founder))
      const joiner = installed(founder)
      for (const step of after) {
        const result = founder.apply(step.command(founder))
        expect(told(joiner.apply(step.command(joiner)))).toEqual(told(result))
      }
      expect(itemsOf(joiner)).toEqual(itemsOf(founder))
    }),
    { numRuns: 100 },
  )
})

test('a list that came to its items by another way has the same snapshot', () => {
  fc.assert(
    fc.property(steps, (run) => {
      const list = newList()
      for (const step of run) list.apply(step.command(list))
      const other = newList()
      other.apply(other.commands.pushMany(list))
      expect(itemsOf(other)).toEqual(itemsOf(list))
    }),
    { numRuns: 50 },
  )
})

test('whoever makes the changes to an array of their own has what the list has', () => {
  fc.assert(
    fc.property(steps, (run) => {
      const list = newList()
      const copy: string[] = []
      list.addEventListener('change', ({ detail: change }) => {
        switch (change.type) {
          case 'insert':
            copy.splice(change.index, 0, hex(change.value))
            break
          case 'set':
            expect(copy[change.index]).toBe(hex(change.previous))
            copy[change.index] = hex(change.value)
            break
          case 'delete':
            expect(copy.splice(change.index, 1)).toEqual([hex(change.previous)])
            break
          case 'swap':
            expect([copy[change.other], copy[change.index]]).toEqual(
              [change.value, change.otherValue].map(hex),
            )
            copy[change.index] = hex(change.value)
            copy[change.other] = hex(change.otherValue)
            break
          case 'truncate':
            expect(copy.splice(change.length)).toHaveLength(change.deleted)
            break
          case 'clear':
            copy.length = 0
            break
          default:
            change satisfies never
        }
      })
      for (const step of run) {
        list.apply(step.command(list))
        expect(copy).toEqual(Array.from(list, hex))
      }
    }),
    { numRuns: 50 },
  )
})

test('at, slice, values and entries read what an array would give, from the end as well', () => {
  const bound = fc.option(
    fc.oneof(
      fc.integer({ min: -260, max: 260 }),
      fc.constantFrom(1.5, -1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    ),
    { nil: undefined },
  )
  fc.assert(
    fc.property(fc.nat(250), bound, bound, fc.boolean(), (length, from, to, reverse) => {
      const list = new ReplicatedList<number>()
      const array = Array.from({ length }, (_, n) => n * 10 ** (n % 9))
      list.apply(list.commands.pushMany(array))
      if (from !== undefined) expect(list.at(from)).toBe(array.at(from))
      expect(list.slice(from, to)).toEqual(array.slice(from, to))
      const entries = [...array.entries()].slice(from, to)
      if (reverse) entries.reverse()
      expect([...list.entries({ from, to, reverse })]).toEqual(entries)
      expect([...list.values({ from, to, reverse })]).toEqual(entries.map(([, value]) => value))
    }),
    { numRuns: 500 },
  )
})

test('random bytes are a command or malformed, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20, max: 3 }), fc.nat(13), (bytes, op) => {
      const list = newList()
      list.apply(list.commands.push(Uint8Array.of(1)))
      try {
        list.apply(Uint8Array.of(op, ...bytes))
      } catch (error) {
        expect(error).toMatchObject({ name: 'MalformedCommand' })
        expect(Array.from(list, hex)).toEqual(['01'])
      }
    }),
    { numRuns: 5000 },
  )
})
