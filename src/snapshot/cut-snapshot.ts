import type { ChunkCoder, EncodedChunk } from './encoding.ts'
import type { Manifest } from './manifest.ts'

/**
 * A snapshot cut into chunks: encoded once, served to any number of joiners. A chunk is encoded when it is first asked
 * for, because each of several providers sends only some of them, and replaces what it was made from.
 */
export class CutSnapshot {
  readonly manifest: Manifest
  readonly #coder: ChunkCoder
  readonly #chunks: (EncodedChunk | Promise<EncodedChunk>)[]
  readonly #encoded: Set<number> = new Set()
  /** A chunk did not get smaller: the others will not either, and are sent as they are. */
  #compressible = true

  /** @param chunks their decoded bytes, in the manifest's order */
  constructor(manifest: Manifest, chunks: readonly Uint8Array[], coder: ChunkCoder) {
    this.manifest = manifest
    this.#coder = coder
    this.#chunks = chunks.map((bytes) => ({ encoding: 'raw', bytes }))
  }

  get length(): number {
    return this.#chunks.length
  }

  /** The chunk as it is sent. Throws `RangeError` beyond the last. */
  async chunk(index: number): Promise<EncodedChunk> {
    const known = this.#chunks[index]
    if (known === undefined) throw new RangeError(`there is no chunk ${index}`)
    if (this.#encoded.has(index)) return await known
    this.#encoded.add(index)
    const raw = await known
    if (!this.#compressible) return raw
    const encoding = this.#coder.encode(raw.bytes)
    this.#chunks[index] = encoding
    const encoded = await encoding
    this.#chunks[index] = encoded
    if (encoded.encoding === 'raw') this.#compressible = false
    return encoded
  }
}
