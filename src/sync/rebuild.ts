import type { Position } from '../position.ts'
import type { Basis } from '../snapshot/basis.ts'
import { MalformedChunk } from '../snapshot/chunk.ts'
import type { ChunkCoder } from '../snapshot/encoding.ts'
import { sameBytes } from '../snapshot/hash.ts'
import { decodeHints, HINT_BYTES } from '../snapshot/hints.ts'
import { type ChunkInfo, chunkHash } from '../snapshot/manifest.ts'
import type { Channel } from './channel.ts'
import { ProvenFault } from './faults.ts'
import { HINTED_ITEM_BYTES_MIN, HINTS_UNPROVEN_BYTES, REBUILD_SHARE_MIN, RUNS_MAX } from './limits.ts'

/** One chunk, and who has it. */
export interface Wanted {
  readonly anchor: Position
  readonly index: number
  readonly info: ChunkInfo
  readonly channel: Channel
}

export interface Rebuilt {
  /** Undefined: it must be fetched as a whole. */
  readonly chunk: Uint8Array | undefined
  /** What came over the wire for it. */
  readonly bytesFetched: number
}

/**
 * Puts chunks together from items that this replica has already and those that a provider sends: first the hints of all its
 * items, 4 bytes each, then only the items that are not here. What comes out is held against the chunk's hash, so a wrong
 * hint, or a lie, costs the bytes of trying, and then the whole chunk.
 */
export class Rebuilder {
  readonly #basis: Basis
  readonly #coder: ChunkCoder
  #hintBytes = 0
  #savedBytes = 0

  constructor(basis: Basis, coder: ChunkCoder) {
    this.#basis = basis
    this.#coder = coder
  }

  /** Whether hints of a chunk are worth their bytes, going by its items and by what hints were good for so far. */
  isWorthwhile({ items, bytes }: ChunkInfo): boolean {
    const paysOff = this.#hintBytes < HINTS_UNPROVEN_BYTES || this.#savedBytes >= this.#hintBytes
    return paysOff && bytes >= items * HINTED_ITEM_BYTES_MIN
  }

  /** Rejects where the provider fails, or is proven wrong. */
  async rebuild({ anchor, index, info, channel }: Wanted): Promise<Rebuilt> {
    this.#hintBytes += info.items * HINT_BYTES
    const { payload: hints } = await channel.payload({ type: 'hints', anchor, index })
    if (hints.length !== info.items * HINT_BYTES) {
      throw new ProvenFault(`${hints.length} bytes of hints for the ${info.items} items of chunk ${index}`)
    }
    const match = await this.#basis.match(decodeHints(hints))
    const wholly = { chunk: undefined, bytesFetched: hints.length }
    const missingBytes = info.bytes - match.bytes
    if (missingBytes < 0 || match.bytes < info.bytes * REBUILD_SHARE_MIN) return wholly
    if (match.runs.length > RUNS_MAX) return wholly
    let bytesFetched = hints.length
    try {
      let missing: Uint8Array = new Uint8Array()
      if (match.missing > 0) {
        const { answer, payload } = await channel.payload({ type: 'items', anchor, index, runs: match.runs })
        bytesFetched += payload.length
        const encoded = { encoding: answer.encoding, bytes: payload }
        missing = await this.#coder.decode(encoded, missingBytes)
      }
      const chunk = this.#basis.assemble(match, missing, info.bytes)
      if (!sameBytes(chunkHash(chunk), info.hash)) throw new MalformedChunk('its hash is another')
      this.#savedBytes += match.bytes
      return { chunk, bytesFetched }
    } catch (error) {
      if (error instanceof MalformedChunk) return { chunk: undefined, bytesFetched }
      throw error
    }
  }
}
