import { fmix32 } from './murmur3.ts'

/**
 * Where chunks end: content-defined chunking with a least and a greatest size, after LBFS (Muthitacharoen et
 * al., SOSP 2001) and FastCDC (Xia et al., USENIX ATC 2016), but between whole items. A boundary depends on
 * one item alone. So two states that share a run of items share the chunks within it, wherever the run is in
 * each state.
 */

/** Bytes that the hash covers at an item's beginning, where a map's key is. A multiple of 4. */
const HEAD_BYTES = 48
/** Bytes that the hash covers at an item's end. A multiple of 4. */
const TAIL_BYTES = 16

/**
 * Whether an item with this hash may end a chunk. The probability is twice the item's size divided by the
 * average chunk size. So boundaries are half an average chunk apart, for items of any size.
 *
 * @param hash of the item, 32 bits
 * @param itemBytes the item's size in the chunk
 */
export function isBoundary(hash: number, itemBytes: number, chunkBytes: number): boolean {
  // hash / 2 ** 32 < 2 * itemBytes / chunkBytes, with 28 bits of the hash: all integers here are exact in a
  // double.
  return (hash >>> 4) * chunkBytes < itemBytes * 2 ** 29
}

/**
 * A hash of an item's length, its first 48 bytes and its last 16. An item of up to 64 bytes is hashed whole.
 * Longer items that differ only in between have the same hash, so either all of them are boundaries or none
 * is. Chunks of such items alone have the least or the greatest size, and shift with an insertion. The hash
 * is quick, not strong: an attacker who chooses the items can bring that about, and nothing else.
 */
export function itemHash(bytes: DataView, start: number, end: number): number {
  let hash = end - start
  let at = start
  for (; at + 4 <= end; at += 4) {
    if (at === start + HEAD_BYTES) at = Math.max(at, end - TAIL_BYTES)
    hash = mixed(hash, bytes.getUint32(at, true))
  }
  for (; at < end; at++) hash = mixed(hash, bytes.getUint8(at))
  return fmix32(hash)
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0xcc9e2d51)
  return (product << 15) | (product >>> 17)
}
