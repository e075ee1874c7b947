import { type ChunkCoder, zstdCoder } from '../../src/snapshot/encoding.ts'

/** Sends every chunk as it is, so that sizes on the way are known, and no thread has a say in the order of things. */
export const rawCoder: ChunkCoder = {
  encode: async (bytes) => ({ encoding: 'raw', bytes }),
  decode: zstdCoder.decode,
}
