import { sameBytes } from '../../../bytes.ts'
import type { Position } from '../../../position.ts'
import type { Basis } from '../../../snapshot/basis.ts'
import type { ChunkCoder } from '../../../snapshot/encoding.ts'
import { MalformedChunk } from '../../../snapshot/errors.ts'
import { decodeHints, HINT_BYTES } from '../../../snapshot/hints.ts'
import { type ChunkInfo, chunkHash } from '../../../snapshot/manifest.ts'
import { HINTED_ITEM_BYTES_MIN, HINTS_UNPROVEN_BYTES, RUNS_MAX } from '../../limits.ts'
import type { Channel } from '../../wire/channel.ts'
import { ProvenFault } from '../../wire/proven-fault.ts'

/**
 * A chunk is fetched whole unless this part of it is here: asking for single items costs another round trip.
 */
const REBUILD_SHARE_MIN = 0.5

/** One chunk, and a provider that has it. */
export interface Wanted {
  readonly anchor: Position
  readonly index: number
  readonly info: ChunkInfo
  readonly provider: string
  readonly channel: Channel
  /** Bytes came over the wire for it. */
  readonly onFetched: (bytes: number) => void
}

/** What the hints of one provider were good for. */
interface Balance {
  hintBytes: number
  sparedBytes: number
}

/**
 * Puts chunks together from items that this replica has already and those that a provider sends: first the
 * hints of all its items, 4 bytes each, then only the items that are not here. What comes out is held against
 * the chunk's hash, so a wrong hint, or a lie, costs the bytes of trying, and then the whole chunk.
 */
export class Rebuilder {
  readonly #basis: Basis
  readonly #coder: ChunkCoder
  readonly #balances = new Map<string, Balance>()

  constructor(basis: Basis, coder: ChunkCoder) {
    this.#basis = basis
    this.#coder = coder
  }

  /**
   * Whether hints of a chunk are worth their bytes, by the size of its items and by what this provider's
   * hints spared.
   */
  isWorthwhile(provider: string, { items, bytes }: ChunkInfo): boolean {
    const { hintBytes, sparedBytes } = this.#balanceOf(provider)
    const paysOff = hintBytes < HINTS_UNPROVEN_BYTES || sparedBytes >= hintBytes
    return paysOff && bytes >= items * HINTED_ITEM_BYTES_MIN
  }

  /**
   * Resolves with undefined when the chunk must be fetched whole. Rejects where the provider fails or is
   * proven wrong.
   */
  async rebuild(wanted: Wanted): Promise<Uint8Array | undefined> {
    const { anchor, index, info, provider, channel, onFetched } = wanted
    const { payload: hints } = await channel.payload({ type: 'hints', anchor, index })
    onFetched(hints.length)
    if (hints.length !== info.items * HINT_BYTES) {
      throw new ProvenFault(`${hints.length} bytes of hints for the ${info.items} items of chunk ${index}`)
    }
    const balance = this.#balanceOf(provider)
    balance.hintBytes += hints.length
    const match = await this.#basis.match(decodeHints(hints))
    const missingBytes = info.bytes - match.bytes
    if (missingBytes < 0 || match.bytes < info.bytes * REBUILD_SHARE_MIN) return undefined
    if (match.runs.length > RUNS_MAX) return undefined
    try {
      let missing: Uint8Array = new Uint8Array()
      if (match.missing > 0) {
        const { answer, payload } = await channel.payload({ type: 'items', anchor, index, runs: match.runs })
        onFetched(payload.length)
        missing = await this.#coder.decode({ encoding: answer.encoding, bytes: payload }, missingBytes)
      }
      const chunk = this.#basis.assemble(match, missing, info.bytes)
      if (!sameBytes(chunkHash(chunk), info.hash)) throw new MalformedChunk('its hash is another')
      balance.sparedBytes += match.bytes
      return chunk
    } catch (error) {
      if (error instanceof MalformedChunk) return undefined
      throw error
    }
  }

  #balanceOf(provider: string): Balance {
    let balance = this.#balances.get(provider)
    if (balance === undefined) {
      balance = { hintBytes: 0, sparedBytes: 0 }
      this.#balances.set(provider, balance)
    }
    return balance
  }
}
