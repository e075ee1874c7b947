import type { Run } from '../machine/run.ts'
import type { KnownChunk, KnownCut } from './cut-history.ts'
import { RunBoundaries, type RunEnd } from './run-boundaries.ts'
import { Slices } from './slices.ts'

/** A chunk that was found in the runs. */
export interface FoundChunk {
  readonly slices: Slices
  readonly items: number
  /** The chunk of the earlier cut that it is. Undefined: it has to be hashed. */
  readonly twin: number | undefined
  /** All but its hash. */
  readonly place: Omit<KnownChunk, 'info'>
}

/** Finds the chunks of a sequence of runs: the same as `ChunkWriter` makes of their items. */
export class RunCutter {
  readonly #boundaries: RunBoundaries
  readonly #earlier: KnownCut | undefined
  #runs: Run[] = []
  /** Where the chunk begins in its first run, in bytes from the run's start. */
  #from = 0
  #used = 0
  #items = 0
  /** The chunk of the earlier cut whose runs are the same up to here. */
  #twin: number | undefined

  /**
   * @param chunkBytes the average size of chunks
   * @param earlier a cut with the same size: its chunks are found again where their runs are the same
   */
  constructor(chunkBytes: number, earlier: KnownCut | undefined) {
    this.#boundaries = new RunBoundaries(chunkBytes)
    this.#earlier = earlier
  }

  /** The chunks that end in the next run. */
  add(run: Run): readonly FoundChunk[] {
    const size = run.end - run.start
    const found: FoundChunk[] = []
    let from = 0
    let before = 0
    while (from < size) {
      if (this.#runs.length === 0) this.#begin(run, from)
      const end = this.#endIn(run, from, before)
      this.#runs.push(run)
      if (end === undefined) {
        this.#used += size - from
        this.#items += run.length - before
        break
      }
      this.#used += end.at - from
      this.#items += end.items - before
      found.push(this.#take(end.at, false))
      from = end.at
      before = end.items
    }
    return found
  }

  /** There are no more runs. Returns what is left: the last chunk, unless the last run ended one. */
  rest(): FoundChunk | undefined {
    const last = this.#runs.at(-1)
    return last === undefined ? undefined : this.#take(last.end - last.start, true)
  }

  #begin(run: Run, from: number): void {
    this.#from = from
    this.#used = 0
    this.#items = 0
    this.#twin = this.#earlier?.at(run, from)
  }

  /** @param before the number of the run's items that the chunk does not have */
  #endIn(run: Run, from: number, before: number): RunEnd | undefined {
    if (this.#twin === undefined) return this.#boundaries.endIn(run, from, this.#used)
    const { versions, isRest, to, info } = this.#earlier!.chunk(this.#twin)
    const at = this.#runs.length
    if (versions[at] === run.version) {
      const isLast = at === versions.length - 1
      return isLast && !isRest ? { at: to, items: before + info.items - this.#items } : undefined
    }
    // What was the same up to here had no end in the earlier cut, so it has none in this one.
    this.#twin = undefined
    return this.#boundaries.endIn(run, from, this.#used)
  }

  #take(to: number, isRest: boolean): FoundChunk {
    const runs = this.#runs
    const from = this.#from
    const known = this.#twin === undefined ? undefined : this.#earlier!.chunk(this.#twin)
    const isSame = known !== undefined && known.isRest === isRest && known.versions.length === runs.length
    const versions = isSame ? known.versions : runs.map(({ version }) => version)
    this.#runs = []
    return {
      slices: new Slices(runs, from, to, this.#used),
      items: this.#items,
      twin: isSame ? this.#twin : undefined,
      place: { versions, from, to, isRest },
    }
  }
}
