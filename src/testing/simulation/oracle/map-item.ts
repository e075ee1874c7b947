import { type ByteString, byteStringOf } from '../../../machine/byte-string.ts'

/** One key of a map. */
export interface MapItem {
  readonly key: ByteString
  readonly value: ByteString
  /** Undefined for a key that lives until it is deleted. */
  readonly deadlineMs: number | undefined
}

/** The item of a map's snapshot, as `ExpiringItems` documents it: one character a byte. */
export function textOf({ key, value, deadlineMs }: MapItem): string {
  return deadlineMs === undefined
    ? uvarint(key.length * 2) + key + value
    : uvarint(key.length * 2 + 1) + key + uvarint(deadlineMs) + value
}

/** Throws `RangeError` for bytes that are none. */
export function readItem(bytes: Uint8Array): MapItem {
  const text = byteStringOf(bytes)
  const [head, keyStart] = readUvarint(text, 0)
  const keyEnd = keyStart + Math.floor(head / 2)
  const key = text.slice(keyStart, keyEnd) as ByteString
  const [deadlineMs, valueStart] = head % 2 === 1 ? readUvarint(text, keyEnd) : [undefined, keyEnd]
  return { key, value: text.slice(valueStart) as ByteString, deadlineMs }
}

export function uvarint(number: number): string {
  let text = ''
  let left = number
  for (; left >= 128; left = Math.floor(left / 128)) text += String.fromCharCode((left % 128) + 128)
  return text + String.fromCharCode(left)
}

/** The number, and where it ends. */
function readUvarint(text: string, start: number): [number: number, end: number] {
  let number = 0
  let scale = 1
  for (let at = start; at < text.length; at++) {
    const byte = text.charCodeAt(at)
    number += (byte % 128) * scale
    if (byte < 128) return [number, at + 1]
    scale *= 128
  }
  throw new RangeError('an item of a map ends within a number')
}
