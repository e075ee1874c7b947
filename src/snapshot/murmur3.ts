/**
 * MurmurHash3_x86_32 with seed 0 (Appleby, 2011, in the public domain). It is quick, not strong: inputs with
 * the same hash are easily made, so a caller must verify what a match leads to.
 */
export function murmur3(bytes: DataView, start: number, end: number): number {
  let hash = 0
  let at = start
  for (; at + 4 <= end; at += 4) {
    hash ^= scrambled(bytes.getUint32(at, true))
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let rest = 0
  for (let last = end - 1; last >= at; last--) rest = (rest << 8) | bytes.getUint8(last)
  return fmix32(hash ^ scrambled(rest) ^ (end - start))
}

function scrambled(word: number): number {
  const product = Math.imul(word, 0xcc9e2d51)
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593)
}

/** MurmurHash3's last step. Every bit of the result depends on every bit of `hash`. */
export function fmix32(hash: number): number {
  let bits = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
