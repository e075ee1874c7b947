import type { ChunkStore } from '../../src/snapshot/chunk-store.ts'
import type { EncodedChunk } from '../../src/snapshot/encoding.ts'

const nameOf = (hash: Uint8Array) => Buffer.from(hash).toString('hex')

/** Verified chunks, in memory. */
export class MemoryChunks implements ChunkStore {
  readonly chunks = new Map<string, EncodedChunk>()
  /** The most that were being read at once. */
  readingMax = 0
  #reading = 0

  has(hash: Uint8Array): boolean {
    return this.chunks.has(nameOf(hash))
  }

  async read(hash: Uint8Array): Promise<EncodedChunk> {
    this.readingMax = Math.max(this.readingMax, ++this.#reading)
    await Promise.resolve()
    this.#reading--
    return this.chunks.get(nameOf(hash))!
  }

  keep(hash: Uint8Array, chunk: EncodedChunk): void {
    this.chunks.set(nameOf(hash), chunk)
  }

  forget(hash: Uint8Array): void {
    this.chunks.delete(nameOf(hash))
  }
}
