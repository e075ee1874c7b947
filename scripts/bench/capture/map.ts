import { randomBytes } from 'node:crypto'
import { bytesCodec, ReplicatedMap } from '../../../src/index.ts'

const VALUE_BYTES = 100
const KEY_DIGITS = 8
/** Random bytes, from which values are cut out. */
const RANDOM = randomBytes(1024 * 1024)

export type BytesMap = ReplicatedMap<string, Uint8Array>

export function bytesMap(): BytesMap {
  return new ReplicatedMap({ values: bytesCodec })
}

/** The key of an item, numbered from 0. */
export function keyOf(number: number): string {
  return `key-${String(number).padStart(KEY_DIGITS, '0')}`
}

export function randomKey(items: number): string {
  return keyOf(Math.floor(Math.random() * items))
}

/** Bytes that cannot be compressed. They are a view: a caller that keeps them must copy them. */
export function randomValue(): Uint8Array {
  const at = Math.floor(Math.random() * (RANDOM.length - VALUE_BYTES))
  return RANDOM.subarray(at, at + VALUE_BYTES)
}
