import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { numberCodec } from '../../src/machine/number-codec.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('numberCodec', () => {
  test('orders bytes as numbers, and gives each number back', () => {
    const numbers = fc.oneof(fc.double({ noNaN: true }), fc.integer(), fc.constantFrom(0, -0, 1, -1, 2 ** 53))
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        const [x, y] = [numberCodec.encode(a), numberCodec.encode(b)]
        expect(Math.sign(Buffer.compare(x, y))).toBe(a < b ? -1 : a === b ? 0 : 1)
        expect(numberCodec.decode(x)).toBe(a === 0 ? 0 : a)
      }),
      { numRuns: 2000 },
    )
  })

  test('has these bytes, which are part of stored states', () => {
    const bytes = [Number.NEGATIVE_INFINITY, -1, -0, 0, 1, 5, 1.5, Number.MAX_VALUE, Number.POSITIVE_INFINITY]
    expect(bytes.map((number) => hex(numberCodec.encode(number)))).toEqual([
      '000fffffffffffff',
      '400fffffffffffff',
      '80',
      '80',
      'bff0',
      'c014',
      'bff8',
      'ffefffffffffffff',
      'fff0',
    ])
  })

  test('refuses what is no number, and bytes that it never writes', () => {
    expect(() => numberCodec.encode(Number.NaN)).toThrow(TypeError)
    expect(() => numberCodec.encode('1' as unknown as number)).toThrow(TypeError)
    const never = ['', '8000', 'c01400', '7fffffffffffffff', 'fff8', '0007ffffffffffff', 'c014000000000000ff']
    for (const bytes of never) {
      expect(() => numberCodec.decode(Buffer.from(bytes, 'hex')), bytes).toThrow(RangeError)
    }
  })

  test('reads a number in the midst of other bytes', () => {
    expect(numberCodec.decodeAt?.(Buffer.from('ffc014ff', 'hex'), 1, 3)).toBe(5)
  })
})
