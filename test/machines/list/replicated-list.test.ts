import { describe, expect, test } from 'vitest'
import { bytesCodec, type Codec, stringCodec } from '../../../src/machine/codec.ts'
import { MalformedCommand } from '../../../src/machine/machine.ts'
import type { ListChange, Taken } from '../../../src/machines/list/changes.ts'
import { decodeCommand, encodeCommand } from '../../../src/machines/list/command.ts'
import { IndexOutOfRange } from '../../../src/machines/list/errors.ts'
import { ReplicatedList } from '../../../src/machines/list/replicated-list.ts'
import { attachedList } from './attached-list.ts'

const named = (name: string) => expect.objectContaining({ name })

async function listOf<T>(...values: readonly T[]): Promise<ReplicatedList<T>> {
  const list = attachedList<T>()
  await list.pushMany(values)
  return list
}

describe('writes', () => {
  test('push, pushMany, unshift and insert say the new length', async () => {
    const list = attachedList<string>()
    const lengths = [
      await list.push('c'),
      await list.pushMany(['d', 'e']),
      await list.unshift('a'),
      await list.insert(1, 'b'),
      await list.insert(5, 'f'),
      await list.pushMany([]),
    ]
    expect(lengths.map(({ result }) => result)).toEqual([1, 3, 4, 5, 6, 6])
    expect([...list]).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  test('set, delete, pop and shift give the value that was there', async () => {
    const list = await listOf('a', 'b', 'c', 'd')
    const values = [await list.set(1, 'B'), await list.delete(1), await list.pop(), await list.shift()]
    expect(values.map(({ result }) => result)).toEqual(['b', 'B', 'd', 'a'])
    expect([...list]).toEqual(['c'])
  })

  test('there is nothing to pop or to shift from an empty list, which is no mistake', async () => {
    const list = attachedList<string>()
    expect([(await list.pop()).result, (await list.shift()).result]).toEqual([undefined, undefined])
    expect(list.length).toBe(0)
  })

  test('swap lets two items change places, and one alone stays', async () => {
    const list = await listOf('a', 'b', 'c')
    expect([(await list.swap(0, 2)).result, (await list.swap(1, 1)).result]).toEqual([true, false])
    expect([...list]).toEqual(['c', 'b', 'a'])
  })

  test('truncate and clear say how many items they removed', async () => {
    const list = await listOf(1, 2, 3, 4, 5)
    expect((await list.truncate(9)).result).toBe(0)
    expect((await list.truncate(3)).result).toBe(2)
    expect([...list]).toEqual([1, 2, 3])
    expect((await list.clear()).result).toBe(3)
    expect((await list.clear()).result).toBe(0)
    expect([...list]).toEqual([])
  })

  test('a write under a condition finds the item that its writer saw, or does nothing', async () => {
    const list = await listOf('a', 'b')
    const results = [
      await list.compareAndSet(0, 'b', 'x'),
      await list.compareAndSet(0, 'a', 'A'),
      await list.compareAndSet(7, 'a', 'A'),
      await list.compareAndInsert(1, 'A', 'x'),
      await list.compareAndInsert(1, 'b', 'ab'),
      await list.compareAndInsert(2, undefined, 'x'),
      await list.compareAndInsert(3, undefined, 'c'),
      await list.compareAndInsert(9, undefined, 'x'),
      await list.compareAndSet(2, 'c', undefined),
      await list.compareAndSet(2, 'b', undefined),
    ]
    expect(results.map(({ result }) => result)).toEqual([
      false,
      true,
      false,
      false,
      true,
      false,
      true,
      false,
      false,
      true,
    ])
    expect([...list]).toEqual(['A', 'ab', 'c'])
  })
})

describe('a mistake', () => {
  test('an index beyond the list is refused, and changes nothing', async () => {
    const list = await listOf('a', 'b')
    const refused = { name: 'IndexOutOfRange', code: 'INDEX_OUT_OF_RANGE', length: 2 }
    await expect(list.set(2, 'x')).rejects.toMatchObject({ ...refused, index: 2 })
    await expect(list.delete(2)).rejects.toMatchObject({ ...refused, index: 2 })
    await expect(list.insert(3, 'x')).rejects.toMatchObject({ ...refused, index: 3 })
    await expect(list.swap(0, 5)).rejects.toMatchObject({ ...refused, index: 5 })
    await expect(list.swap(5, 0)).rejects.toMatchObject({ ...refused, index: 5 })
    expect(list.apply(list.commands.delete(2 ** 48))).toBeInstanceOf(IndexOutOfRange)
    expect([...list]).toEqual(['a', 'b'])
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 49, '1' as unknown as number])(
    'a write to the index %s never comes to the log',
    async (index) => {
      const list = await listOf('a', 'b')
      for (const write of [
        list.set(index, 'x'),
        list.delete(index),
        list.insert(index, 'x'),
        list.swap(index, 0),
        list.swap(0, index),
        list.truncate(index),
        list.compareAndSet(index, 'a', 'x'),
        list.compareAndInsert(index, 'a', 'x'),
      ])
        await expect(write).rejects.toThrow(RangeError)
      expect((await list.push('c')).position.index).toBe(2)
    },
  )

  test('the message for a negative index says why', async () => {
    await expect((await listOf('a')).set(-1, 'x')).rejects.toThrow(
      'index is -1; give an integer from 0 to 281474976710656; what is counted from the end moves with every push',
    )
  })

  test('a value that the codec refuses is not written', async () => {
    const list = attachedList<unknown>()
    await expect(list.push(undefined)).rejects.toEqual(named('Unencodable'))
    await expect(list.pushMany([1, () => {}])).rejects.toEqual(named('Unencodable'))
    expect(list.length).toBe(0)
  })

  test('a list without a replica can be read, and not be written', async () => {
    const list = new ReplicatedList<string>()
    expect([list.length, list.at(0), list.slice()]).toEqual([0, undefined, []])
    await expect(list.push('a')).rejects.toEqual(named('NotAttached'))
  })

  test('a list that cannot be read says so at once', () => {
    const list = new ReplicatedList<string>()
    const assertReadable = () => {
      throw new Error('not yet')
    }
    list.attach({ submit: async () => ({ position: { epoch: 'e', index: 1 }, result: 1 }), assertReadable })
    const reads = [
      () => list.length,
      () => list.at(0),
      () => list.slice(),
      () => list.values(),
      () => list.entries(),
      () => list[Symbol.iterator](),
    ]
    for (const read of reads) expect(read).toThrow('not yet')
  })

  test('what the codec cannot read is told when it is read, and when it is given back', async () => {
    const list = attachedList<string>()
    list.apply(
      new ReplicatedList({ values: bytesCodec }).commands.pushMany([Buffer.from('{'), Buffer.from('}')]),
    )
    expect(() => list.at(0)).toThrow(named('Undecodable'))
    expect(() => [...list]).toThrow(named('Undecodable'))
    await expect(list.pop()).rejects.toEqual(named('Undecodable'))
    expect(list.length).toBe(1)
    expect((await list.clear()).result).toBe(1)
  })
})

describe('reads', () => {
  test('an iterator reads the list as it was when it began', async () => {
    const list = await listOf(1, 2, 3)
    const [values, entries, backwards] = [list.values(), list.entries(), list.values({ reverse: true })]
    await list.clear()
    await list.pushMany([7, 8])
    expect([...values]).toEqual([1, 2, 3])
    expect([...entries]).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ])
    expect([...backwards]).toEqual([3, 2, 1])
    expect([...list]).toEqual([7, 8])
  })

  test('a codec may read the list while it decodes', async () => {
    const list: ReplicatedList<string> = new ReplicatedList<string>({
      values: {
        name: 'curious',
        encode: (value) => Buffer.from(value.padEnd(900)),
        decode: (bytes) => Buffer.from(bytes).toString().trim() + list.length,
      },
    })
    list.apply(list.commands.pushMany(['a', 'b', 'c', 'd', 'e', 'f']))
    list.addEventListener('change', ({ detail }) => expect(detail.type === 'insert' && list.at(0)).toBe('a7'))
    list.apply(list.commands.push('g'))
    expect(list.slice()).toEqual(['a7', 'b7', 'c7', 'd7', 'e7', 'f7', 'g7'])
  })

  test('the values of a codec may be empty', async () => {
    const list = attachedList({ values: stringCodec })
    await list.pushMany(['', 'a', '', ''])
    await list.swap(0, 1)
    expect([...list]).toEqual(['a', '', '', ''])
    expect((await list.pop()).result).toBe('')
  })

  test('a codec may use one buffer for everything', async () => {
    const buffer = Buffer.alloc(1)
    const values: Codec<number> = {
      name: 'byte',
      encode: (value) => {
        buffer[0] = value
        return buffer
      },
      decode: (bytes) => bytes[0]!,
    }
    const list = attachedList({ values })
    await list.pushMany([1, 2, 3])
    expect((await list.compareAndSet(0, 1, 9)).result).toBe(true)
    expect([...list]).toEqual([9, 2, 3])
  })
})

test('the codec and the name are part of the signature', () => {
  expect(new ReplicatedList().signature).toBe('list/1;values=json')
  expect(new ReplicatedList({ values: bytesCodec, name: 'my tasks' }).signature).toBe(
    'list/1;values=bytes;name=my%20tasks',
  )
})

test('the command is no longer needed once it is applied', () => {
  const list = new ReplicatedList<string>()
  const changes: ListChange<string>[] = []
  list.addEventListener('change', ({ detail }) => changes.push(detail))
  const [push, set] = [list.commands.push('kept'), list.commands.set(0, 'other')]
  list.apply(push)
  const taken = list.apply(set) as Taken<string>
  push.fill(0)
  set.fill(0)
  expect([...list, taken.value]).toEqual(['other', 'kept'])
  expect(changes.map((change) => ({ ...change }))).toEqual([
    { type: 'insert', index: 0, value: 'kept' },
    { type: 'set', index: 0, value: 'other', previous: 'kept' },
  ])
})

test.each([
  ['no bytes', ''],
  ['an unknown operation', '00'],
  ['another unknown operation', '0c'],
  ['a value that ends too early', '01010261'],
  ['a count that is too large', '01020161'],
  ['bytes after the end', '0600'],
  ['a TTL', '860106'],
  ['no index', '04'],
  ['an index in a longer form', '048000'],
  ['an index of eight bytes', '04ffffffffffffff01'],
  ['no value in a condition', '0a000161'],
])('%s: malformed', (_, hex) => {
  const list = new ReplicatedList()
  list.apply(list.commands.push(1))
  expect(() => list.apply(Buffer.from(hex, 'hex'))).toThrow(MalformedCommand)
  expect([...list]).toEqual([1])
})

test('each command is read as it was written', () => {
  const value = Uint8Array.of(1, 2)
  const expected = Uint8Array.of()
  for (const command of [
    { type: 'push', values: [value, expected] },
    { type: 'insert', index: 300, value },
    { type: 'set', index: 0, value },
    { type: 'delete', index: 2 ** 48 },
    { type: 'swap', index: 1, other: 2 },
    { type: 'pop' },
    { type: 'shift' },
    { type: 'truncate', length: 7 },
    { type: 'clear' },
    { type: 'compareAndSet', index: 1, expected, value },
    { type: 'compareAndSet', index: 1, expected, value: undefined },
    { type: 'compareAndInsert', index: 1, expected: undefined, value },
    { type: 'compareAndInsert', index: 1, expected, value },
  ] as const)
    expect(decodeCommand(encodeCommand(command))).toEqual(command)
})
