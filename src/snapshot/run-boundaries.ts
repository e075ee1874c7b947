import type { Boundaries, Run } from '../machine/run.ts'
import { isBoundary, itemHash } from './boundary.ts'
import { checkItemBytes } from './chunk.ts'
import { MalformedChunk } from './errors.ts'

/** Where a chunk ends within a run. */
export interface RunEnd {
  /** In bytes from the run's start. */
  readonly at: number
  /** The number of the run's items up to there. */
  readonly items: number
}

/**
 * Finds the items of runs that may end a chunk. What is found is kept with the run, so that a run that does
 * not change is read once for all cuts.
 */
export class RunBoundaries {
  readonly #chunkBytes: number
  /** What most runs have: of items of 100 bytes in chunks of 1 MiB, one in some 5,000 may end a chunk. */
  readonly #none: Boundaries
  #view: DataView = new DataView(new ArrayBuffer(0))

  /** @param chunkBytes the average size of chunks */
  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes
    this.#none = { chunkBytes, ends: [] }
  }

  /**
   * Where a chunk ends in `run`, at the earliest: after a boundary item once it has half the average size,
   * and after any once it has twice that. Undefined: it goes on in the next run.
   *
   * @param from where the chunk goes on in the run, in bytes from the run's start
   * @param used the size of the chunk up to there
   */
  endIn(run: Run, from: number, used: number): RunEnd | undefined {
    const chunkBytes = this.#chunkBytes
    const size = run.end - run.start
    if ((used + size - from) * 2 < chunkBytes) return undefined
    const { ends } = this.#of(run)
    const full = used + size - from >= 2 * chunkBytes ? this.#fullAt(run, from, used) : undefined
    for (let i = 0; i < ends.length; i += 2) {
      const at = ends[i]!
      if (at <= from || (used + at - from) * 2 < chunkBytes) continue
      return full !== undefined && full.at <= at ? full : { at, items: ends[i + 1]! }
    }
    return full
  }

  /** The first item of a run with which the chunk has twice the average size. */
  #fullAt(run: Run, from: number, used: number): RunEnd {
    const { bytes, start, end } = run
    const enough = start + from + 2 * this.#chunkBytes - used
    let items = 0
    let at = start
    while (at < end && (at < enough || at <= start + from)) {
      at += headBytes(bytes, at) + itemBytes(bytes, at)
      items++
    }
    return { at: at - start, items }
  }

  #of(run: Run): Boundaries {
    const known = run.boundaries
    if (known?.chunkBytes === this.#chunkBytes) return known
    const found = this.#read(run)
    run.boundaries = found
    return found
  }

  #read(run: Run): Boundaries {
    const { bytes, start, end } = run
    const chunkBytes = this.#chunkBytes
    const { byteOffset } = bytes
    const view = this.#viewOf(bytes)
    const ends: number[] = []
    let items = 0
    let at = start
    while (at < end) {
      const item = at + headBytes(bytes, at)
      const next = item + itemBytes(bytes, at)
      // Also where there is no such byte: the sum is then not a number.
      if (!(next <= end)) break
      checkItemBytes(next - item)
      items++
      if (isBoundary(itemHash(view, byteOffset + item, byteOffset + next), next - at, chunkBytes))
        ends.push(next - start, items)
      at = next
    }
    if (at !== end || items !== run.length)
      throw new MalformedChunk(`a run of ${end - start} bytes does not hold its ${run.length} items`)
    return ends.length === 0 ? this.#none : { chunkBytes, ends }
  }

  /** A view of a whole buffer: many runs lie in one, and making a view of each costs more. */
  #viewOf({ buffer }: Uint8Array): DataView {
    if (this.#view.buffer !== buffer) this.#view = new DataView(buffer)
    return this.#view
  }
}

/** How many bytes the length of the record at `at` takes. */
function headBytes(bytes: Uint8Array, at: number): number {
  let next = at
  while (bytes[next]! >= 0x80) next++
  return next + 1 - at
}

/** The length that the record at `at` says its item has. */
function itemBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!
  if (first < 0x80) return first
  let length = first & 0x7f
  let scale = 128
  let next = at + 1
  for (; bytes[next]! >= 0x80; next++) {
    length += (bytes[next]! & 0x7f) * scale
    scale *= 128
  }
  return length + bytes[next]! * scale
}
