import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { MalformedChunk } from './chunk.ts'

/** How a chunk's bytes travel. */
export type Encoding = 'raw' | 'zstd'

export interface EncodedChunk {
  readonly encoding: Encoding
  readonly bytes: Uint8Array
}

/** Encodes chunks for the way and decodes them, off the event loop. */
export interface ChunkCoder {
  /** Gives `raw` back as it is when encoding would not make it much smaller. */
  encode(raw: Uint8Array): Promise<EncodedChunk>
  /** Throws `MalformedChunk` unless that gives exactly `rawBytes` bytes; never makes more than that. */
  decode(chunk: EncodedChunk, rawBytes: number): Promise<Uint8Array>
}

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** Half the time of level 1, the fastest ordinary one, for a quarter more bytes: JSON still becomes four times smaller. */
const LEVEL = -2
/** An encoded chunk at least this much smaller is worth decoding. */
const WORTHWHILE = 7 / 8
/** Room for half of the data is enough for what is worth sending encoded; room beside the data, so that Node's output buffer is never too small by a frame header. */
const SLACK_BYTES = 64

/** zstd (RFC 8878) by node:zlib, in libuv's threads. */
export const zstdCoder: ChunkCoder = {
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
    if (raw.length !== rawBytes) throw new MalformedChunk(`a chunk has ${raw.length} bytes, not ${rawBytes}`)
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
