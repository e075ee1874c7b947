import { Blake3Hasher } from '@napi-rs/blake-hash'

/** Longer data goes to a native hash: below this a call into it costs more than the loop. */
const LOOP_BYTES_MAX = 512
/** Hashes and their sums are below this. So two of them can be added exactly. */
const MODULUS = 2 ** 52

/**
 * A hash of some bytes, given as text with one character a byte: an integer of 52 bits.
 *
 * @see https://github.com/bryc/code/blob/master/jshash/experimental/cyrb53.js
 */
export function hashOfText(text: string): number {
  if (text.length > LOOP_BYTES_MAX) return nativeHash(Buffer.from(text, 'latin1'))
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const byte = text.charCodeAt(i)
    high = Math.imul(high ^ byte, 2654435761)
    low = Math.imul(low ^ byte, 1597334677)
  }
  return mixed(high, low)
}

/** The same hash of the same bytes. */
export function hashOfBytes(bytes: Uint8Array): number {
  if (bytes.length > LOOP_BYTES_MAX) return nativeHash(bytes)
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    high = Math.imul(high ^ byte, 2654435761)
    low = Math.imul(low ^ byte, 1597334677)
  }
  return mixed(high, low)
}

/** The sum of two hashes. A sum of hashes stands for a set of items, whatever their order. */
export function plus(a: number, b: number): number {
  const sum = a + b
  return sum < MODULUS ? sum : sum - MODULUS
}

/** Takes a hash out of a sum. */
export function minus(a: number, b: number): number {
  const rest = a - b
  return rest < 0 ? rest + MODULUS : rest
}

/** The hash of a list, from that of all items before and that of the next one. */
export function chained(list: number, item: number): number {
  const [listHigh, itemHigh] = [list / 2 ** 32, item / 2 ** 32]
  return mixed(
    Math.imul(listHigh ^ itemHigh, 2654435761) ^ list,
    Math.imul(list ^ item, 1597334677) + listHigh,
  )
}

function mixed(high: number, low: number): number {
  const h = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  const l = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(h ^ (h >>> 13), 3266489909)
  return (l & 0xfffff) * 2 ** 32 + (h >>> 0)
}

function nativeHash(bytes: Uint8Array): number {
  const { buffer, byteOffset, byteLength } = bytes
  const view = Buffer.from(buffer, byteOffset, byteLength)
  const digest = new Blake3Hasher().update(view).digestBuffer()
  return (digest.readUInt32LE(0) & 0xfffff) * 2 ** 32 + digest.readUInt32LE(4)
}
