import { sameBytes } from '../../../bytes.ts'
import type { ChunkCoder, EncodedChunk } from '../../../snapshot/encoding.ts'
import { MalformedChunk } from '../../../snapshot/errors.ts'
import { type ChunkInfo, chunkHash, type Manifest } from '../../../snapshot/manifest.ts'
import { READ_AHEAD_BYTES } from '../../limits.ts'
import { Failed } from '../../wire/errors.ts'
import { ProvenFault } from '../../wire/proven-fault.ts'
import { ChunkMap } from './chunk-map.ts'
import type { LateChunk } from './scheduler.ts'

type ChunkState =
  /** Nobody owes it. */
  | { readonly status: 'wanted' }
  /** One provider owes it, or two. */
  | { readonly status: 'in-flight' }
  /** Here, being decoded and checked. */
  | { readonly status: 'received' }
  | { readonly status: 'verified'; readonly bytes: Uint8Array }
  /** Given to the builder of the state; its bytes are not kept. */
  | { readonly status: 'taken' }

const WANTED: ChunkState = { status: 'wanted' }
const IN_FLIGHT: ChunkState = { status: 'in-flight' }
const RECEIVED: ChunkState = { status: 'received' }
const TAKEN: ChunkState = { status: 'taken' }

/**
 * How far a fetch runs ahead of the oldest chunk that is not in the new state yet: full windows of four
 * providers.
 */
export const READ_AHEAD_CHUNKS = 64

/** The store is one more provider: it has what was here before. */
export const STORE = 'store'

/** How far the chunks that are asked for may run ahead of the first that was not taken. */
export interface ReadAhead {
  readonly chunks: number
  /** Decoded. A single chunk may be larger. */
  readonly bytes: number
}

const READ_AHEAD: ReadAhead = { chunks: READ_AHEAD_CHUNKS, bytes: READ_AHEAD_BYTES }

/**
 * Every chunk of one manifest, as far as it is known, and where each stands:
 *
 *     wanted -> in-flight -> received -> verified -> taken
 *        ^        |   ^         |
 *        +--------+   +---------+   its bytes are wrong, and another provider owes it too
 *        +----------------------+   they are wrong, and nobody else does
 *
 * A chunk is in flight while at least one provider owes it; one that is late may be asked of a second
 * (`askedAgain`), and is wanted again when neither owes it any more. What a provider owes is counted apart
 * from where the chunk stands: the first valid answer makes it verified, and the other is still due, and is
 * ignored when it comes.
 *
 * Only chunks within the read-ahead are given out, so a provider that withholds one chunk cannot make the
 * session hold all that follow it. Finding them costs as much as the read-ahead is long, however many chunks
 * there are.
 */
export class ChunkTracker {
  readonly #coder: ChunkCoder
  readonly #readAhead: ReadAhead
  readonly #infos: ChunkInfo[] = []
  readonly #states: ChunkState[] = []
  /** What each provider was asked for and has not answered, and since when. */
  readonly #owed = new Map<string, Map<number, number>>()
  /** Which are here, and where they came from. */
  readonly map = new ChunkMap()
  #manifest: Manifest | undefined
  /** Chunks that were taken: the first so many. */
  #taken = 0
  /** The first chunk beyond the read-ahead, and the bytes within it. */
  #horizon = 0
  #aheadBytes = 0
  #takenBytes = 0
  #trusted = false
  #progress = Promise.withResolvers<void>()

  constructor(coder: ChunkCoder, readAhead: ReadAhead = READ_AHEAD) {
    this.#coder = coder
    this.#readAhead = readAhead
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
    return this.map.bytes
  }

  /**
   * A provider lists the chunks from `from` on. False, and nothing is taken over, where they contradict what
   * is known.
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
      this.map.add(info.bytes)
    }
    this.#extend()
    this.#moved()
    return true
  }

  /** That is all of them, says a provider whose list was taken over. False where the tracker knows better. */
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
    return this.#manifest !== undefined && this.verified === this.#infos.length
  }

  get verified(): number {
    return this.map.here
  }

  get verifiedBytes(): number {
    return this.map.hereBytes
  }

  /** The chunk may be asked for: it is not too far ahead of the first that was not taken. */
  reaches(index: number): boolean {
    return index < this.#horizon
  }

  /** Indexes of the chunks that are to be asked for next, ascending. */
  wanted(): number[] {
    const indexes: number[] = []
    for (let index = this.#taken; index < this.#horizon; index++) {
      if (this.#states[index] === WANTED) indexes.push(index)
    }
    return indexes
  }

  /**
   * Chunks that one provider alone owes, and since `sinceMs` or longer; ascending. A provider sends one chunk
   * after the other: `sentAtMs` says when it sent the last one, and only from then on the others are waited
   * for.
   */
  late(sinceMs: number, sentAtMs: (provider: string) => number): LateChunk[] {
    const late: LateChunk[] = []
    for (let index = this.#taken; index < this.#horizon; index++) {
      if (this.#states[index] !== IN_FLIGHT) continue
      const [provider, second] = this.owing(index)
      if (provider === undefined || second !== undefined) continue
      const dueMs = Math.max(this.#owed.get(provider)!.get(index)!, sentAtMs(provider))
      if (dueMs <= sinceMs) late.push({ index, provider })
    }
    return late
  }

  /** The providers that owe a chunk. */
  owing(index: number): string[] {
    const providers: string[] = []
    for (const [provider, owed] of this.#owed) if (owed.has(index)) providers.push(provider)
    return providers
  }

  /** How many chunks of what a provider owes are owed by another one as well. */
  doubled(provider: string): number {
    const owed = [...(this.#owed.get(provider)?.keys() ?? [])]
    return owed.filter((index) => this.#states[index] === IN_FLIGHT && this.owing(index).length > 1).length
  }

  /** Chunks that a provider was asked for and has not sent, also those that another one has. */
  inFlightWith(provider: string): number {
    return this.#owed.get(provider)?.size ?? 0
  }

  /** Wanted -> InFlight */
  asked(first: number, count: number, provider: string, nowMs: number): void {
    for (let index = first; index < first + count; index++) {
      if (this.#states[index] !== WANTED) throw new Error(`chunk ${index} is not wanted`)
      this.#states[index] = IN_FLIGHT
      this.#owe(index, provider, nowMs)
    }
  }

  /** InFlight -> InFlight, with a second provider beside the first. */
  askedAgain(index: number, provider: string, nowMs: number): void {
    const [first, second] = this.owing(index)
    if (this.#states[index] !== IN_FLIGHT || second !== undefined || first === provider) {
      throw new Error(`chunk ${index} cannot be asked of ${provider} as well`)
    }
    this.#owe(index, provider, nowMs)
    this.map.hedge(index)
  }

  /**
   * InFlight -> Received -> Verified. Resolves with false, and nothing is decoded, when another provider's
   * answer was faster. Rejects with `ProvenFault` for bytes that were not asked for, or are not what the
   * manifest promises.
   */
  async received(index: number, chunk: EncodedChunk, provider: string): Promise<boolean> {
    if (this.#owed.get(provider)?.delete(index) !== true) {
      throw new ProvenFault(`chunk ${index} was not asked for`)
    }
    if (this.#states[index] !== IN_FLIGHT) return false
    this.#states[index] = RECEIVED
    const info = this.info(index)
    try {
      this.#states[index] = { status: 'verified', bytes: await this.#decode(chunk, info) }
    } catch (cause) {
      this.#states[index] = this.owing(index).length > 0 ? IN_FLIGHT : WANTED
      if (!(cause instanceof MalformedChunk)) throw new Failed(`chunk ${index} was not decoded`, { cause })
      throw new ProvenFault(`chunk ${index} is not what the manifest promises: ${cause.message}`, { cause })
    }
    this.map.take(index, info.bytes, provider === STORE ? undefined : provider)
    this.#moved()
    return true
  }

  async #decode(chunk: EncodedChunk, info: ChunkInfo): Promise<Uint8Array> {
    // A chunk that would not get smaller travels as it is.
    if (chunk.bytes.length > info.bytes) throw new MalformedChunk('it is longer than what it holds')
    const bytes = await this.#coder.decode(chunk, info.bytes)
    if (!sameBytes(chunkHash(bytes), info.hash)) throw new MalformedChunk('its hash is another')
    return bytes
  }

  /**
   * A provider will not send what it owes, or this part of it. InFlight -> Wanted, unless another one owes it
   * too.
   */
  lost(provider: string, first = 0, count = Number.POSITIVE_INFINITY): void {
    const owed = this.#owed.get(provider)
    if (owed === undefined) return
    for (const index of [...owed.keys()]) {
      if (index < first || index >= first + count) continue
      owed.delete(index)
      if (this.#states[index] === IN_FLIGHT && this.owing(index).length === 0) this.#states[index] = WANTED
    }
  }

  /** The list is the one that the group sealed. */
  trust(): void {
    if (this.#trusted) return
    this.#trusted = true
    this.#moved()
  }

  /**
   * Verified -> Taken: the chunks in order, each as soon as it and all before it are there. Before the list
   * is trusted they are no more bytes than the read-ahead: the list may be one provider's nonsense without an
   * end.
   */
  async *inOrder(): AsyncGenerator<{ bytes: Uint8Array; items: number }> {
    while (this.#manifest === undefined || this.#taken < this.#infos.length) {
      const state = this.#states[this.#taken]
      const isTooMuch = !this.#trusted && this.#takenBytes >= this.#readAhead.bytes
      if (state?.status !== 'verified' || isTooMuch) {
        await this.#progress.promise
        continue
      }
      const { bytes, items } = this.info(this.#taken)
      this.#takenBytes += bytes
      this.#states[this.#taken] = TAKEN
      this.#taken++
      this.#aheadBytes -= bytes
      this.#extend()
      yield { bytes: state.bytes, items }
    }
  }

  #owe(index: number, provider: string, nowMs: number): void {
    const owed = this.#owed.get(provider)
    if (owed === undefined) this.#owed.set(provider, new Map([[index, nowMs]]))
    else owed.set(index, nowMs)
  }

  /** Move the horizon on, as far as the read-ahead allows. */
  #extend(): void {
    const { chunks, bytes } = this.#readAhead
    while (this.#horizon < this.#infos.length && this.#horizon - this.#taken < chunks) {
      const next = this.info(this.#horizon).bytes
      if (this.#horizon > this.#taken && this.#aheadBytes + next > bytes) return
      this.#aheadBytes += next
      this.#horizon++
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
