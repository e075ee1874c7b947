import { expect, test } from 'vitest'
import { bytesCodec, type Codec, jsonCodec } from '../../src/machine/codec.ts'
import { KEY_BYTES_MAX } from '../../src/machines/limits.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { attachedMap } from './attached-map.ts'

test('set stores a value and says whether it replaced one', async () => {
  const map = attachedMap<string, number>({})
  expect((await map.set('a', 1)).result).toEqual({ replaced: false })
  expect((await map.set('a', 2)).result).toEqual({ replaced: true })
  expect(map.get('a')).toBe(2)
  expect(map.size).toBe(1)
})

test('a write resolves with its position', async () => {
  const map = attachedMap<string, number>({})
  await map.set('a', 1)
  expect((await map.set('b', 2)).position).toEqual({ epoch: 'test', index: 2 })
})

test('delete says whether there was anything to delete', async () => {
  const map = attachedMap<string, number>({})
  await map.set('a', 1)
  expect((await map.delete('a')).result).toBe(true)
  expect((await map.delete('a')).result).toBe(false)
  expect(map.has('a')).toBe(false)
  expect(map.get('a')).toBeUndefined()
})

test('setMany takes any iterable of pairs, and the last value of a repeated key', async () => {
  const map = attachedMap<string, number>({})
  await map.set('a', 1)
  const { result } = await map.setMany(
    new Map([
      ['a', 2],
      ['b', 3],
    ]),
  )
  expect(result).toEqual({ added: 1, replaced: 1 })
  await map.setMany([
    ['c', 4],
    ['c', 5],
  ])
  expect([...map]).toEqual([
    ['a', 2],
    ['b', 3],
    ['c', 5],
  ])
})

test('deleteMany and clear say how many they deleted', async () => {
  const map = attachedMap<string, number>({})
  await map.setMany(['a', 'b', 'c', 'd'].map((key) => [key, 0]))
  expect((await map.deleteMany(['a', 'nobody', 'b'])).result).toBe(2)
  expect((await map.clear()).result).toBe(2)
  expect(map.size).toBe(0)
  expect((await map.clear()).result).toBe(0)
})

test('compareAndSet sets only over what was expected', async () => {
  const map = attachedMap<string, { by: string }>({})
  await map.set('lock', { by: 'ann' })
  expect((await map.compareAndSet('lock', { by: 'bob' }, { by: 'eve' })).result).toBe(false)
  expect(map.get('lock')).toEqual({ by: 'ann' })
  expect((await map.compareAndSet('lock', { by: 'ann' }, { by: 'eve' })).result).toBe(true)
  expect(map.get('lock')).toEqual({ by: 'eve' })
})

test('compareAndSet adds when it expects undefined and deletes when it sets undefined', async () => {
  const map = attachedMap<string, number>({})
  expect((await map.compareAndSet('a', undefined, 1)).result).toBe(true)
  expect((await map.compareAndSet('a', undefined, 2)).result).toBe(false)
  expect(map.get('a')).toBe(1)
  expect((await map.compareAndSet('a', 1, undefined)).result).toBe(true)
  expect(map.has('a')).toBe(false)
})

test('a signal that has fired rejects the write', async () => {
  const map = attachedMap<string, number>({})
  const signal = AbortSignal.abort()
  await expect(map.set('a', 1, { signal })).rejects.toThrow(signal.reason)
})

test('without a replica, reads work and writes reject with NotAttached', async () => {
  const map = new ReplicatedMap<string, number>()
  map.apply(map.commands.set('a', 1))
  expect(map.get('a')).toBe(1)
  await expect(map.set('a', 2)).rejects.toMatchObject({ name: 'NotAttached' })
})

test('a map has one replica', () => {
  const map = attachedMap<string, number>({})
  expect(() =>
    map.attach({ submit: () => Promise.reject(new Error('never called')), assertReadable() {} }),
  ).toThrow(expect.objectContaining({ name: 'AlreadyAttached' }))
})

test('keys, values and entries come in the order of the keys as UTF-8, not as UTF-16', async () => {
  const map = attachedMap<string, number>({})
  // U+FF5E is above the surrogates of U+1F600 in UTF-16, and below it in UTF-8.
  await map.setMany(['b', '\u{1F600}', '\uFF5E', '', 'ab', 'é', 'a', 'Z'].map((key, i) => [key, i]))
  expect([...map.keys()]).toEqual(['', 'Z', 'a', 'ab', 'b', 'é', '\uFF5E', '\u{1F600}'])
  expect([...map.values()]).toEqual([3, 7, 6, 4, 0, 5, 2, 1])
  expect([...map.entries()]).toEqual([...map])
})

test('keys with a meaning in JavaScript are keys like others', async () => {
  const map = attachedMap<string, string>({})
  for (const key of ['__proto__', 'constructor', 'toString', '\0', '\uFEFFbom', ''])
    await map.set(key, `<${key}>`)
  for (const key of ['__proto__', 'constructor', 'toString', '\0', '\uFEFFbom', ''])
    expect(map.get(key)).toBe(`<${key}>`)
  expect([...map.keys()]).toContain('\uFEFFbom')
  expect(map.get('hasOwnProperty')).toBeUndefined()
})

test('an empty value is a value', async () => {
  const map = attachedMap<string, Uint8Array>({ values: bytesCodec })
  await map.set('a', new Uint8Array())
  expect(map.has('a')).toBe(true)
  expect(map.get('a')).toEqual(new Uint8Array())
})

test.each([
  [{}, 'abcde'],
  [{ gte: 'b' }, 'bcde'],
  [{ gt: 'b' }, 'cde'],
  [{ lte: 'b' }, 'ab'],
  [{ lt: 'b' }, 'a'],
  [{ gte: 'b', lt: 'd' }, 'bc'],
  [{ gt: 'b', lte: 'd' }, 'cd'],
  [{ gte: 'c', gt: 'a' }, 'cde'],
  [{ gte: 'a', gt: 'c' }, 'de'],
  [{ lte: 'd', lt: 'b' }, 'a'],
  [{ gte: 'bb', lte: 'cc' }, 'c'],
  [{ gte: 'd', lte: 'b' }, ''],
  [{ gt: 'e' }, ''],
  [{ lt: 'a' }, ''],
  [{ limit: 2 }, 'ab'],
  [{ limit: 0 }, ''],
  [{ reverse: true }, 'edcba'],
  [{ reverse: true, lte: 'c' }, 'cba'],
  [{ reverse: true, lt: 'c' }, 'ba'],
  [{ reverse: true, lte: 'zz', gt: 'b' }, 'edc'],
  [{ reverse: true, lt: 'd', lte: 'e', gte: 'b' }, 'cb'],
  [{ reverse: true, lt: 'e', lte: 'c' }, 'cba'],
  [{ reverse: true, limit: 2 }, 'ed'],
  [{ reverse: true, lt: 'a' }, ''],
])('range %o reads %o', async (range, expected) => {
  const map = attachedMap<string, number>({})
  await map.setMany([...'abcde'].map((key) => [key, 0]))
  expect([...map.range(range).map(([key]) => key)].join('')).toBe(expected)
})

test('a range of an empty map is empty, from either end', () => {
  const map = attachedMap<string, number>({})
  expect([...map.range({ gte: 'a' }), ...map.range({ lte: 'a', reverse: true })]).toEqual([])
})

test.each([-1, 1.5, Number.NaN])('a limit of %d is refused', (limit) => {
  const map = attachedMap<string, number>({})
  expect(() => map.range({ limit })).toThrow(RangeError)
})

test('an iterator reads the entries as they were when it began', async () => {
  const map = attachedMap<string, number>({})
  await map.setMany(Array.from({ length: 200 }, (_, i) => [String(i).padStart(3, '0'), i]))
  const untouched = map.values()
  const begun = map.values()
  begun.next()
  await map.deleteMany(Array.from({ length: 200 }, (_, i) => String(i).padStart(3, '0')))
  await map.set('000', -1)
  expect([...untouched]).toHaveLength(200)
  expect([...begun].at(-1)).toBe(199)
  expect([...map.values()]).toEqual([-1])
})

test('values keep the bytes they arrived in', async () => {
  const map = attachedMap<string, number>({})
  const command = map.commands.set('a', 1)
  map.apply(Buffer.concat([command.subarray(0, 3), Buffer.from('\x03 1 ')]))
  expect(map.get('a')).toBe(1)
  expect([...map.capture().items()].map((item) => Buffer.from(item).toString())).toEqual(['\x02a 1 '])
})

test('the bytes that apply got may be overwritten afterwards', () => {
  const map = new ReplicatedMap<string, string>()
  const command = map.commands.set('key', 'value')
  map.apply(command)
  command.fill(0)
  expect([...map]).toEqual([['key', 'value']])
})

test('what JSON cannot hold is refused, with a way out', async () => {
  const map = attachedMap<string, unknown>({})
  const refusal = map.set('a', undefined)
  await expect(refusal).rejects.toBeInstanceOf(TypeError)
  await expect(refusal).rejects.toMatchObject({ name: 'Unencodable', part: 'value', codec: 'json' })
  await expect(refusal).rejects.toThrow('use null, or delete the key')
  await expect(map.set('a', 1n)).rejects.toMatchObject({ name: 'Unencodable' })
  await expect(
    map.setMany([
      ['b', 1],
      ['c', () => {}],
    ]),
  ).rejects.toMatchObject({ name: 'Unencodable' })
  expect(map.size).toBe(0)
})

test('a key that has no UTF-8, or is no string, is refused', async () => {
  const map = attachedMap<string, number>({})
  await expect(map.set('\uD800', 1)).rejects.toMatchObject({ name: 'Unencodable', part: 'key' })
  const numbered = attachedMap<number, number>({})
  await expect(numbered.set(1, 1)).rejects.toThrow('give the map a codec for it')
})

test('a key may have 64 KiB and not a byte more', async () => {
  const map = attachedMap<string, number>({})
  const longest = 'k'.repeat(KEY_BYTES_MAX)
  await map.set(longest, 1)
  expect(map.get(longest)).toBe(1)
  await expect(map.set(`${longest}k`, 1)).rejects.toMatchObject({
    name: 'KeyTooLarge',
    bytes: KEY_BYTES_MAX + 1,
    bytesMax: KEY_BYTES_MAX,
  })
})

test('a value that its codec cannot decode throws only when it is read', () => {
  const map = new ReplicatedMap<string, number>()
  const raw = new ReplicatedMap({ values: bytesCodec })
  map.apply(raw.commands.set('bad', Buffer.from('{')))
  map.apply(map.commands.set('good', 1))
  expect(() => map.get('bad')).toThrow(expect.objectContaining({ name: 'Undecodable', part: 'value' }))
  expect(map.get('good')).toBe(1)
  expect([...map.keys()]).toEqual(['bad', 'good'])
})

test('bytes that are not UTF-8 are not read as text', () => {
  const map = new ReplicatedMap<string, string>()
  const raw = new ReplicatedMap({ keys: bytesCodec, values: bytesCodec })
  map.apply(raw.commands.set(Uint8Array.of(0xff), Uint8Array.of(0x22, 0xff, 0x22)))
  expect(() => [...map.keys()]).toThrow(expect.objectContaining({ name: 'Undecodable', part: 'key' }))
  expect(() => [...map.values()]).toThrow(expect.objectContaining({ name: 'Undecodable', part: 'value' }))
})

test('keys and values may have codecs of their own', async () => {
  const bigEndian: Codec<number> = {
    name: 'uint32be',
    encode(value) {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(value)
      return bytes
    },
    decode: (bytes) => Buffer.from(bytes).readUInt32BE(),
  }
  const map = attachedMap({ keys: bigEndian, values: jsonCodec<Date | string>() })
  await map.setMany([
    [300, 'c'],
    [2, 'a'],
    [10, 'b'],
  ])
  expect([...map.range({ gt: 2 })]).toEqual([
    [10, 'b'],
    [300, 'c'],
  ])
  await expect(map.set(-1, 'd')).rejects.toMatchObject({ name: 'Unencodable', codec: 'uint32be' })
})

test("bytes that were read are the reader's own", async () => {
  const map = attachedMap<string, Uint8Array>({ values: bytesCodec })
  await map.set('a', Uint8Array.of(1, 2, 3))
  map.get('a')?.fill(0)
  expect(map.get('a')).toEqual(Uint8Array.of(1, 2, 3))
})

test('the signature tells name and codecs apart', () => {
  expect(new ReplicatedMap().signature).toBe('map/2;keys=utf8;values=json')
  expect(new ReplicatedMap({ values: bytesCodec, name: 'a;b' }).signature).toBe(
    'map/2;keys=utf8;values=bytes;name=a%3Bb',
  )
})
