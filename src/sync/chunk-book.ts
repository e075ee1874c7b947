import { MalformedChunk } from '../snapshot/chunk.ts'
import type { ChunkCoder, EncodedChunk } from '../snapshot/encoding.ts'
import { sameBytes } from '../snapshot/hash.ts'
import { type ChunkInfo, chunkHash, type Manifest } from '../snapshot/manifest.ts'
import { Malformed } from './errors.ts'

type ChunkState =
  | { readonly status: 'wanted' }
  | { readonly status: 'in-flight'; readonly provider: string }
  /** Here, being decoded and checked. */
  | { readonly status: 'received'; readonly provider: string }
  | { readonly status: 'verified'; readonly bytes: Uint8Array }
  /** Given to whoever builds the state; its bytes are not kept. */
  | { readonly status: 'taken' }

const WANTED: ChunkState = { status: 'wanted' }
const TAKEN: ChunkState = { status: 'taken' }

/** Every chunk of one manifest, as far as it is known, and where each stands. */
export class ChunkBook {
  readonly #coder: ChunkCoder
  readonly #infos: ChunkInfo[] = []
  readonly #states: ChunkState[] = []
  #manifest: Manifest | undefined
  #bytes = 0
  #verified = 0
  #verifiedBytes = 0
  #progress = Promise.withResolvers<void>()

  constructor(coder: ChunkCoder) {
    this.#coder = coder
  }

  /** Once it is known which chunk is the last. */
  get manifest(): Manifest | undefined {
    return this.#manifest
  }

  /** Chunks that are known of. */
  get length(): number {
    return this.#infos.length
  }

  /** Size of the chunks that are known of. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * A provider lists the chunks from `from` on. False, and nothing is taken over, where they contradict what is known.
   */
  list(from: number, infos: readonly ChunkInfo[]): boolean {
    const contradicts = infos.some((info, n) => {
      const known = this.#infos[from + n]
      return known === undefined ? this.#manifest !== undefined : !sameInfo(known, info)
    })
    if (contradicts || from > this.#infos.length) return false
    for (const info of infos.slice(this.#infos.length - from)) {
      this.#infos.push(info)
      this.#states.push(WANTED)
      this.#bytes += info.bytes
    }
    this.#moved()
    return true
  }

  /** That is all of them, says a provider whose list was taken over. False where the book knows better. */
  finish(manifest: Manifest): boolean {
    if (this.#manifest !== undefined) return sameBytes(this.#manifest.root, manifest.root)
    if (manifest.chunks.length !== this.#infos.length) return false
    this.#manifest = manifest
    this.#moved()
    return true
  }

  /** What is known of a chunk that was listed. */
  info(index: number): ChunkInfo {
    const info = this.#infos[index]
    if (info === undefined) throw new RangeError(`chunk ${index} is not listed`)
    return info
  }

  get complete(): boolean {
    return this.#manifest !== undefined && this.#verified === this.#infos.length
  }

  get verified(): number {
    return this.#verified
  }

  get verifiedBytes(): number {
    return this.#verifiedBytes
  }

  /** Indexes of the chunks that nobody was asked for, ascending. */
  wanted(): number[] {
    const indexes: number[] = []
    for (const [index, state] of this.#states.entries()) if (state.status === 'wanted') indexes.push(index)
    return indexes
  }

  inFlightWith(provider: string): number {
    let count = 0
    for (const state of this.#states) if (state.status === 'in-flight' && state.provider === provider) count++
    return count
  }

  /** Wanted -> InFlight */
  asked(first: number, count: number, provider: string): void {
    for (let index = first; index < first + count; index++) {
      if (this.#states[index]?.status !== 'wanted') throw new Error(`chunk ${index} is not wanted`)
      this.#states[index] = { status: 'in-flight', provider }
    }
  }

  /**
   * InFlight -> Received -> Verified. Rejects with `Malformed` for bytes that were not asked for, or are not what the
   * manifest promises: the chunk is wanted again then.
   */
  async received(index: number, chunk: EncodedChunk, provider: string): Promise<void> {
    const info = this.#infos[index]
    const before = this.#states[index]
    if (info === undefined || before?.status !== 'in-flight' || before.provider !== provider) {
      throw new Malformed(`chunk ${index} was not asked for`)
    }
    const received: ChunkState = { status: 'received', provider }
    this.#states[index] = received
    try {
      const bytes = await this.#coder.decode(chunk, info.bytes)
      if (!sameBytes(chunkHash(bytes), info.hash)) throw new MalformedChunk('its hash is another')
      this.#states[index] = { status: 'verified', bytes }
    } catch (cause) {
      this.#states[index] = WANTED
      throw new Malformed(`chunk ${index} is not what the manifest promises`, { cause })
    }
    this.#verified++
    this.#verifiedBytes += info.bytes
    this.#moved()
  }

  /** InFlight -> Wanted, for all that this provider still owes, or one of them. */
  lost(provider: string, only?: number): void {
    for (const [index, state] of this.#states.entries()) {
      if (only !== undefined && only !== index) continue
      if (state.status === 'in-flight' && state.provider === provider) this.#states[index] = WANTED
    }
  }

  /** Verified -> Taken: the chunks in order, each as soon as it and all before it are there. */
  async *inOrder(): AsyncGenerator<{ bytes: Uint8Array; items: number }> {
    for (let index = 0; this.#manifest === undefined || index < this.#infos.length; ) {
      const state = this.#states[index]
      if (state?.status !== 'verified') {
        await this.#progress.promise
        continue
      }
      this.#states[index] = TAKEN
      yield { bytes: state.bytes, items: this.#infos[index]!.items }
      index++
    }
  }

  #moved(): void {
    this.#progress.resolve()
    this.#progress = Promise.withResolvers()
  }
}

function sameInfo(a: ChunkInfo, b: ChunkInfo): boolean {
  return a.items === b.items && a.bytes === b.bytes && sameBytes(a.hash, b.hash)
}
