import { sameBytes } from '../snapshot/hash.ts'
import { chunkHash, type Manifest } from '../snapshot/manifest.ts'
import { Malformed } from './errors.ts'

type ChunkState =
  | { readonly status: 'wanted' }
  | { readonly status: 'in-flight'; readonly provider: string }
  | { readonly status: 'verified'; readonly bytes: Uint8Array }

const WANTED: ChunkState = { status: 'wanted' }

/** Every chunk of one manifest, and where it stands: wanted, in flight with whom, verified. */
export class ChunkBook {
  readonly manifest: Manifest
  readonly #states: ChunkState[]
  #verified = 0
  #verifiedBytes = 0

  constructor(manifest: Manifest) {
    this.manifest = manifest
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

  /** InFlight -> Verified. Throws `Malformed` for bytes that are not what the manifest promises. */
  received(index: number, bytes: Uint8Array): void {
    const info = this.manifest.chunks[index]
    if (info === undefined || this.#states[index]?.status !== 'in-flight') {
      throw new Malformed(`chunk ${index} was not asked for`)
    }
    if (bytes.length !== info.bytes || !sameBytes(chunkHash(bytes), info.hash)) {
      throw new Malformed(`chunk ${index} is not what the manifest promises`)
    }
    this.#states[index] = { status: 'verified', bytes }
    this.#verified++
    this.#verifiedBytes += bytes.length
  }

  /** InFlight -> Wanted, for all that this provider still owes. */
  lost(provider: string): void {
    for (const [index, state] of this.#states.entries()) {
      if (state.status === 'in-flight' && state.provider === provider) this.#states[index] = WANTED
    }
  }

  /** All chunks, in order, once complete. */
  chunks(): Uint8Array[] {
    return this.#states.map((state, index) => {
      if (state.status !== 'verified') throw new Error(`chunk ${index} is ${state.status}`)
      return state.bytes
    })
  }
}
