import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'

// A record is an item as it stands in a chunk: its length as an unsigned LEB128 varint, then its bytes.

/** The bytes of the varint before an item of this length. */
export function lengthBytes(length: number): number {
  let bytes = 1
  for (let rest = length; rest > 0x7f; rest >>>= 7) bytes++
  return bytes
}

/** The bytes of an item's record. */
export function recordBytes(item: Uint8Array): number {
  return lengthBytes(item.length) + item.length
}

/** Write an item's record at `at`. */
export function writeRecord(bytes: Uint8Array, at: number, item: Uint8Array): void {
  let rest = item.length
  let to = at
  while (rest > 0x7f) {
    bytes[to++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[to++] = rest
  bytes.set(item, to)
}

/** Where the item of the record at `at` begins. */
export function itemStart(bytes: Uint8Array, at: number): number {
  let start = at
  while (bytes[start++]! > 0x7f);
  return start
}

// An item of a keyed tree begins with its head, a uvarint: twice the key's length, plus a flag that is the owner's.

/** The head of the item at `at`. */
export function headAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!
  if (first < 0x80) return first
  const second = bytes[at + 1]!
  if (second < 0x80) return (first & 0x7f) | (second << 7)
  return (first & 0x7f) | ((second & 0x7f) << 7) | (bytes[at + 2]! << 14)
}

/** Compare the key of the item at `at` with another: negative if the item's comes first. */
export function compareKey(bytes: Uint8Array, at: number, key: ByteString): number {
  const first = bytes[at]!
  const keyBytes = (first < 0x80 ? first : headAt(bytes, at)) >>> 1
  const start = first < 0x80 ? at + 1 : at + lengthBytes(keyBytes * 2)
  const shared = Math.min(keyBytes, key.length)
  for (let i = 0; i < shared; i++) {
    const order = bytes[start + i]! - key.charCodeAt(i)
    if (order !== 0) return order
  }
  return keyBytes - key.length
}

/** The key of the item at `at`. */
export function keyAt(bytes: Uint8Array, at: number): ByteString {
  const keyBytes = headAt(bytes, at) >>> 1
  const start = at + lengthBytes(keyBytes * 2)
  return byteStringOf(bytes, start, start + keyBytes)
}
