import type { ChunkCoder, EncodedChunk } from './encoding.ts'
import { type ChunkInfo, type Manifest, makeManifest } from './manifest.ts'

/**
 * A snapshot being cut into chunks, and what it was cut into: encoded once, served to any number of joiners, each chunk
 * as soon as it is there. A chunk is encoded when it is first asked for, because each of several providers sends
 * only some of them, and replaces what it was made from.
 */
export class CutSnapshot {
  readonly #coder: ChunkCoder
  readonly #infos: ChunkInfo[] = []
  readonly #chunks: (EncodedChunk | Promise<EncodedChunk>)[] = []
  readonly #encoded = new Set<number>()
  /** A chunk did not get smaller: the others will not either, and are sent as they are. */
  #compressible = true
  #manifest: Manifest | undefined
  #failure: Error | undefined
  #progress = Promise.withResolvers<void>()
  #bytes = 0

  constructor(coder: ChunkCoder) {
    this.#coder = coder
  }

  /** A snapshot that was cut and encoded before, by this replica in an earlier life. */
  static restored(coder: ChunkCoder, manifest: Manifest, chunks: readonly EncodedChunk[]): CutSnapshot {
    const restored = new CutSnapshot(coder)
    for (const [index, chunk] of chunks.entries()) {
      restored.#chunks.push(chunk)
      restored.#encoded.add(index)
      restored.#infos.push(manifest.chunks[index]!)
      restored.#bytes += chunk.bytes.length
    }
    restored.#manifest = manifest
    return restored
  }

  /** The chunks that are there, in order. */
  get infos(): readonly ChunkInfo[] {
    return this.#infos
  }

  /** Once all chunks are there. */
  get manifest(): Manifest | undefined {
    return this.#manifest
  }

  /** The next chunk, decoded. */
  add(bytes: Uint8Array, info: ChunkInfo): void {
    this.#chunks.push({ encoding: 'raw', bytes })
    this.#bytes += bytes.length
    this.#infos.push(info)
    this.#moved()
  }

  /** That was the last chunk. */
  finish(control: Uint8Array): Manifest {
    this.#manifest = makeManifest(control, this.#infos)
    this.#moved()
    return this.#manifest
  }

  /** There will be no more. */
  fail(reason: Error): void {
    this.#failure = reason
    this.#moved()
  }

  /** Resolves when there are more than `count` chunks, or all; rejects when cutting failed before. */
  async beyond(count: number): Promise<void> {
    while (this.#infos.length <= count && this.#manifest === undefined) {
      if (this.#failure !== undefined) throw this.#failure
      await this.#progress.promise
    }
  }

  /** The chunk as it is sent. Throws `RangeError` for one that is not there. */
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
    if (this.#chunks[index] === encoding) {
      this.#chunks[index] = encoded
      this.#bytes += encoded.bytes.length - raw.bytes.length
    }
    if (encoded.encoding === 'raw') this.#compressible = false
    return encoded
  }

  /** Let go of every chunk. Returns how many bytes they took. */
  release(): number {
    const freed = this.#bytes
    this.#chunks.length = 0
    this.#bytes = 0
    return freed
  }

  #moved(): void {
    this.#progress.resolve()
    this.#progress = Promise.withResolvers()
  }
}
