import type { Items } from '../machine/items.ts'
import { itemsOf } from './chunk.ts'
import type { ChunkCoder, EncodedChunk } from './encoding.ts'
import { encodeHints, hintsOf, picked, type Runs } from './hints.ts'
import { type ChunkInfo, type Manifest, makeManifest } from './manifest.ts'

/**
 * A snapshot that is being cut, and its chunks so far. Each chunk is encoded once and served to any number of
 * joiners as soon as it is there. It is encoded when it is first asked for, because each of several providers
 * sends only some of them. The encoded bytes then replace the raw ones.
 */
export class CutSnapshot {
  readonly #coder: ChunkCoder
  readonly #infos: ChunkInfo[] = []
  readonly #chunks: (EncodedChunk | Promise<EncodedChunk>)[] = []
  readonly #encoded = new Set<number>()
  readonly #hints = new Map<number, Promise<Uint8Array>>()
  /** False once a chunk did not get smaller. The others will not either, so they are sent as they are. */
  #compressible = true
  #manifest: Manifest | undefined
  #failure: Error | undefined
  #progress = Promise.withResolvers<void>()
  #bytes = 0

  constructor(coder: ChunkCoder) {
    this.#coder = coder
  }

  /** A snapshot that this replica cut and encoded in an earlier life. */
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

  /** The chunks that are there so far, in order. */
  get infos(): readonly ChunkInfo[] {
    return this.#infos
  }

  /** Undefined until all chunks are there. */
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

  /** Every chunk was added: make the manifest. */
  finish(control: Uint8Array): Manifest {
    this.#manifest = makeManifest(control, this.#infos)
    this.#moved()
    return this.#manifest
  }

  /** Cutting failed: there will be no more chunks. */
  fail(reason: Error): void {
    this.#failure = reason
    this.#moved()
  }

  /** Resolves when there are more than `count` chunks, or all of them. Rejects if cutting failed. */
  async beyond(count: number): Promise<void> {
    while (this.#infos.length <= count && this.#manifest === undefined) {
      if (this.#failure !== undefined) throw this.#failure
      await this.#progress.promise
    }
  }

  /** The chunk as it is sent. Throws `RangeError` if it is not there. */
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

  /** The chunk as it was cut. Throws `RangeError` if it is not there. */
  async raw(index: number): Promise<Uint8Array> {
    const chunk = await this.#chunks[index]
    if (chunk === undefined) throw new RangeError(`there is no chunk ${index}`)
    return await this.#coder.decode(chunk, this.#infos[index]!.bytes)
  }

  /** The hints of a chunk's items, as they are sent. They are made once, on the first request. */
  async hints(index: number): Promise<Uint8Array> {
    const known = this.#hints.get(index)
    if (known !== undefined) return await known
    const making = this.#items(index).then((items) => encodeHints(hintsOf(items)))
    this.#hints.set(index, making)
    try {
      const hints = await making
      if (this.#hints.get(index) === making) this.#bytes += hints.length
      return hints
    } catch (error) {
      this.#hints.delete(index)
      throw error
    }
  }

  /**
   * Some items of a chunk as they are sent, each with its length before it. Throws `RangeError` for items
   * that are not there.
   */
  async pick(index: number, runs: Runs): Promise<EncodedChunk> {
    const bytes = picked(await this.#items(index), runs)
    return this.#compressible ? await this.#coder.encode(bytes) : { encoding: 'raw', bytes }
  }

  /** Let go of every chunk. Returns how many bytes they took. */
  release(): number {
    const freed = this.#bytes
    this.#chunks.length = 0
    this.#hints.clear()
    this.#bytes = 0
    return freed
  }

  async #items(index: number): Promise<Items> {
    return itemsOf(await this.raw(index), this.#infos[index]!.items)
  }

  #moved(): void {
    this.#progress.resolve()
    this.#progress = Promise.withResolvers()
  }
}
