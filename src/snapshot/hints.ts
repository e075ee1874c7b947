import type { Items } from '../machine/items.ts'
import { murmur3 } from './murmur3.ts'

/**
 * A hint says that an item may be one that a joiner has already: 32 bits of a hash of its bytes, MurmurHash3_x86_32. Two
 * items in four thousand million share one by chance, and whoever likes can make more of them: a chunk that is put together
 * by hints is held against its own hash like any other.
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

/** Hints on their way: 4 bytes each, the low one first. */
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

/** Which items of a chunk are meant: alternately how many are passed over and how many are. */
export type Runs = readonly number[]

/**
 * The items of a chunk that `runs` mean, as they lie in it: each with its length before it. Throws `RangeError` for runs that
 * go beyond the chunk.
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

/** Where item `i` of a whole chunk begins, its length included. The one after the last begins at the chunk's end. */
export function recordStart(items: Items, i: number): number {
  return i === 0 ? 0 : items.end(i - 1)
}
