import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Items } from '../../src/machine/items.ts'
import { type MapChange, ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { itemsNow } from './attached-map.ts'

type TestMap = ReplicatedMap<string, number>
const START = 1_795_000_000_000
const { commands } = new ReplicatedMap<string, number>()
const at = (timeMs: number) => ({ timeMs: START + timeMs })

function newMap(): TestMap {
  const map: TestMap = new ReplicatedMap()
  map.advance(START)
  return map
}

function install(from: TestMap, into: TestMap, timeMs: number): void {
  const installation = into.install()
  for (const item of from.capture().items()) installation.add(Items.of(item))
  installation.commit()
  into.advance(START + timeMs)
}

describe('a key with a TTL', () => {
  test('is dead for every read from its deadline on, and not a moment before', () => {
    const map = newMap()
    map.apply(commands.set('mortal', 1, { ttlMs: 100 }), at(10))
    map.apply(commands.set('other', 2), at(10))
    map.advance(START + 109)
    expect([map.get('mortal'), map.has('mortal'), map.ttl('mortal'), map.size]).toEqual([1, true, 1, 2])
    map.advance(START + 110)
    expect([map.get('mortal'), map.has('mortal'), map.ttl('mortal'), map.size]).toEqual([
      undefined,
      false,
      undefined,
      1,
    ])
    expect([...map]).toEqual([['other', 2]])
    expect([...map.range({ limit: 1 })]).toEqual([['other', 2]])
  })

  test('dies by the time of an entry before the command of that entry is applied', () => {
    const map = newMap()
    map.apply(commands.set('a', 1, { ttlMs: 100 }), at(0))
    expect(map.apply(commands.delete('a'), at(100))).toBe(false)
    map.apply(commands.set('a', 1, { ttlMs: 100 }), at(100))
    expect(map.apply(commands.set('a', 2), at(200))).toEqual({ replaced: false })
    map.apply(commands.set('b', 1, { ttlMs: 100 }), at(200))
    expect(map.apply(commands.compareAndSet('b', undefined, 2), at(300))).toBe(true)
    map.apply(commands.set('c', 1, { ttlMs: 100 }), at(300))
    expect(map.apply(commands.clear(), at(400))).toBe(2)
  })

  test('time that goes back in the log moves nothing', () => {
    const map = newMap()
    map.apply(commands.set('a', 1, { ttlMs: 100 }), at(50))
    map.advance(START + 10)
    expect(map.ttl('a')).toBe(100)
  })

  test('lives on if it is set again without a TTL, and begins anew if it is set with one', () => {
    const map = newMap()
    map.apply(commands.set('a', 1, { ttlMs: 100 }), at(0))
    map.apply(commands.set('b', 1, { ttlMs: 100 }), at(0))
    map.apply(commands.set('a', 2), at(50))
    map.apply(commands.set('b', 2, { ttlMs: 100 }), at(50))
    map.advance(START + 149)
    expect([...map]).toEqual([
      ['a', 2],
      ['b', 2],
    ])
    map.advance(START + 150)
    expect([...map]).toEqual([['a', 2]])
    expect(map.ttl('a')).toBe(Number.POSITIVE_INFINITY)
  })

  test('lives on after persist, whose result says whether it had a TTL', () => {
    const map = newMap()
    map.apply(commands.set('a', 1, { ttlMs: 100 }), at(0))
    expect(map.apply(commands.persist('a'), at(99))).toBe(true)
    expect(map.apply(commands.persist('a'), at(99))).toBe(false)
    expect(map.apply(commands.persist('none'), at(99))).toBe(false)
    map.apply(commands.set('b', 1, { ttlMs: 1 }), at(99))
    expect(map.apply(commands.persist('b'), at(100))).toBe(false)
    expect([...map]).toEqual([['a', 1]])
  })

  test('does not expire after it was deleted', () => {
    const map = newMap()
    map.apply(commands.set('a', 1, { ttlMs: 100 }), at(0))
    map.apply(commands.delete('a'), at(1))
    map.apply(commands.set('a', 2), at(2))
    map.advance(START + 1_000)
    expect(map.get('a')).toBe(2)
    expect(map.dueMs).toBeUndefined()
  })

  test('serves as a lock, which compareAndSet renews and takes', () => {
    const map = newMap()
    const take = (who: number, was: number | undefined, timeMs: number) =>
      map.apply(commands.compareAndSet('lock', was, who, { ttlMs: 100 }), at(timeMs))
    expect(take(1, undefined, 0)).toBe(true)
    expect(take(2, undefined, 50)).toBe(false)
    expect(take(1, 1, 99)).toBe(true)
    expect(take(2, undefined, 198)).toBe(false)
    expect(take(2, undefined, 199)).toBe(true)
  })

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 48 + 1])(
    'cannot have one of %d',
    (ttlMs) => {
      expect(() => commands.set('a', 1, { ttlMs })).toThrow(RangeError)
      expect(() => commands.setMany([], { ttlMs })).toThrow(RangeError)
      expect(() => commands.compareAndSet('a', 1, 2, { ttlMs })).toThrow(RangeError)
    },
  )

  test('a deletion cannot have a TTL', () => {
    expect(() => commands.compareAndSet('a', 1, undefined, { ttlMs: 1 })).toThrow(RangeError)
  })
})

test('an iterator reads the keys that were alive when it began', () => {
  const map = newMap()
  map.apply(
    commands.setMany(
      [
        ['a', 1],
        ['b', 2],
      ],
      { ttlMs: 100 },
    ),
    at(0),
  )
  const open = map.entries()
  map.advance(START + 100)
  expect([...open]).toHaveLength(2)
  expect([...map]).toEqual([])
})

test('an expired key is reported when it is removed, before the change that takes its place', () => {
  const map = newMap()
  const heard: MapChange<string, number>[] = []
  map.addEventListener('change', ({ detail }) => heard.push(detail))
  map.apply(commands.set('a', 1, { ttlMs: 10 }), at(0))
  map.apply(commands.set('b', 1, { ttlMs: 20 }), at(0))
  heard.length = 0
  map.advance(START + 10)
  map.apply(commands.set('b', 2), at(20))
  const seen = heard.map((change) => (change.type === 'clear' ? change : { ...change }))
  expect(seen).toEqual([
    { type: 'expire', key: 'a', previous: 1 },
    { type: 'expire', key: 'b', previous: 1 },
    { type: 'set', key: 'b', value: 2, previous: undefined },
  ])
})

test('the memory of any number of dead keys is given back, in pieces', async () => {
  const map = newMap()
  let gone = 0
  map.addEventListener('change', ({ detail }) => {
    if (detail.type === 'expire') gone++
  })
  const many = Array.from({ length: 5_000 }, (_, i) => [`key ${i}`, i] as const)
  map.apply(commands.setMany(many, { ttlMs: 100 }), at(0))
  map.advance(START + 100)
  expect(map.size).toBe(0)
  const atOnce = gone
  expect(atOnce).toBeLessThan(2_000)
  while (gone < many.length) {
    const before = gone
    await new Promise(setImmediate)
    expect(gone).toBeGreaterThan(before)
  }
  expect(map.dueMs).toBeUndefined()
})

test('a snapshot has deadlines, and no dead keys', () => {
  const map = newMap()
  map.apply(commands.set('dead', 1, { ttlMs: 10 }), at(0))
  map.apply(commands.set('dying', 2, { ttlMs: 100 }), at(0))
  map.apply(commands.set('plain', 3), at(0))
  map.advance(START + 10)
  const snapshot = map.capture()
  expect(snapshot.size).toBe(2)
  expect(Array.from(snapshot.items())).toHaveLength(2)

  const joiner: TestMap = new ReplicatedMap()
  install(map, joiner, 10)
  expect(joiner.ttl('dying')).toBe(90)
  joiner.advance(START + 99)
  expect(joiner.size).toBe(2)
  joiner.advance(START + 100)
  expect([...joiner]).toEqual([['plain', 3]])
  expect(itemsNow(joiner)).toEqual(itemsNow(mapAt(map, 100)))
})

function mapAt(map: TestMap, timeMs: number): TestMap {
  map.advance(START + timeMs)
  return map
}

test('a snapshot keeps the keys that were alive at its capture', () => {
  const map = newMap()
  map.apply(commands.set('a', 1, { ttlMs: 100 }), at(0))
  const snapshot = map.capture()
  map.advance(START + 1_000)
  expect(Array.from(snapshot.items())).toHaveLength(1)
})

// One log, and replicas that read it at their own pace. Some are swept between entries, some never are, some
// join by a snapshot.

interface Entry {
  readonly afterMs: number
  readonly command: Uint8Array | undefined
}

const keys = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const ttls = fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined })
const anyCommand = fc.oneof(
  fc.tuple(keys, fc.nat(9), ttls).map(([key, value, ttlMs]) => commands.set(key, value, { ttlMs })),
  fc
    .tuple(fc.array(fc.tuple(keys, fc.nat(9)), { maxLength: 4 }), ttls)
    .map(([entries, ttlMs]) => commands.setMany(entries, { ttlMs })),
  keys.map((key) => commands.delete(key)),
  keys.map((key) => commands.persist(key)),
  fc
    .tuple(keys, fc.option(fc.nat(2), { nil: undefined }), fc.nat(2), ttls)
    .map(([key, expected, value, ttlMs]) => commands.compareAndSet(key, expected, value, { ttlMs })),
  fc.constant(commands.clear()),
)
const log: fc.Arbitrary<Entry[]> = fc.array(
  fc.record({
    afterMs: fc.integer({ min: -5, max: 40 }),
    command: fc.option(anyCommand, { nil: undefined, freq: 6 }),
  }),
  { maxLength: 60 },
)

test('replicas agree on results, contents and roots at each position, even if one joined by a snapshot', async () => {
  await fc.assert(
    fc.asyncProperty(
      log,
      fc.array(fc.nat(59), { maxLength: 4 }),
      fc.array(fc.nat(59)),
      async (run, joins, rests) => {
        const founder = newMap()
        const others = [newMap()]
        let clockMs = 0
        let timeMs = 0
        for (const [i, { afterMs, command }] of run.entries()) {
          clockMs += afterMs
          timeMs = Math.max(timeMs, clockMs)
          for (const _ of joins.filter((join) => join === i)) {
            const joiner: TestMap = new ReplicatedMap()
            install(founder, joiner, timeMs)
            others.push(joiner)
          }
          const applyTo = (map: TestMap) => {
            map.advance(START + timeMs)
            return command === undefined ? undefined : map.apply(command, at(timeMs))
          }
          const result = applyTo(founder)
          const items = itemsNow(founder)
          for (const other of others) {
            expect(applyTo(other)).toEqual(result)
            expect(itemsNow(other)).toEqual(items)
            expect(other.size).toBe(founder.size)
            expect([...other.keys()].map((key) => other.ttl(key))).toEqual(
              [...founder.keys()].map((key) => founder.ttl(key)),
            )
          }
          if (rests.includes(i)) await new Promise(setImmediate)
        }
      },
    ),
    { numRuns: 150 },
  )
})

test('a map with TTLs behaves as a plain Map of values and deadlines', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.integer({ min: 0, max: 40 }),
          keys,
          fc.nat(9),
          ttls,
          fc.constantFrom('set', 'delete', 'persist'),
        ),
        {
          maxLength: 60,
        },
      ),
      (steps) => {
        const map = newMap()
        const model = new Map<string, { value: number; deadlineMs: number }>()
        let timeMs = 0
        for (const [afterMs, key, value, ttlMs, what] of steps) {
          timeMs += afterMs
          for (const [name, { deadlineMs }] of model) if (deadlineMs <= timeMs) model.delete(name)
          const had = model.get(key)
          if (what === 'set') {
            model.set(key, { value, deadlineMs: timeMs + (ttlMs ?? Number.POSITIVE_INFINITY) })
            expect(map.apply(commands.set(key, value, { ttlMs }), at(timeMs))).toEqual({
              replaced: had !== undefined,
            })
          } else if (what === 'delete') {
            model.delete(key)
            expect(map.apply(commands.delete(key), at(timeMs))).toBe(had !== undefined)
          } else {
            if (had !== undefined) model.set(key, { ...had, deadlineMs: Number.POSITIVE_INFINITY })
            const mortal = had !== undefined && had.deadlineMs !== Number.POSITIVE_INFINITY
            expect(map.apply(commands.persist(key), at(timeMs))).toBe(mortal)
          }
          expect(map.size).toBe(model.size)
          expect(
            new Map([...map].map(([name, v]) => [name, { value: v, deadlineMs: timeMs + map.ttl(name)! }])),
          ).toEqual(new Map([...model].sort(([a], [b]) => (a < b ? -1 : 1))))
        }
      },
    ),
    { numRuns: 300 },
  )
})
