import type { DistantChunk } from './distant-chunk.ts'
import type { EncodedChunk } from './encoding.ts'
import type { ChunkInfo } from './manifest.ts'
import type { Slices } from './slices.ts'

/** A chunk as it lies in memory, or where it is read again. */
export type ChunkBody = Uint8Array | Slices | DistantChunk

/** Takes the chunks of a snapshot, one after the other. */
export interface ChunkSink {
  /** Those that it has. */
  readonly infos: readonly ChunkInfo[]
  /**
   * Take the next chunk.
   *
   * @param encoded how the same chunk was encoded for an earlier cut
   */
  add(body: ChunkBody, info: ChunkInfo, encoded?: EncodedChunk): void
  /** The encoding of a chunk, if it is there and smaller than the chunk. */
  smaller?(index: number): EncodedChunk | undefined
}
