import type { Codec } from './codec.ts'

const FLOAT_BYTES = 8
const SIGN_BIT = 0x80

const scratch = new Uint8Array(FLOAT_BYTES)
const view = new DataView(scratch.buffer)

/**
 * Numbers in numeric order: the order of their bytes is the order of the numbers, from `-Infinity` to `Infinity`.
 * -0 is written as 0. NaN is refused, because it has no place in that order.
 *
 * The bytes are those of the IEEE 754 double, big-endian. Those of a positive number have the sign bit set. Those of
 * a negative one have all bits inverted. Zero bytes at the end are left out: small integers take one to four bytes.
 *
 * @example
 * ```ts
 * const temperatures = new ReplicatedMap<number, string>({ keys: numberCodec })
 * temperatures.range({ gte: -40, lt: 0 })
 * ```
 */
export const numberCodec: Codec<number> = {
  name: 'number',
  encode(value) {
    if (typeof value !== 'number') throw new TypeError(`a ${typeof value} is no number; give a codec for it`)
    if (Number.isNaN(value)) throw new TypeError('NaN has no place in the order of numbers')
    view.setFloat64(0, value === 0 ? 0 : value)
    turn((scratch[0]! & SIGN_BIT) !== 0)
    let length = FLOAT_BYTES
    while (scratch[length - 1] === 0) length--
    return scratch.slice(0, length)
  },
  decode: (bytes) => numberAt(bytes, 0, bytes.length),
  decodeAt: numberAt,
}

function numberAt(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  if (length < 1 || length > FLOAT_BYTES) throw new RangeError(`${length} bytes are no number`)
  if (bytes[end - 1] === 0) throw new RangeError('a number ends with a zero byte')
  for (let i = 0; i < FLOAT_BYTES; i++) scratch[i] = i < length ? bytes[start + i]! : 0
  turn((scratch[0]! & SIGN_BIT) === 0)
  const value = view.getFloat64(0)
  if (Number.isNaN(value) || Object.is(value, -0)) throw new RangeError(`${value} is never written`)
  return value
}

/** Turn the order of the bits into that of the bytes, or back: of a negative number all bits, else the sign. */
function turn(isNegative: boolean): void {
  if (isNegative) for (let i = 0; i < FLOAT_BYTES; i++) scratch[i] = scratch[i]! ^ 0xff
  else scratch[0] = scratch[0]! ^ SIGN_BIT
}
