import { promisify } from 'node:util'
import { constants, type ZstdOptions, zstdCompress, zstdDecompress } from 'node:zlib'
import { MalformedChunk } from './errors.ts'

/** How a chunk's bytes are encoded on the wire. */
export type Encoding = 'raw' | 'zstd'

/** A chunk's bytes, and how they are encoded. */
export interface EncodedChunk {
  readonly encoding: Encoding
  readonly bytes: Uint8Array
}

/** Encodes chunks for the wire and decodes them, off the event loop. */
export interface ChunkCoder {
  /** Returns `raw` unchanged if encoding would not make it much smaller. */
  encode(raw: Uint8Array): Promise<EncodedChunk>
  /**
   * Throws `MalformedChunk` unless the result has exactly `rawBytes` bytes. It never produces more than that.
   */
  decode(chunk: EncodedChunk, rawBytes: number): Promise<Uint8Array>
}

/**
 * Takes half the time of level 1, the fastest ordinary level, for a quarter more bytes. JSON still gets four
 * times smaller.
 */
const LEVEL = -2
/**
 * An encoded chunk is sent if it has at most this part of the raw size. Otherwise decoding is not worth it.
 */
const WORTHWHILE = 7 / 8
/**
 * Added to zlib's output buffer, so that a frame header never makes the buffer too small. For encoding, the
 * buffer is half the raw size: that suffices for chunks that compress well.
 */
const SLACK_BYTES = 64

/** zstd as a pair of functions. `node:zlib` has two: one for its threads, and one for this thread. */
export interface Zstd {
  compress(raw: Uint8Array, options: ZstdOptions): Uint8Array | Promise<Uint8Array>
  decompress(bytes: Uint8Array, options: ZstdOptions): Uint8Array | Promise<Uint8Array>
}

/** Encodes with zstd (RFC 8878). */
export function zstdCoderOf({ compress, decompress }: Zstd): ChunkCoder {
  return {
    async encode(raw) {
      const bytes = await compress(raw, {
        chunkSize: Math.ceil(raw.length / 2) + SLACK_BYTES,
        params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
      })
      return bytes.length <= raw.length * WORTHWHILE
        ? { encoding: 'zstd', bytes }
        : { encoding: 'raw', bytes: raw }
    },

    async decode({ encoding, bytes }, rawBytes) {
      const raw = encoding === 'raw' ? bytes : await inflate(bytes, rawBytes)
      if (raw.length !== rawBytes)
        throw new MalformedChunk(`a chunk has ${raw.length} bytes, not ${rawBytes}`)
      return raw
    },
  }

  async function inflate(bytes: Uint8Array, rawBytes: number): Promise<Uint8Array> {
    try {
      return await decompress(bytes, { chunkSize: rawBytes + SLACK_BYTES, maxOutputLength: rawBytes })
    } catch (cause) {
      throw new MalformedChunk('a chunk is not what zstd makes of its size', { cause })
    }
  }
}

/** zstd by node:zlib, in libuv's threads. */
export const zstdCoder = zstdCoderOf({
  compress: promisify(zstdCompress),
  decompress: promisify(zstdDecompress),
})
