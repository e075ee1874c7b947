import { fmix32 } from './murmur3.ts'

/**
 * Where chunks end: content-defined chunking with a least and a greatest size, after LBFS (Muthitacharoen et al., SOSP
 * 2001) and FastCDC (Xia et al., USENIX ATC 2016), here between whole items. A boundary depends on one item alone, so two
 * states that share a run of items share the chunks within it, wherever that run lies in each.
 */

/** Bytes of an item that its hash covers: of its beginning, where a key is, and of its end. Multiples of 4. */
const HEAD_BYTES = 48
const TAIL_BYTES = 16

/**
 * Whether an item with this hash ends a chunk that is neither too small nor too large: with a probability of twice its
 * size by the average size, so that half an average chunk lies between boundaries, however large items are.
 *
 * @param hash of the item, 32 bits
 * @param itemBytes its size in the chunk
 */
export function isBoundary(hash: number, itemBytes: number, chunkBytes: number): boolean {
  // hash / 2 ** 32 < 2 * itemBytes / chunkBytes, with 28 bits of the hash: all integers here are exact in a double.
  return (hash >>> 4) * chunkBytes < itemBytes * 2 ** 29
}

/**
 * A hash of an item's length, first 48 and last 16 bytes: the whole of it, where it is no longer than both. Longer items
 * that differ only in between have one hash, so all or none of them are boundaries: chunks of nothing else have the least
 * or the greatest size, and shift with an insertion. It is quick, not strong: who chooses items can bring that about, and
 * no more.
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
