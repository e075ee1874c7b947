import { randomFillSync } from 'node:crypto'
import { chunkHash } from '../../../src/snapshot/manifest.ts'

/** The size of a piece, which is that of an average chunk. */
const PIECE_BYTES = 1024 * 1024

/** As many random bytes as wanted, in pieces. */
export function randomPieces(bytes: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes / PIECE_BYTES) }, (_, n) =>
    randomFillSync(Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, bytes - n * PIECE_BYTES))),
  )
}

/** The pieces, each in new memory. Each is hashed as a chunk is, if that is wanted. */
export function copied(pieces: readonly Uint8Array[], hashing: boolean): Uint8Array[] {
  return pieces.map((piece) => {
    const copy = Buffer.allocUnsafeSlow(piece.length)
    copy.set(piece)
    if (hashing) chunkHash(copy)
    return copy
  })
}
