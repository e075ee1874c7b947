import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'

/**
 * An item's place in the queue, as bytes whose order is the order of the queue:
 * 1. its priority, in which each zero byte is followed by 0xff;
 * 2. a zero byte, so that a priority comes before all those that it is the beginning of;
 * 3. its number among the items of that priority. 0 to 246 are that byte. Others are 246 plus how many bytes
 *    follow, and the number in as many bytes, big-endian.
 *
 * The first two are the *bracket* of the priority. Its items are together, behind the bracket and before
 * `bracketEnd`.
 */
const ESCAPE = '\xff'
const ESCAPE_BYTE = 0xff
const NUMBER_BYTE_MAX = 246

export function bracketOf(priority: ByteString): ByteString {
  const escaped = priority.includes('\0') ? priority.replaceAll('\0', `\0${ESCAPE}`) : priority
  return `${escaped}\0` as ByteString
}

/** Comes after all places of a bracket, and before those of the next one. It is no place itself. */
export function bracketEnd(bracket: ByteString): ByteString {
  return (bracket + ESCAPE) as ByteString
}

export function placeIn(bracket: ByteString, number: number): ByteString {
  if (number <= NUMBER_BYTE_MAX) return (bracket + String.fromCharCode(number)) as ByteString
  let digits = ''
  for (let left = number; left > 0; left = Math.floor(left / 256))
    digits = String.fromCharCode(left % 256) + digits
  return (bracket + String.fromCharCode(NUMBER_BYTE_MAX + digits.length) + digits) as ByteString
}

/** Where the bracket ends of the place that begins at `start`. */
export function bracketEndAt(bytes: Uint8Array, start: number): number {
  for (let at = start; at < bytes.length; at++) {
    if (bytes[at] !== 0) continue
    if (bytes[at + 1] !== ESCAPE_BYTE) return at + 1
    at++
  }
  return bytes.length
}

/** The number that stands behind a bracket. */
export function numberAt(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start]!
  if (first <= NUMBER_BYTE_MAX) return first
  let number = 0
  for (let at = start + 1; at < end; at++) number = number * 256 + bytes[at]!
  return number
}

/** The priority of the bracket between two offsets: where its bytes are. */
export function priorityAt(bytes: Uint8Array, start: number, end: number): PriorityBytes {
  const last = end - 1
  const zero = bytes.indexOf(0, start)
  if (zero === last) return { bytes, start, end: last }
  const text = byteStringOf(bytes, start, last).replaceAll(`\0${ESCAPE}`, '\0')
  return { bytes: Buffer.from(text, 'latin1'), start: 0, end: text.length }
}

export interface PriorityBytes {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}
