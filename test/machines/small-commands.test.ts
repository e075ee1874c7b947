import { describe, expect, test } from 'vitest'
import type { StateMachine } from '../../src/machine/machine.ts'
import { KEY_BYTES_MAX } from '../../src/machines/limits.ts'
import { ReplicatedOnce } from '../../src/machines/once/replicated-once.ts'
import { ReplicatedRegister } from '../../src/machines/register/replicated-register.ts'
import type { Replicated } from '../../src/machines/replicated.ts'
import { ReplicatedSet } from '../../src/machines/set/replicated-set.ts'
import { itemsNow } from './attached-map.ts'

const set = new ReplicatedSet().commands
const register = new ReplicatedRegister<string>().commands
const once = new ReplicatedOnce<string>().commands
const long = 'long '.repeat(30)

interface Subject {
  readonly machine: () => Replicated<unknown, unknown>
  /** Commands that this machine obeys, by name. */
  readonly valid: Readonly<Record<string, Uint8Array>>
}

const SUBJECTS: Readonly<Record<string, Subject>> = {
  set: {
    machine: () => filled(new ReplicatedSet(), set.addMany(['one', 'two', ''])),
    valid: {
      add: set.add(long),
      'add of an empty element': set.add(''),
      'add with a TTL': set.add('one', { ttlMs: 300 }),
      delete: set.delete('one'),
      addMany: set.addMany(['one', long]),
      'addMany of nothing': set.addMany([]),
      'addMany with a TTL': set.addMany(['one'], { ttlMs: 2 ** 48 }),
      deleteMany: set.deleteMany(['one', long]),
      clear: set.clear(),
      persist: set.persist('one'),
    },
  },
  register: {
    machine: () => filled(new ReplicatedRegister<string>(), register.set('value')),
    valid: {
      set: register.set(long),
      'set with a TTL': register.set(long, { ttlMs: 1 }),
      compareAndSet: register.compareAndSet('value', long),
      'compareAndSet of nothing': register.compareAndSet(undefined, undefined),
      'compareAndSet with a TTL': register.compareAndSet(undefined, 'value', { ttlMs: 2 ** 48 }),
      clear: register.clear(),
      persist: register.persist(),
    },
  },
  once: { machine: () => new ReplicatedOnce<string>(), valid: { set: once.set(long) } },
}

function filled<M extends StateMachine>(machine: M, command: Uint8Array): M {
  machine.apply(command, { position: { epoch: 'e', index: 1 }, timeMs: 0, signature: machine.signature })
  return machine
}

describe.each(Object.entries(SUBJECTS))('%s', (_name, { machine: fresh, valid }) => {
  const expectMalformed = (command: Uint8Array) => {
    const machine = fresh()
    const before = itemsNow(machine)
    let heard = 0
    machine.addEventListener('change', () => heard++)
    expect(() => machine.apply(command)).toThrow(expect.objectContaining({ name: 'MalformedCommand' }))
    expect([itemsNow(machine), heard]).toEqual([before, 0])
  }

  test.each(Object.entries(valid))('%s is applied from any place in a larger buffer', (_command, bytes) => {
    const larger = new Uint8Array(bytes.length + 20).fill(0xee)
    larger.set(bytes, 7)
    const [one, other] = [fresh(), fresh()]
    const view = larger.subarray(7, 7 + bytes.length)
    expect(one.apply(view)).toEqual(other.apply(bytes))
    // The buffer is used again.
    larger.fill(0)
    expect(itemsNow(one)).toEqual(itemsNow(other))
  })

  test.each(Object.entries(valid))(
    '%s, cut short or with a byte behind it, is malformed',
    (_command, bytes) => {
      for (let length = 0; length < bytes.length; length++) expectMalformed(bytes.subarray(0, length))
      for (const byte of [0, 1, 0xff]) expectMalformed(Uint8Array.of(...bytes, byte))
    },
  )

  test('other operations are malformed, and a TTL on those that have none', () => {
    const known = new Set(Object.values(valid).map(([op]) => op))
    for (const rest of [[], [1], [0, 0], [1, 0x61], [1, 1, 0x61]])
      for (let op = 0; op < 256; op++) if (!known.has(op)) expectMalformed(Uint8Array.of(op, ...rest))
  })

  test('a TTL out of bounds is malformed', () => {
    for (const [op, ...rest] of Object.values(valid)) {
      if (op! >= 0x80) continue
      expectMalformed(Uint8Array.of(op! | 0x80, 0, ...rest))
      expectMalformed(Uint8Array.of(op! | 0x80, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, ...rest))
    }
  })

  test('a length or count far beyond the bytes, or not in its shortest form, is malformed', () => {
    for (const [op] of Object.values(valid)) {
      if (op! >= 0x80) continue
      expectMalformed(Uint8Array.of(op!, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0x61))
      expectMalformed(Uint8Array.of(op!, 0x81, 0x00, 0x61))
    }
  })
})

test('an element beyond the limit is malformed in the log too', () => {
  const element = Buffer.alloc(KEY_BYTES_MAX + 1, 'x')
  const machine = new ReplicatedSet()
  const command = (length: readonly number[], bytes: Uint8Array) =>
    machine.apply(Buffer.concat([Uint8Array.of(1, ...length), bytes]))
  expect(() => command([0x81, 0x80, 0x04], element)).toThrow(
    expect.objectContaining({ name: 'MalformedCommand' }),
  )
  expect(command([0x80, 0x80, 0x04], element.subarray(1))).toBe(true)
})
