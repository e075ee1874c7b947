import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { zstdCoderOf } from '../../snapshot/encoding.ts'

/** The product's own, but in this thread: when another thread is done, no seed can say. */
export const syncCoder = zstdCoderOf({ compress: zstdCompressSync, decompress: zstdDecompressSync })
