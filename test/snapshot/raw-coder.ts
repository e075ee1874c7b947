import { type ChunkCoder, zstdCoder } from '../../src/snapshot/encoding.ts'

/** Sends every chunk as it is. So sizes on the wire are known, and no thread changes the order of events. */
export const rawCoder: ChunkCoder = {
  encode: async (bytes) => ({ encoding: 'raw', bytes }),
  decode: zstdCoder.decode,
}
