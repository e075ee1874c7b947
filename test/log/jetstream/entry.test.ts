import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EntryDecoder, EntryEncoder } from '../../../src/log/jetstream/entry.ts'
import { encodeName } from '../../../src/log/jetstream/names.ts'

const name = fc.string({ unit: 'binary', maxLength: 60 })
const kind = fc.constantFrom('command' as const, 'control' as const)

test('an entry comes back as it was given, after one of any author', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, name, kind, fc.uint8Array()), { minLength: 1, maxLength: 5 }),
      (entries) => {
        const decoder = new EntryDecoder()
        entries.forEach(([epoch, author, kind, payload], at) => {
          const { id, data } = new EntryEncoder(epoch, author).encode({ kind, payload })
          const entry = decoder.decode(at, 7, data)
          const expected = {
            index: at,
            timestampMs: 7,
            epoch,
            author,
            id,
            kind,
            payload: Buffer.from(payload),
          }
          expect(entry).toEqual(expected)
        })
      },
    ),
  )
})

test('ids of one handle, and of two, are different', () => {
  const encoders = [new EntryEncoder('e', 'a'), new EntryEncoder('e', 'a')]
  const ids = encoders.flatMap((encoder) =>
    Array.from({ length: 50 }, () => encoder.encode({ kind: 'command', payload: new Uint8Array(1) }).id),
  )
  expect(new Set(ids).size).toBe(100)
})

test('any other message is an entry of no epoch', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (data) => {
      const entry = new EntryDecoder().decode(3, 7, data)
      expect(entry.index).toBe(3)
      if (data[0] !== 1) expect(entry).toMatchObject({ epoch: '', id: 'foreign.3' })
    }),
  )
  // Cut off within its head.
  const { data } = new EntryEncoder('epoch', 'author').encode({ kind: 'command', payload: new Uint8Array(0) })
  for (let length = 0; length < data.byteLength; length++) {
    expect(new EntryDecoder().decode(3, 7, data.subarray(0, length)).epoch).toBe('')
  }
})

test('an author of too long a name is refused', () => {
  expect(() => new EntryEncoder('e', 'ü'.repeat(128))).toThrow(RangeError)
})

test('names are encoded as distinct words that streams, buckets and keys may have', () => {
  fc.assert(
    fc.property(name, name, (one, other) => {
      fc.pre(Buffer.from(one).compare(Buffer.from(other)) !== 0)
      expect(encodeName(one)).toMatch(/^[\w-]*$/)
      expect(encodeName(one)).not.toBe(encodeName(other))
    }),
  )
  expect(encodeName('cities-1')).toBe('cities-1')
  expect(encodeName('a_b c')).toBe('a_5fb_20c')
})
