import type { Run, RunGroup } from '../machine/run.ts'
import type { ChunkSink } from './chunk-sink.ts'
import type { EncodedChunk } from './encoding.ts'
import type { ChunkInfo } from './manifest.ts'
import type { RunEnd } from './run-boundaries.ts'

/**
 * A chunk that was cut from runs. Runs are remembered by their versions alone, so that what is known of a
 * state keeps none of its memory.
 */
export interface KnownChunk {
  readonly info: ChunkInfo
  readonly versions: readonly number[]
  /** Where it begins in its first run, in bytes from the run's start. */
  readonly from: number
  /** Where it ends in its last run. */
  readonly end: RunEnd
  /** It ended because the items did: with more behind them, the chunk goes on. */
  readonly isRest: boolean
}

/** Where a group of runs begins. */
export interface GroupPlace {
  /** The number of the chunk. */
  readonly chunk: number
  /** How many of its runs come before. */
  readonly at: number
}

/** A finished cut. */
export class KnownCut {
  /** The average size of chunks. */
  readonly chunkBytes: number
  readonly #known: readonly KnownChunk[]
  /** By the version of a group. */
  readonly #groups: ReadonlyMap<number, GroupPlace>
  /** Where encodings of the chunks are, as long as they are needed there. */
  readonly #encodings: ChunkSink | undefined
  /** By the version of a run: the first chunk that begins in it. */
  readonly #first = new Map<number, number>()

  constructor(
    chunkBytes: number,
    known: readonly KnownChunk[],
    groups: ReadonlyMap<number, GroupPlace>,
    chunks: ChunkSink,
  ) {
    this.chunkBytes = chunkBytes
    this.#groups = groups
    // Another sink than one of encodings is not kept in memory.
    this.#encodings = chunks.smaller && chunks
    this.#known = known
    for (let i = known.length - 1; i >= 0; i--) this.#first.set(known[i]!.versions[0]!, i)
  }

  /** The number of the chunk that began here. */
  at({ version }: Run, from: number): number | undefined {
    let index = this.#first.get(version)
    if (index === undefined) return undefined
    for (; index < this.#known.length; index++) {
      const known = this.#known[index]!
      if (known.versions[0] !== version) return undefined
      if (known.from === from) return index
    }
    return undefined
  }

  /** Where the group began. */
  place({ version }: RunGroup): GroupPlace | undefined {
    return this.#groups.get(version)
  }

  chunk(index: number): KnownChunk | undefined {
    return this.#known[index]
  }

  /** The chunk's encoding, if it is still there and smaller than the chunk. */
  smaller(index: number): EncodedChunk | undefined {
    return this.#encodings?.smaller?.(index)
  }
}

/**
 * What is known of the last state that a replica cut. A chunk that lies in the very same runs again is taken
 * over: it is neither read nor hashed, nor encoded where its encoding is still there.
 */
export class CutHistory {
  #last: KnownCut | undefined

  /** The last finished cut, if its chunks had this size on average. */
  last(chunkBytes: number): KnownCut | undefined {
    return this.#last?.chunkBytes === chunkBytes ? this.#last : undefined
  }

  finished(cut: KnownCut): void {
    this.#last = cut
  }
}
