import type { Items } from '../machine/items.ts'
import { murmur3 } from './murmur3.ts'

/**
 * A hint says that a joiner may have an item already. It is 32 bits of a hash of the item's bytes,
 * MurmurHash3_x86_32. Two items in four thousand million share a hint by chance, and an attacker can make
 * more. So a chunk that was built by hints is checked against its own hash, like any other chunk.
 */
export const HINT_BYTES = 4

/** The hint of each item, in order. */
export function hintsOf(items: Items): Uint32Array {
  const { buffer, byteOffset, byteLength } = items.bytes
  const view = new DataView(buffer, byteOffset, byteLength)
  const hints = new Uint32Array(items.length)
  for (let i = 0; i < items.length; i++) hints[i] = murmur3(view, items.start(i), items.end(i))
  return hints
}

/** Hints as they are sent: 4 bytes each, little-endian. */
export function encodeHints(hints: Uint32Array): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(hints.length * HINT_BYTES))
  for (let i = 0; i < hints.length; i++) bytes.setUint32(i * HINT_BYTES, hints[i]!, true)
  return new Uint8Array(bytes.buffer)
}

export function decodeHints(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const hints = new Uint32Array(bytes.length / HINT_BYTES)
  for (let i = 0; i < hints.length; i++) hints[i] = view.getUint32(i * HINT_BYTES, true)
  return hints
}

/** A selection of a chunk's items as run lengths, alternating: items to skip, items to take. */
export type Runs = readonly number[]

/**
 * The items that `runs` select, as they are in the chunk: each with its length before it. Throws `RangeError`
 * if the runs go beyond the chunk.
 */
export function picked(items: Items, runs: Runs): Uint8Array {
  const parts: Uint8Array[] = []
  let at = 0
  for (let n = 0; n < runs.length; n += 2) {
    const from = at + runs[n]!
    at = from + (runs[n + 1] ?? 0)
    if (at > items.length) throw new RangeError(`there is no item ${at - 1} among ${items.length}`)
    parts.push(items.bytes.subarray(recordStart(items, from), recordStart(items, at)))
  }
  return Buffer.concat(parts)
}

/**
 * The offset of item `i` in a whole chunk, where its length begins. For `i` = the number of items, the
 * chunk's end.
 */
export function recordStart(items: Items, i: number): number {
  return i === 0 ? 0 : items.end(i - 1)
}
