import type { Snapshot } from '../machine/machine.ts'
import type { Clock } from '../time/clock.ts'
import { Yielder } from '../time/yielder.ts'
import { BasisParts, bytesOf } from './basis-parts.ts'
import { itemsOf } from './chunk.ts'
import { readChunks } from './chunk-reader.ts'
import type { CutHistory } from './cut-history.ts'
import { MalformedChunk } from './errors.ts'
import { hintsOf, type Runs, recordStart } from './hints.ts'

export interface BasisOptions {
  /** The average size of chunks, in bytes. Only chunks cut with the same size can be shared whole. */
  readonly chunkBytes: number
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Aborts when cutting has taken long enough. The basis is then what was cut so far. */
  readonly enough: AbortSignal
  /** What this replica cut last. Default: all is read and hashed anew. */
  readonly history?: CutHistory | undefined
}

/** What the hints say about one chunk. */
export interface Match {
  /** For each item of the chunk, its number in the basis, or -1 if the basis lacks it. */
  readonly origins: Int32Array
  /** Run lengths, alternating: items that the basis has, items that it lacks. */
  readonly runs: Runs
  /** The number of items that the basis lacks. */
  readonly missing: number
  /** The size of the items that the basis has, each with its length before it. */
  readonly bytes: number
}

/**
 * A hint alone is believed up to this many items behind the previous match. Further off, the next hint must
 * match too.
 */
const NEAR_ITEMS = 64
/** The longest probe sequence. Further duplicates are found only as successors of a match. */
const PROBES_MAX = 64
/** The basis lacks the item, or no item was matched yet. */
const NONE = -1
/** Hints between two looks at the clock, because a look costs more than a hint. */
const HINTS_PER_LOOK = 4_096

/**
 * The state that a joiner has already. The new state reuses its whole chunks and, in chunks that differ, its
 * single items. "Basis" is rsync's word for it (Tridgell, 1999). Unlike in rsync, boundaries are between
 * items, so a few bytes per item are enough to find them again.
 */
export class Basis {
  readonly #parts: BasisParts
  readonly #clock: Clock
  #index: Promise<HintIndex> | undefined

  private constructor(parts: BasisParts, clock: Clock) {
    this.#parts = parts
    this.#clock = clock
  }

  /**
   * Cut a snapshot in the way providers cut theirs. The snapshot is released with the basis; one that hands
   * out item by item, and is copied, is released at once.
   */
  static async of(snapshot: Snapshot, options: BasisOptions): Promise<Basis> {
    const { signal, enough } = options
    const parts = new BasisParts(snapshot)
    try {
      await readChunks(snapshot, parts, { ...options, signal: AbortSignal.any([signal, enough]) })
    } catch (error) {
      if (!enough.aborted || signal.aborted) {
        parts.release()
        throw error
      }
    }
    if (snapshot.runs === undefined) parts.releaseSource()
    return new Basis(parts, options.clock)
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0
  }

  has(hash: Uint8Array): boolean {
    return this.#parts.named(hash) !== undefined
  }

  /** The chunk with this hash, decoded. Undefined if this state does not have the whole chunk. */
  chunk(hash: Uint8Array): Uint8Array | undefined {
    const part = this.#parts.named(hash)
    return part && bytesOf(part)
  }

  /** Let go of the state. The basis is empty from now on. */
  release(): void {
    this.#parts.release()
    this.#index = undefined
  }

  /**
   * Find a chunk's items in the basis. Both are in the same order, so most items follow the previous match.
   */
  async match(hints: Uint32Array): Promise<Match> {
    this.#index ??= this.#makeIndex()
    const index = await this.#index
    const yielder = new Yielder(this.#clock, 'basis')
    const origins = new Int32Array(hints.length)
    const runs: number[] = [0]
    let isOwn = true
    let missing = 0
    let bytes = 0
    let last = NONE
    for (let i = 0; i < hints.length; i++) {
      const origin = index.find(hints, i, last)
      origins[i] = origin
      if ((origin !== NONE) !== isOwn) {
        isOwn = !isOwn
        runs.push(0)
      }
      runs[runs.length - 1]!++
      if (origin === NONE) {
        missing++
      } else {
        bytes += this.#recordBytes(origin)
        last = origin
      }
      if (i % HINTS_PER_LOOK === 0 && yielder.due()) await yielder.rest()
    }
    yielder.pause()
    return { origins, runs, missing, bytes }
  }

  /**
   * Put a chunk together from the basis and the missing items.
   *
   * @param missing the items that the basis lacks, each with its length before it
   * @param bytes the chunk's size
   * @throws {MalformedChunk} if the size is wrong: a hint misled, or `missing` does not hold the items that
   *   were asked for
   */
  assemble({ origins, missing: count }: Match, missing: Uint8Array, bytes: number): Uint8Array {
    const others = itemsOf(missing, count)
    const chunk = Buffer.allocUnsafeSlow(bytes)
    let at = 0
    let other = 0
    for (let i = 0; i < origins.length; ) {
      const origin = origins[i]!
      const part = origin === NONE ? undefined : this.#parts.of(origin)
      const [items, from] = part === undefined ? [others, other] : [part.items, origin - part.first]
      let run = 1
      while (
        i + run < origins.length &&
        from + run < items.length &&
        origins[i + run] === (part === undefined ? NONE : origin + run)
      )
        run++
      const [start, end] = [recordStart(items, from), recordStart(items, from + run)]
      if (at + end - start > bytes) throw new MalformedChunk('a rebuilt chunk is too long')
      chunk.set(items.bytes.subarray(start, end), at)
      at += end - start
      if (part === undefined) other += run
      i += run
    }
    if (at !== bytes) throw new MalformedChunk(`a rebuilt chunk has ${at} bytes, not ${bytes}`)
    return chunk
  }

  async #makeIndex(): Promise<HintIndex> {
    const yielder = new Yielder(this.#clock, 'basis')
    const index = new HintIndex(this.#parts.items)
    for (let item = 0; item < this.#parts.items; ) {
      const { first, items } = this.#parts.of(item)
      index.add(first, hintsOf(items))
      item = first + items.length
      if (yielder.due()) await yielder.rest()
    }
    yielder.pause()
    return index
  }

  #recordBytes(item: number): number {
    const { items, first } = this.#parts.of(item)
    return items.end(item - first) - recordStart(items, item - first)
  }
}

/**
 * The hints of all items of a basis, and where each is found: an open-addressing table that is at most half
 * full.
 */
class HintIndex {
  readonly #hints: Uint32Array
  /** Item numbers, plus 1; 0 marks a free slot. */
  readonly #slots: Uint32Array

  constructor(items: number) {
    this.#hints = new Uint32Array(items)
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(items * 2 + 2)))
  }

  add(first: number, hints: Uint32Array): void {
    this.#hints.set(hints, first)
    const mask = this.#slots.length - 1
    for (let i = 0; i < hints.length; i++) {
      for (let probe = 0; probe < PROBES_MAX; probe++) {
        const slot = (hints[i]! + probe) & mask
        if (this.#slots[slot] !== 0) continue
        this.#slots[slot] = first + i + 1
        break
      }
    }
  }

  /** The item that `hints[i]` means. It comes after `last`, the item that the previous hint meant. */
  find(hints: Uint32Array, i: number, last: number): number {
    const hint = hints[i]!
    if (last !== NONE && this.#hints[last + 1] === hint) return last + 1
    const mask = this.#slots.length - 1
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const item = this.#slots[(hint + probe) & mask]! - 1
      if (item === NONE) return NONE
      if (item <= last || this.#hints[item] !== hint) continue
      const isNear = last !== NONE && item - last <= NEAR_ITEMS
      if (isNear || (i + 1 < hints.length && this.#hints[item + 1] === hints[i + 1])) return item
    }
    return NONE
  }
}
