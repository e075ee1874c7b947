import type { EncodedChunk } from './encoding.ts'

/** Where a session keeps verified chunks, so that another one need not fetch them again. Chunks are named by their hash. */
export interface ChunkStore {
  has(hash: Uint8Array): boolean
  /** What is read is checked like what peers send. */
  read(hash: Uint8Array): Promise<EncodedChunk>
  /** Take a chunk in, soon. Nothing depends on it: failures are the store's own affair. */
  keep(hash: Uint8Array, chunk: EncodedChunk): void
  /** What was read was not what its hash says. */
  forget(hash: Uint8Array): void
}
