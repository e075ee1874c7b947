import type { Items } from '../machine/items.ts'
import type { Snapshot } from '../machine/machine.ts'
import { itemsOf } from './chunk.ts'
import type { ChunkBody, ChunkSink } from './chunk-sink.ts'
import { DistantChunk } from './distant-chunk.ts'
import type { ChunkCoder, EncodedChunk, Encoding } from './encoding.ts'
import { encodeHints, hintsOf, picked, type Runs } from './hints.ts'
import { type ChunkInfo, type Manifest, makeManifest } from './manifest.ts'
import { releaseSnapshot } from './release.ts'
import { Slices } from './slices.ts'

/**
 * The bytes of this many chunks are kept that were put together last. They are sent more than once when
 * several joiners are about as far, and 4 MiB are little beside a state for which that matters.
 */
const JOINED_MAX = 4

/**
 * The encodings of this many distant chunks are kept that were asked for last: as many as a joiner asks for at
 * once, for others that are about as far.
 */
const DISTANT_MAX = 16

/**
 * A snapshot that is being cut, and its chunks so far. Each chunk is encoded once and served to any number of
 * joiners as soon as it is there. It is encoded when it is first asked for, because each of several providers
 * sends only some of them. The encoded bytes then replace the raw ones. A chunk of packed items stays where
 * it is, in the state that was captured, until its encoding replaces it. A distant chunk, of a state that may be
 * larger than memory, is read and encoded anew when it is asked for again after a while.
 */
export class CutSnapshot implements ChunkSink {
  readonly #coder: ChunkCoder
  readonly #infos: ChunkInfo[] = []
  readonly #chunks: (Slices | DistantChunk | EncodedChunk | Promise<EncodedChunk>)[] = []
  /** Chunks that were encoded, or need not be. */
  readonly #asked = new Set<number>()
  readonly #hints = new Map<number, Promise<Uint8Array>>()
  /** Chunks in slices, put together, by number. The last one used is last. */
  readonly #joined = new Map<number, Uint8Array>()
  /** Distant chunks as they are sent, by number. The last one used is last. */
  readonly #recent = new Map<number, Promise<EncodedChunk>>()
  /** What the chunks are cut from, until they need it no more. */
  #source: Snapshot | undefined
  #isReading = false
  #isReleased = false
  /** How many chunks lie in the source. */
  #sliced = 0
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
      restored.#infos.push(manifest.chunks[index]!)
      restored.#keep(index, chunk)
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

  /** Chunks will be added that are read from `source`, which is released when it is needed no more. */
  begin(source: Snapshot): void {
    this.#source = source
    this.#isReading = true
  }

  /**
   * The next chunk, decoded.
   *
   * @param encoded how the same chunk was encoded for an earlier cut
   */
  add(body: ChunkBody, info: ChunkInfo, encoded?: EncodedChunk): void {
    const index = this.#infos.push(info) - 1
    if (encoded !== undefined) this.#keep(index, encoded)
    else if (body instanceof Slices || body instanceof DistantChunk) {
      this.#chunks.push(body)
      this.#sliced++
    } else {
      this.#chunks.push({ encoding: 'raw', bytes: body })
      this.#bytes += body.length
    }
    this.#moved()
  }

  /** Every chunk was added: make the manifest. */
  finish(control: Uint8Array): Manifest {
    this.#manifest = makeManifest(control, this.#infos)
    this.#endReading()
    return this.#manifest
  }

  /** Cutting failed: there will be no more chunks. */
  fail(reason: Error): void {
    this.#failure = reason
    this.#endReading()
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
    if (known instanceof DistantChunk) return await this.#distant(index, known)
    const wasAsked = this.#asked.has(index)
    this.#asked.add(index)
    if (known instanceof Promise) return await known
    const raw = known instanceof Slices ? this.#join(index, known) : known.bytes
    if (!wasAsked && this.#compressible) return await this.#encode(index, known, raw)
    return known instanceof Slices ? { encoding: 'raw', bytes: raw } : known
  }

  /**
   * The chunk as it is sent, in parts. One that does not get smaller is not put together: its parts are views of
   * the state. Throws `RangeError` if it is not there.
   */
  async parts(index: number): Promise<{ encoding: Encoding; parts: readonly Uint8Array[] }> {
    const known = this.#chunks[index]
    if (known instanceof Slices && (!this.#compressible || this.#asked.has(index)))
      return { encoding: 'raw', parts: known.parts() }
    const { encoding, bytes } = await this.chunk(index)
    return { encoding, parts: [bytes] }
  }

  /** Begin to encode a chunk that will soon be asked for. Encoding takes place in other threads. */
  prepare(index: number): void {
    if (!this.#compressible || this.#asked.has(index) || index >= this.#chunks.length) return
    this.chunk(index).catch(() => {
      // It is tried again when the chunk is asked for.
    })
  }

  /** The encoding of a chunk, if it is there and smaller than the chunk. */
  smaller(index: number): EncodedChunk | undefined {
    const chunk = this.#chunks[index]
    return chunk !== undefined && 'encoding' in chunk && chunk.encoding !== 'raw' ? chunk : undefined
  }

  /** The chunk as it was cut. Throws `RangeError` if it is not there. */
  async raw(index: number): Promise<Uint8Array> {
    const known = this.#chunks[index]
    if (known instanceof Slices) return this.#join(index, known)
    const chunk = await (known instanceof DistantChunk ? this.#distant(index, known) : known)
    if (chunk === undefined) throw new RangeError(`there is no chunk ${index}`)
    return await this.#coder.decode(chunk, this.#infos[index]!.bytes)
  }

  /** The hints of a chunk's items, as they are sent. They are made once, on the first request. */
  async hints(index: number): Promise<Uint8Array> {
    const known = this.#hints.get(index)
    if (known !== undefined) return await known
    const making = this.#items(index).then((items) => encodeHints(hintsOf(items)))
    // Hints of a large state are large, too.
    if (this.#chunks[index] instanceof DistantChunk) return await making
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

  /**
   * Let go of every chunk, and of the state that they lie in. Returns how many bytes they took beside that
   * state.
   */
  release(): number {
    const freed = this.#bytes
    this.#chunks.length = 0
    this.#hints.clear()
    this.#joined.clear()
    this.#recent.clear()
    this.#bytes = 0
    this.#isReleased = true
    this.#releaseSource()
    return freed
  }

  async #items(index: number): Promise<Items> {
    return itemsOf(await this.raw(index), this.#infos[index]!.items)
  }

  async #distant(index: number, chunk: DistantChunk): Promise<EncodedChunk> {
    const reading = this.#recent.get(index) ?? this.#readDistant(index, chunk)
    this.#recent.delete(index)
    this.#recent.set(index, reading)
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= DISTANT_MAX) break
      this.#recent.delete(oldest)
    }
    return await reading
  }

  async #readDistant(index: number, chunk: DistantChunk): Promise<EncodedChunk> {
    try {
      const bytes = await chunk.read()
      if (!this.#compressible) return { encoding: 'raw', bytes }
      const encoded = await this.#coder.encode(bytes)
      if (encoded.encoding === 'raw') this.#compressible = false
      return encoded
    } catch (error) {
      this.#recent.delete(index)
      throw error
    }
  }

  async #encode(index: number, known: Slices | EncodedChunk, raw: Uint8Array): Promise<EncodedChunk> {
    const encoding = this.#coder.encode(raw)
    this.#chunks[index] = encoding
    try {
      const encoded = await encoding
      if (encoded.encoding === 'raw') this.#compressible = false
      else if (this.#chunks[index] === encoding) {
        this.#keep(index, encoded)
        this.#letGo(index, known)
      }
      return encoded
    } catch (error) {
      this.#asked.delete(index)
      throw error
    } finally {
      if (this.#chunks[index] === encoding) this.#chunks[index] = known
    }
  }

  #keep(index: number, encoded: EncodedChunk): void {
    this.#chunks[index] = encoded
    this.#asked.add(index)
    this.#bytes += encoded.bytes.length
  }

  /** Its encoding is there. */
  #letGo(index: number, known: Slices | EncodedChunk): void {
    if (known instanceof Slices) {
      this.#joined.delete(index)
      this.#sliced--
      this.#releaseSource()
    } else this.#bytes -= known.bytes.length
  }

  #join(index: number, slices: Slices): Uint8Array {
    const bytes = this.#joined.get(index) ?? slices.join()
    this.#joined.delete(index)
    this.#joined.set(index, bytes)
    for (const oldest of this.#joined.keys()) {
      if (this.#joined.size <= JOINED_MAX) break
      this.#joined.delete(oldest)
    }
    return bytes
  }

  #endReading(): void {
    this.#isReading = false
    this.#releaseSource()
    this.#moved()
  }

  /** Release the source, unless it is needed. If the machine throws here, what was cut is unharmed. */
  #releaseSource(): void {
    if (this.#isReading || (this.#sliced > 0 && !this.#isReleased)) return
    const source = this.#source
    this.#source = undefined
    if (source !== undefined) releaseSnapshot(source)
  }

  #moved(): void {
    this.#progress.resolve()
    this.#progress = Promise.withResolvers()
  }
}
