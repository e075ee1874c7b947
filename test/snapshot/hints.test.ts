import { expect, test } from 'vitest'
import { Items } from '../../src/machine/items.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { decodeHints, encodeHints, hintsOf, picked } from '../../src/snapshot/hints.ts'

const items = (...texts: string[]) => Items.of(...texts.map((text) => Buffer.from(text)))

// These values are from the reference implementation, with seed 0.
test.each([
  ['', 0x00000000],
  ['hello', 0x248bfa47],
  ['hello, world', 0x149bbb7f],
  ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
])('the hint of %j is MurmurHash3_x86_32', (text, hint) => {
  expect([...hintsOf(items(text))]).toEqual([hint])
})

test('a hint covers all of an item, and nothing beside it', () => {
  const [one] = hintsOf(items('x'.repeat(100)))
  expect(hintsOf(items('before', 'x'.repeat(100), 'after'))[1]).toBe(one)
  for (let n = 0; n < 100; n++) {
    const changed = `${'x'.repeat(n)}y${'x'.repeat(99 - n)}`
    expect(hintsOf(items(changed))[0], `byte ${n}`).not.toBe(one)
  }
})

test('hints are read as they were written, at any offset', () => {
  const hints = Uint32Array.of(0, 1, 0x80000000, 0xffffffff)
  const bytes = encodeHints(hints)
  expect(bytes).toHaveLength(16)
  const shifted = new Uint8Array(17)
  shifted.set(bytes, 1)
  expect(decodeHints(shifted.subarray(1))).toEqual(hints)
})

/** A chunk of the items a, bb, ccc and dddd. */
const CHUNK = itemsOf(Buffer.from('\x01a\x02bb\x03ccc\x04dddd'), 4)

test.each([
  ['none', [], ''],
  ['all', [0, 4], '\x01a\x02bb\x03ccc\x04dddd'],
  ['the first', [0, 1], '\x01a'],
  ['the last', [3, 1], '\x04dddd'],
  ['two apart', [1, 1, 1, 1], '\x02bb\x04dddd'],
  ['some, and the rest passed over', [1, 1, 2], '\x02bb'],
])('%s of a chunk’s items, as they lie in it', (_what, runs, bytes) => {
  expect(Buffer.from(picked(CHUNK, runs)).toString()).toBe(bytes)
})

test.each([[[0, 5]], [[4, 1]], [[5]], [[2, 1, 2]], [[0, 0xffffffff]]])(
  'items %j are beyond the last',
  (runs) => {
    expect(() => picked(CHUNK, runs)).toThrow(RangeError)
  },
)
