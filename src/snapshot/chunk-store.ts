import type { EncodedChunk } from './encoding.ts'

/**
 * Where a session keeps verified chunks, so that a later one need not fetch them again. A chunk's name is its
 * hash.
 */
export interface ChunkStore {
  /** Whether the chunk with this hash is stored. If it cannot be read after all, it is fetched. */
  has(hash: Uint8Array): boolean
  /** Read a chunk. The session verifies it like a chunk from a peer. */
  read(hash: Uint8Array): Promise<EncodedChunk>
  /** Store a chunk, soon. Nothing depends on it, so the store handles its own failures. */
  keep(hash: Uint8Array, chunk: EncodedChunk): void
  /** The stored bytes did not match the hash. */
  forget(hash: Uint8Array): void
}
