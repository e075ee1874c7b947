/** What is known of one chunk of a fetch. */
export interface MappedChunk {
  /** It is here and verified. */
  readonly isHere: boolean
  /** Who sent it. Undefined for one that is not here, and for one that was here before. */
  readonly peer: string | undefined
  /** It was asked of two providers, because the first was late. */
  readonly isHedged: boolean
}

/** A provider, and how many chunks of it were taken. */
export interface MappedProvider {
  readonly peer: string
  readonly chunks: number
}

/** A chunk's mark: two bytes. The lower 15 bits are 0 (not here), 1 (of this replica's own), or 2 + a provider's place. */
const MISSING = 0
const OWN = 1
const FIRST = 2
const HEDGED = 0x8000
const PROVIDERS_MAX = HEDGED - FIRST
const CAPACITY_FIRST = 64

/**
 * Which chunks of a fetch are here, and where each came from. It outlives the fetch, so it holds none of the bytes: two
 * bytes a chunk.
 */
export class ChunkMap {
  #marks = new Uint16Array(CAPACITY_FIRST)
  #length = 0
  #bytes = 0
  #here = 0
  #hereBytes = 0
  #changes = 0
  readonly #peers: string[] = []
  readonly #counts: number[] = []
  readonly #places = new Map<string, number>()

  /** Chunks that are known of. */
  get length(): number {
    return this.#length
  }

  /** Size of the chunks that are known of, as they are in the snapshot. */
  get bytes(): number {
    return this.#bytes
  }

  /** Chunks that are here and verified. */
  get here(): number {
    return this.#here
  }

  /** Size of the chunks that are here and verified, as they are in the snapshot. */
  get hereBytes(): number {
    return this.#hereBytes
  }

  /** Grows with each change of the map. */
  get changes(): number {
    return this.#changes
  }

  /** The peers of whom a chunk was taken, in the order of the first one. */
  get providers(): MappedProvider[] {
    return this.#peers.map((peer, place) => ({ peer, chunks: this.#counts[place]! }))
  }

  /** Throws `RangeError` for a chunk that is not known of. */
  at(index: number): MappedChunk {
    const place = this.placeAt(index)
    return {
      isHere: place !== undefined,
      peer: place === undefined ? undefined : this.#peers[place],
      isHedged: this.isHedged(index),
    }
  }

  /**
   * As `at`, for whoever looks at each of many chunks: a number alone.
   *
   * @returns undefined for a chunk that is not here, -1 for one that was here before, and else the place of who sent it
   *   in `providers`
   */
  placeAt(index: number): number | undefined {
    const from = this.#mark(index) & ~HEDGED
    if (from === MISSING) return undefined
    return from === OWN ? -1 : from - FIRST
  }

  /** Whether a second provider was asked for a chunk. Throws `RangeError` for one that is not known of. */
  isHedged(index: number): boolean {
    return (this.#mark(index) & HEDGED) !== 0
  }

  /** One more chunk is known of. */
  add(bytes: number): void {
    if (this.#length === this.#marks.length) {
      const grown = new Uint16Array(2 * this.#length)
      grown.set(this.#marks)
      this.#marks = grown
    }
    this.#length++
    this.#bytes += bytes
    this.#changes++
  }

  /**
   * A chunk is here.
   *
   * @param peer undefined: it was here before
   */
  take(index: number, bytes: number, peer: string | undefined): void {
    this.#marks[index] = (this.#mark(index) & HEDGED) | (peer === undefined ? OWN : this.#from(peer))
    this.#here++
    this.#hereBytes += bytes
    this.#changes++
  }

  /** A chunk was asked of a second provider. */
  hedge(index: number): void {
    this.#marks[index] = this.#mark(index) | HEDGED
    this.#changes++
  }

  #from(peer: string): number {
    let place = this.#places.get(peer)
    if (place === undefined) {
      if (this.#peers.length === PROVIDERS_MAX) return OWN
      place = this.#peers.push(peer) - 1
      this.#counts.push(0)
      this.#places.set(peer, place)
    }
    this.#counts[place]!++
    return FIRST + place
  }

  #mark(index: number): number {
    if (!(index >= 0 && index < this.#length)) throw new RangeError(`chunk ${index} is not listed`)
    return this.#marks[index]!
  }
}
