import { describe, expect, test } from 'vitest'
import { bytesCodec } from '../../src/machine/codec.ts'
import { Items } from '../../src/machine/items.ts'
import { ReplicatedRegister } from '../../src/machines/register/replicated-register.ts'
import { attached, recorded } from './attached.ts'
import { itemsNow } from './attached-map.ts'

const START = 1_795_000_000_000
const at = (timeMs: number) => ({ timeMs: START + timeMs })
const { commands } = new ReplicatedRegister<number>()

const newRegister = () => attached(new ReplicatedRegister<number>())

describe('a register', () => {
  test('holds one value, or none', async () => {
    const register = newRegister()
    expect([register.get(), register.isSet, register.ttl()]).toEqual([undefined, false, undefined])
    expect((await register.clear()).result).toBe(false)
    expect((await register.set(1)).result).toEqual({ replaced: false })
    expect((await register.set(2)).result).toEqual({ replaced: true })
    expect([register.get(), register.isSet, register.ttl()]).toEqual([2, true, Infinity])
    expect((await register.clear()).result).toBe(true)
    expect(register.get()).toBeUndefined()
  })

  test('is set under a condition: undefined stands for no value', async () => {
    const register = newRegister()
    expect((await register.compareAndSet(1, 2)).result).toBe(false)
    expect((await register.compareAndSet(undefined, 2)).result).toBe(true)
    expect((await register.compareAndSet(undefined, 3)).result).toBe(false)
    expect((await register.compareAndSet(2, 3)).result).toBe(true)
    expect(register.get()).toBe(3)
    expect((await register.compareAndSet(3, undefined)).result).toBe(true)
    expect((await register.compareAndSet(undefined, undefined)).result).toBe(true)
    expect(register.isSet).toBe(false)
  })

  test('holds an empty value, and null, as values', async () => {
    const bytes = attached(new ReplicatedRegister<Uint8Array>({ values: bytesCodec }))
    await bytes.set(new Uint8Array())
    expect([bytes.isSet, bytes.get()]).toEqual([true, new Uint8Array()])
    expect((await bytes.compareAndSet(new Uint8Array(), Uint8Array.of(1))).result).toBe(true)
    const json = attached(new ReplicatedRegister())
    await json.set(null)
    expect([json.isSet, json.get()]).toEqual([true, null])
  })

  test('has a signature of its format, codec and name', () => {
    expect(new ReplicatedRegister().signature).toBe('register/1;values=json')
    expect(new ReplicatedRegister({ values: bytesCodec, name: 'x' }).signature).toBe(
      'register/1;values=bytes;name=x',
    )
  })
})

describe('a value with a TTL', () => {
  test('is gone from its deadline on', () => {
    const register = new ReplicatedRegister<number>()
    register.apply(commands.set(1, { ttlMs: 100 }), at(0))
    expect(register.dueMs).toBeLessThanOrEqual(START + 100)
    register.advance(START + 99)
    expect([register.get(), register.ttl()]).toEqual([1, 1])
    register.advance(START + 100)
    expect([register.get(), register.ttl(), register.isSet, itemsNow(register)]).toEqual([
      undefined,
      undefined,
      false,
      [],
    ])
    expect(register.apply(commands.clear(), at(100))).toBe(false)
  })

  test('lives on if it is set again, or persists', () => {
    const register = new ReplicatedRegister<number>()
    register.apply(commands.set(1, { ttlMs: 100 }), at(0))
    register.apply(commands.set(2), at(1))
    expect(register.ttl()).toBe(Infinity)
    register.apply(commands.compareAndSet(2, 3, { ttlMs: 100 }), at(2))
    expect(register.ttl()).toBe(100)
    expect(register.apply(commands.persist(), at(101))).toBe(true)
    expect(register.apply(commands.persist(), at(101))).toBe(false)
    register.advance(START + 1_000)
    expect([register.get(), register.dueMs]).toEqual([3, undefined])
  })

  test('serves as a lock, which is renewed and taken', () => {
    const register = new ReplicatedRegister<number>()
    const take = (who: number, was: number | undefined, timeMs: number) =>
      register.apply(commands.compareAndSet(was, who, { ttlMs: 100 }), at(timeMs))
    expect(take(1, undefined, 0)).toBe(true)
    expect(take(2, undefined, 50)).toBe(false)
    expect(take(1, 1, 99)).toBe(true)
    expect(take(2, undefined, 198)).toBe(false)
    expect(take(2, undefined, 199)).toBe(true)
  })

  test('is in a snapshot with its deadline', () => {
    const register = new ReplicatedRegister<number>()
    register.apply(commands.set(7, { ttlMs: 10 }), at(0))
    const joiner = new ReplicatedRegister<number>()
    const installation = joiner.install()
    for (const item of register.capture().items()) installation.add(Items.of(item))
    installation.commit()
    joiner.advance(START + 9)
    expect([joiner.get(), joiner.ttl()]).toEqual([7, 1])
    joiner.advance(START + 10)
    expect(joiner.isSet).toBe(false)
  })
})

test('the changes of a register have the value and the one before', async () => {
  const register = newRegister()
  const changes = recorded(register)
  const resets: number[] = []
  register.addEventListener('reset', ({ detail }) => resets.push(detail.size))
  await register.clear()
  await register.set(1)
  await register.set(2)
  await register.compareAndSet(1, 3)
  await register.compareAndSet(2, undefined)
  await register.set(4)
  await register.clear()
  expect(changes).toEqual([
    { type: 'set', value: 1, previous: undefined },
    { type: 'set', value: 2, previous: 1 },
    { type: 'clear', previous: 2 },
    { type: 'set', value: 4, previous: undefined },
    { type: 'clear', previous: 4 },
  ])
  const installation = register.install()
  installation.add(Items.of(Buffer.from('\x009')))
  installation.commit()
  expect([resets, changes.length, register.get()]).toEqual([[1], 5, 9])
})

test('a death is told with the value that died', async () => {
  const register = new ReplicatedRegister<number>()
  register.apply(commands.set(1, { ttlMs: 10 }), at(0))
  const changes = recorded(register)
  register.apply(commands.set(2, { ttlMs: 10 }), at(10))
  expect(changes).toEqual([
    { type: 'expire', previous: 1 },
    { type: 'set', value: 2, previous: undefined },
  ])
  const swept = new Promise((resolve) => register.addEventListener('change', resolve, { once: true }))
  register.advance(START + 20)
  await swept
  expect(changes[2]).toEqual({ type: 'expire', previous: 2 })
})

test('a mistake is refused at the writer, and changes nothing', async () => {
  const register = newRegister()
  await expect(register.set(undefined as never)).rejects.toMatchObject({ name: 'Unencodable' })
  await expect(register.set(1, { ttlMs: 0 })).rejects.toThrow(RangeError)
  await expect(register.compareAndSet(1, undefined, { ttlMs: 5 })).rejects.toThrow(RangeError)
  expect(register.isSet).toBe(false)
  await expect(new ReplicatedRegister().set(1)).rejects.toMatchObject({ name: 'NotAttached' })
})

test.each([
  ['a key', ['\x02a1']],
  ['two of them', ['\x001', '\x002']],
  ['no head', ['']],
])('an item that is none is refused: %s', (_name, items) => {
  const register = new ReplicatedRegister<number>()
  register.apply(commands.set(1))
  const installation = register.install()
  expect(() => {
    for (const item of items) installation.add(Items.of(Buffer.from(item, 'latin1')))
  }).toThrow(expect.objectContaining({ name: 'MalformedItem' }))
  expect(register.get()).toBe(1)
})
