import { expect, test } from 'vitest'
import { Items } from '../../src/machine/items.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { itemsNow } from './attached-map.ts'

function mapOf(count: number): ReplicatedMap<string, number> {
  const map = new ReplicatedMap<string, number>()
  map.apply(map.commands.setMany(Array.from({ length: count }, (_, i) => [`key ${(i * 7919) % count}`, i])))
  return map
}

test('a snapshot stays as it was captured while commands go on', () => {
  const map = mapOf(1000)
  const before = itemsNow(map)
  const snapshot = map.capture()
  const items = snapshot.items()[Symbol.iterator]()
  const seen: string[] = []
  for (let i = 0; i < 1000; i++) {
    map.apply(i % 3 === 0 ? map.commands.delete(`key ${i}`) : map.commands.set(`key ${i}`, -i))
    const { value } = items.next()
    seen.push(Buffer.from(value).toString('hex'))
  }
  map.apply(map.commands.clear())
  expect(items.next().done).toBe(true)
  expect(seen).toEqual(before)
  expect(snapshot.size).toBe(1000)
})

test('two snapshots of different moments live side by side', () => {
  const map = mapOf(100)
  const early = map.capture()
  map.apply(map.commands.set('key 5', -5))
  const late = map.capture()
  map.apply(map.commands.delete('key 5'))
  const value = (snapshot: typeof early) =>
    Array.from(snapshot.items(), (item) => Buffer.from(item).toString()).find((item) =>
      item.startsWith('\x0akey 5'),
    )
  expect(value(early)).not.toBe(value(late))
  expect(value(late)).toBe('\x0akey 5-5')
  expect(map.has('key 5')).toBe(false)
})

test('a released snapshot is not read as an empty one', () => {
  const snapshot = mapOf(3).capture()
  snapshot.release()
  expect(() => snapshot.items()).toThrow(expect.objectContaining({ name: 'SnapshotReleased' }))
})

test('installed on another map, a snapshot gives the same items and reads', () => {
  // More than three of the runs that an installation builds.
  const map = mapOf(50_000)
  const other = mapOf(10)
  const installation = other.install()
  for (const item of map.capture().items()) installation.add(Items.of(item))
  other.apply(other.commands.set('key 1', -1))
  expect(other.get('key 1')).toBe(-1)
  expect(other.size).toBe(10)
  installation.commit()
  expect(itemsNow(other)).toEqual(itemsNow(map))
  expect([...other]).toEqual([...map])
  expect(other.get('key 1')).toBe(map.get('key 1'))
})

test('an installed map goes on like the one it came from', () => {
  const map = mapOf(20_000)
  const other = new ReplicatedMap<string, number>()
  const installation = other.install()
  for (const item of map.capture().items()) installation.add(Items.of(item))
  installation.commit()
  for (let i = 0; i < 20_000; i++) {
    const key = `key ${(i * 31) % 25_000}`
    const command = i % 2 === 0 ? map.commands.delete(key) : map.commands.set(key, -i)
    expect(other.apply(command)).toEqual(map.apply(command))
  }
  expect(other.size).toBe(map.size)
  expect(itemsNow(other)).toEqual(itemsNow(map))
})

test('an installation without items empties the map', () => {
  const map = mapOf(3)
  map.install().commit()
  expect(map.size).toBe(0)
  expect([...map]).toEqual([])
})

test('items are the key with twice its length, then the value', () => {
  const map = new ReplicatedMap<string, string>()
  map.apply(
    map.commands.setMany([
      ['ab', 'x'],
      ['', ''],
      ['é', 'y'],
      ['b', 'z'],
    ]),
  )
  const items = Array.from(map.capture().items(), (item) => Buffer.from(item).toString())
  expect(items).toEqual(['\x00""', '\x04ab"x"', '\x02b"z"', '\x04é"y"'])
})

test.each([
  ['nothing', [[]]],
  ['a key that ends early', [[10, 0x61, 0x62]]],
  ['a length that ends early', [[0x80]]],
  ['a length in a longer form', [[0x82, 0x00, 0x61]]],
  ['a deadline that ends early', [[3, 0x61, 0x80]]],
  ['a key beyond the limit', [[0x82, 0x80, 0x08, ...Buffer.alloc(64 * 1024 + 1)]]],
  [
    'a key twice',
    [
      [2, 0x61],
      [2, 0x61, 0x31],
    ],
  ],
  [
    'keys out of order',
    [
      [2, 0x62],
      [2, 0x61],
    ],
  ],
  [
    'a longer key before the shorter it begins with',
    [
      [4, 0x61, 0x61],
      [2, 0x61],
    ],
  ],
  [
    'bytes compared as signed',
    [
      [2, 0xff],
      [2, 0x7f],
    ],
  ],
])('of hostile items, %s is malformed and harms no state', (_name, items) => {
  const map = mapOf(3)
  const before = itemsNow(map)
  const installation = map.install()
  const last = Uint8Array.from(items.pop() ?? [])
  for (const item of items) installation.add(Items.of(Uint8Array.from(item)))
  expect(() => installation.add(Items.of(last))).toThrow(expect.objectContaining({ name: 'MalformedItem' }))
  expect(itemsNow(map)).toEqual(before)
})

test('the bytes that add got may be overwritten afterwards', () => {
  const map = new ReplicatedMap<string, number>()
  const installation = map.install()
  const item = Buffer.from('\x02a1')
  installation.add(Items.of(item))
  item.fill(0)
  installation.commit()
  expect([...map]).toEqual([['a', 1]])
})
