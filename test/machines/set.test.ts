import { describe, expect, test } from 'vitest'
import { bytesCodec, jsonCodec } from '../../src/machine/codec.ts'
import { Items } from '../../src/machine/items.ts'
import { KEY_BYTES_MAX } from '../../src/machines/limits.ts'
import { ReplicatedSet } from '../../src/machines/set/replicated-set.ts'
import { attached, recorded } from './attached.ts'
import { itemsNow } from './attached-map.ts'

const START = 1_795_000_000_000
const at = (timeMs: number) => ({ timeMs: START + timeMs })
const { commands } = new ReplicatedSet()

const newSet = () => attached(new ReplicatedSet())

describe('a set', () => {
  test('says of each write what was new, and what was there', async () => {
    const set = newSet()
    expect((await set.add('a')).result).toBe(true)
    expect((await set.add('a')).result).toBe(false)
    expect((await set.addMany(['a', 'b', 'c', 'c'])).result).toBe(2)
    expect((await set.delete('a')).result).toBe(true)
    expect((await set.delete('a')).result).toBe(false)
    expect((await set.deleteMany(['a', 'b', 'b'])).result).toBe(1)
    expect([[...set], set.size, set.has('c'), set.has('a')]).toEqual([['c'], 1, true, false])
    expect((await set.clear()).result).toBe(1)
    expect((await set.clear()).result).toBe(0)
    expect([...set.values()]).toEqual([])
  })

  test('is in the order of its bytes, and is read in ranges', async () => {
    const set = newSet()
    // U+FF5E is above the surrogates of U+1F600 in UTF-16, and below it in UTF-8.
    await set.addMany(['b', '\u{1F600}', '\uFF5E', '', 'ab', 'é', 'a', 'Z'])
    const all = ['', 'Z', 'a', 'ab', 'b', 'é', '\uFF5E', '\u{1F600}']
    expect([...set]).toEqual(all)
    expect([...set.range({ gte: 'a', lt: 'b' })]).toEqual(['a', 'ab'])
    expect([...set.range({ gt: 'a', lte: 'b' })]).toEqual(['ab', 'b'])
    expect([...set.range({ reverse: true, limit: 2 })]).toEqual(['\u{1F600}', '\uFF5E'])
    expect([...set.range({ limit: 0 })]).toEqual([])
    for (const limit of [-1, 1.5, Number.NaN]) expect(() => set.range({ limit })).toThrow(RangeError)
  })

  test('is read as it was when the reading began', async () => {
    const set = newSet()
    await set.addMany(['a', 'b'])
    const open = set.values()
    await set.clear()
    expect([...open]).toEqual(['a', 'b'])
  })

  test('holds what its codec encodes; the bytes decide what is the same', async () => {
    const points = attached(new ReplicatedSet<{ x: number; y?: number }>({ values: jsonCodec() }))
    await points.add({ x: 1, y: 2 })
    expect((await points.add({ x: 1, y: 2 })).result).toBe(false)
    expect((await points.add({ y: 2, x: 1 })).result).toBe(true)
    expect([...points]).toEqual([
      { x: 1, y: 2 },
      { y: 2, x: 1 },
    ])
  })

  test('has a signature of its format, codec and name', () => {
    expect(new ReplicatedSet().signature).toBe('set/1;values=utf8')
    expect(new ReplicatedSet({ values: bytesCodec, name: 'a;b' }).signature).toBe(
      'set/1;values=bytes;name=a%3Bb',
    )
  })
})

describe('an element with a TTL', () => {
  test('is dead for every read from its deadline on', () => {
    const set = new ReplicatedSet()
    set.apply(commands.addMany(['a', 'b'], { ttlMs: 100 }), at(0))
    set.apply(commands.add('c'), at(0))
    set.apply(commands.add('b', { ttlMs: 200 }), at(50))
    expect(set.dueMs).toBeLessThanOrEqual(START + 100)
    set.advance(START + 99)
    expect([set.ttl('a'), set.ttl('b'), set.ttl('c'), set.ttl('d')]).toEqual([1, 151, Infinity, undefined])
    expect(set.size).toBe(3)
    set.advance(START + 100)
    expect([[...set], set.size, set.has('a'), set.ttl('a')]).toEqual([['b', 'c'], 2, false, undefined])
    expect(set.apply(commands.add('a'), at(100))).toBe(true)
    expect(set.apply(commands.delete('b'), at(250))).toBe(false)
    expect(set.apply(commands.clear(), at(250))).toBe(2)
  })

  test('lives on if it is added again without one, or persists', () => {
    const set = new ReplicatedSet()
    set.apply(commands.addMany(['a', 'b', 'c'], { ttlMs: 100 }), at(0))
    expect(set.apply(commands.add('a'), at(1))).toBe(false)
    expect(set.apply(commands.persist('b'), at(99))).toBe(true)
    expect(set.apply(commands.persist('b'), at(99))).toBe(false)
    expect(set.apply(commands.persist('c'), at(100))).toBe(false)
    expect([...set]).toEqual(['a', 'b'])
    expect(set.dueMs).toBeUndefined()
  })

  test('is in a snapshot with its deadline, and no more from there on', () => {
    const set = new ReplicatedSet()
    set.apply(commands.add('a', { ttlMs: 10 }), at(0))
    set.apply(commands.add('b'), at(0))
    const joiner = new ReplicatedSet()
    const installation = joiner.install()
    for (const item of set.capture().items()) installation.add(Items.of(item))
    installation.commit()
    joiner.advance(START + 9)
    expect([[...joiner], joiner.ttl('a')]).toEqual([['a', 'b'], 1])
    joiner.advance(START + 10)
    expect([...joiner]).toEqual(['b'])
    set.advance(START + 10)
    expect(itemsNow(joiner)).toEqual(['0262'])
    expect(itemsNow(set)).toEqual(['0262'])
  })
})

describe('the changes of a set', () => {
  test('are what came and what went, and none where nothing did', async () => {
    const set = newSet()
    const changes = recorded(set)
    await set.addMany(['b', 'a', 'b'])
    await set.add('a', { ttlMs: 5 })
    await set.persist('a')
    await set.deleteMany(['a', 'nobody'])
    await set.clear()
    await set.clear()
    expect(changes).toEqual([
      { type: 'add', value: 'b' },
      { type: 'add', value: 'a' },
      { type: 'delete', value: 'a' },
      { type: 'clear' },
    ])
  })

  test('tell of a death before the change that takes its place, or soon after it', async () => {
    const set = new ReplicatedSet()
    set.apply(commands.addMany(['a', 'b'], { ttlMs: 10 }), at(0))
    const changes = recorded(set)
    set.apply(commands.add('b'), at(10))
    const swept = new Promise((resolve) => set.addEventListener('change', resolve, { once: true }))
    if (changes.length < 3) await swept
    expect(changes.filter(({ type }) => type !== 'expire')).toEqual([{ type: 'add', value: 'b' }])
    const ofB = changes.filter((change) => change.type !== 'clear' && change.value === 'b')
    expect(ofB.map(({ type }) => type)).toEqual(['expire', 'add'])
    expect(changes).toContainEqual({ type: 'expire', value: 'a' })
  })

  test('come after the whole command; a snapshot is one reset', async () => {
    const set = newSet()
    const sizes: number[] = []
    set.addEventListener('change', () => sizes.push(set.size))
    await set.addMany(['a', 'b'])
    set.addEventListener('reset', ({ detail }) => sizes.push(detail.size))
    const installation = set.install()
    installation.add(Items.of(Buffer.from('\x02x')))
    installation.commit()
    expect(sizes).toEqual([2, 2, 1])
  })
})

describe('a mistake', () => {
  test('is refused at the writer, and changes nothing', async () => {
    const set = newSet()
    await expect(set.add('\ud800')).rejects.toMatchObject({ name: 'Unencodable' })
    await expect(set.addMany(['a', 1 as never])).rejects.toMatchObject({ name: 'Unencodable' })
    await expect(set.add('x'.repeat(KEY_BYTES_MAX + 1))).rejects.toMatchObject({ name: 'KeyTooLarge' })
    for (const ttlMs of [0, -1, 1.5, Number.NaN, Infinity, 2 ** 48 + 1]) {
      expect(() => commands.add('a', { ttlMs })).toThrow(RangeError)
      expect(() => commands.addMany([], { ttlMs })).toThrow(RangeError)
    }
    expect(set.size).toBe(0)
    await set.add('x'.repeat(KEY_BYTES_MAX))
    expect(set.size).toBe(1)
    await expect(new ReplicatedSet().add('a')).rejects.toMatchObject({ name: 'NotAttached' })
  })

  test.each([
    ['a value behind the element', '\x02ab'],
    ['a value behind the deadline', '\x03a\x05b'],
    ['no deadline', '\x03a'],
    ['half an element', '\x04a'],
  ])('in an item is refused: %s', (_name, item) => {
    const set = new ReplicatedSet()
    set.apply(commands.add('before'))
    const installation = set.install()
    const bytes = Buffer.from(item, 'latin1')
    expect(() => installation.add(Items.of(bytes))).toThrow(
      expect.objectContaining({ name: 'MalformedItem' }),
    )
    expect([...set]).toEqual(['before'])
  })
})
