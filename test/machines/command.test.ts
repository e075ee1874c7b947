import { expect, test } from 'vitest'
import { KEY_BYTES_MAX } from '../../src/machines/limits.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { itemsNow } from './attached-map.ts'

const { commands } = new ReplicatedMap<string, string>()
const long = 'long '.repeat(30)
const valid: Record<string, Uint8Array> = {
  set: commands.set('key', long),
  'set of an empty key': commands.set('', ''),
  delete: commands.delete('key'),
  setMany: commands.setMany([
    ['one', 'first'],
    ['two', long],
  ]),
  'setMany of nothing': commands.setMany([]),
  deleteMany: commands.deleteMany(['one', 'two', long]),
  compareAndSet: commands.compareAndSet('key', 'value', long),
  'compareAndSet of nothing': commands.compareAndSet('key', undefined, undefined),
  clear: commands.clear(),
  persist: commands.persist('key'),
  'set with a TTL': commands.set('key', 'value', { ttlMs: 300 }),
  'setMany with a TTL': commands.setMany([['one', 'first']], { ttlMs: 2 ** 48 }),
  'compareAndSet with a TTL': commands.compareAndSet('key', undefined, long, { ttlMs: 1 }),
}

function expectMalformed(command: Uint8Array): void {
  const map = new ReplicatedMap<string, string>()
  map.apply(
    commands.setMany([
      ['key', 'value'],
      ['one', 'first'],
      ['two', 'second'],
    ]),
  )
  const before = itemsNow(map)
  let heard = 0
  map.addEventListener('change', () => heard++)
  expect(() => map.apply(command)).toThrow(expect.objectContaining({ name: 'MalformedCommand' }))
  expect(itemsNow(map)).toEqual(before)
  expect(heard).toBe(0)
}

test.each(Object.entries(valid))('%s is applied from any place in a larger buffer', (_name, command) => {
  const map = new ReplicatedMap<string, string>()
  const larger = new Uint8Array(command.length + 20).fill(0xee)
  larger.set(command, 7)
  expect(() => map.apply(larger.subarray(7, 7 + command.length))).not.toThrow()
})

test.each(Object.entries(valid))(
  '%s, cut short anywhere, is malformed and changes nothing',
  (_name, command) => {
    for (let length = 0; length < command.length; length++) expectMalformed(command.subarray(0, length))
  },
)

test.each(Object.entries(valid))(
  '%s with a byte behind it is malformed and changes nothing',
  (_name, command) => {
    for (const byte of [0, 1, 0xff]) expectMalformed(Uint8Array.of(...command, byte))
  },
)

test('operations that a map does not have are malformed', () => {
  const known = new Set(Object.values(valid).map((command) => command[0]))
  for (let op = 0; op < 256; op++) {
    if (!known.has(op)) expectMalformed(Uint8Array.of(op, ...valid.delete!.subarray(1)))
  }
})

test('a TTL out of bounds, or on an operation without one, is malformed', () => {
  const set = commands.set('key', 'value')
  const withTtl = (op: number, ttl: number[], rest: Uint8Array) =>
    Uint8Array.of(op | 0x80, ...ttl, ...rest.subarray(1))
  expectMalformed(withTtl(1, [0], set))
  expectMalformed(withTtl(1, [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40], set))
  expectMalformed(withTtl(5, [1], commands.compareAndSet('key', 'value', undefined)))
  for (const name of ['delete', 'deleteMany', 'clear', 'persist']) {
    const plain = valid[name]!
    expectMalformed(withTtl(plain[0]!, [1], plain))
  }
})

test('a length that is not in its shortest form, or has no end, is malformed', () => {
  expectMalformed(Uint8Array.of(2, 0x81, 0x00, 0x61))
  expectMalformed(Uint8Array.of(2, 0x80, 0x80, 0x00))
  expectMalformed(Uint8Array.of(2, ...Buffer.alloc(200, 0x80), 0x01))
  expectMalformed(Uint8Array.of(2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))
})

test('lengths and counts far beyond the bytes are malformed at once', () => {
  const huge = [0xff, 0xff, 0xff, 0xff, 0x0f]
  expectMalformed(Uint8Array.of(1, 1, 0x61, ...huge))
  expectMalformed(Uint8Array.of(3, ...huge, 1, 0x61, 1, 0x61))
  expectMalformed(Uint8Array.of(4, ...huge, 1, 0x61))
})

test('a key beyond the limit is malformed in the log too', () => {
  const key = Buffer.alloc(KEY_BYTES_MAX + 1, 'k')
  expectMalformed(Buffer.concat([Uint8Array.of(2, 0x81, 0x80, 0x04), key]))
  const longest = new ReplicatedMap<string, string>()
  expect(longest.apply(Buffer.concat([Uint8Array.of(2, 0x80, 0x80, 0x04), key.subarray(1)]))).toBe(false)
})

// The log outlives the program: these bytes are a format.
test('commands have the bytes they always had', () => {
  const hex = (command: Uint8Array) => Buffer.from(command).toString('hex')
  expect(hex(commands.set('k', 'v'))).toBe('01016b03227622')
  expect(hex(commands.delete('k'))).toBe('02016b')
  expect(hex(commands.setMany([['k', 'v']]))).toBe('0301016b03227622')
  expect(hex(commands.deleteMany(['k', 'l']))).toBe('0402016b016c')
  expect(hex(commands.compareAndSet('k', undefined, 'v'))).toBe('05016b0004227622')
  expect(hex(commands.clear())).toBe('06')
})
