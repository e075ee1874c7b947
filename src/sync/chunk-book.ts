import { MalformedChunk } from '../snapshot/chunk.ts'
import type { ChunkCoder, EncodedChunk } from '../snapshot/encoding.ts'
import { sameBytes } from '../snapshot/hash.ts'
import { chunkHash, type Manifest } from '../snapshot/manifest.ts'
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

/** Every chunk of one manifest, and where it stands. */
export class ChunkBook {
  readonly manifest: Manifest
  readonly #coder: ChunkCoder
  readonly #states: ChunkState[]
  #verified = 0
  #verifiedBytes = 0
  #progress = Promise.withResolvers<void>()

  constructor(manifest: Manifest, coder: ChunkCoder) {
    this.manifest = manifest
    this.#coder = coder
    this.#states = manifest.chunks.map(() => WANTED)
  }

  get complete(): boolean {
    return this.#verified === this.#states.length
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
    const info = this.manifest.chunks[index]
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
    this.#progress.resolve()
    this.#progress = Promise.withResolvers()
  }

  /** InFlight -> Wanted, for all that this provider still owes. */
  lost(provider: string): void {
    for (const [index, state] of this.#states.entries()) {
      if (state.status === 'in-flight' && state.provider === provider) this.#states[index] = WANTED
    }
  }

  /** Verified -> Taken: the chunks in order, each as soon as it and all before it are there. */
  async *inOrder(): AsyncGenerator<{ bytes: Uint8Array; items: number }> {
    for (const [index, { items }] of this.manifest.chunks.entries()) {
      let state = this.#states[index]
      while (state?.status !== 'verified') {
        await this.#progress.promise
        state = this.#states[index]
      }
      this.#states[index] = TAKEN
      yield { bytes: state.bytes, items }
    }
  }
}
