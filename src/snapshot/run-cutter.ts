import type { Run, RunGroup } from '../machine/run.ts'
import type { GroupPlace, KnownChunk, KnownCut } from './cut-history.ts'
import { PartsHasher } from './parts-hasher.ts'
import { RunBoundaries, type RunEnd } from './run-boundaries.ts'
import { Slices } from './slices.ts'

/** A chunk that was found in the runs. */
export interface FoundChunk {
  readonly slices: Slices
  readonly known: KnownChunk
  /** The number of the chunk in the earlier cut that it is. */
  readonly twin: number | undefined
}

interface Twin {
  /** Its number in the earlier cut. */
  readonly index: number
  readonly known: KnownChunk
}

/** Finds and hashes the chunks of a sequence of runs: the same as `ChunkWriter` makes of their items. */
export class RunCutter {
  readonly #boundaries: RunBoundaries
  readonly #hasher = new PartsHasher()
  readonly #earlier: KnownCut | undefined
  readonly #groups = new Map<number, GroupPlace>()
  /** The number of chunks that have ended. */
  #ended = 0
  #runs: Run[] = []
  /** Where the chunk begins in its first run, in bytes from the run's start. */
  #from = 0
  /** The number of the first run's items that come before the chunk. */
  #before = 0
  /** What the chunk has up to here, unless it has a twin. */
  #used = 0
  #items = 0
  /** The chunk of the earlier cut whose runs are the same up to here. */
  #twin: Twin | undefined

  /**
   * @param chunkBytes the average size of chunks
   * @param earlier a cut with the same size: its chunks are found again where their runs are the same
   */
  constructor(chunkBytes: number, earlier: KnownCut | undefined) {
    this.#boundaries = new RunBoundaries(chunkBytes)
    this.#earlier = earlier
  }

  /** Where each group begins, by its version. */
  get groups(): ReadonlyMap<number, GroupPlace> {
    return this.#groups
  }

  /**
   * Take the next group as a whole if it is where it was in the earlier cut, in a chunk that is the same up to here:
   * its chunks end where they did. Returns them, or undefined if the group's runs have to be taken one by one.
   */
  skip(group: RunGroup): readonly FoundChunk[] | undefined {
    const at = this.#runs.length
    this.#groups.set(group.version, { chunk: this.#ended, at })
    const place = this.#earlier?.place(group)
    if (place?.at !== at) return undefined
    if (at === 0) this.#follow(place.chunk, 0, 0)
    if (this.#twin?.index !== place.chunk) return undefined
    const { runs } = group
    const found: FoundChunk[] = []
    let next = 0
    while (next < runs.length) {
      const { known, index } = this.#twin!
      const end = next + known.versions.length - this.#runs.length
      const isEnding = end <= runs.length && !known.isRest
      for (const to = isEnding ? end : runs.length; next < to; next++) this.#runs.push(runs[next]!)
      if (!isEnding) break
      found.push(this.#take(known.end, false))
      // The next chunk begins in the same run, or with the one after it.
      const from = this.#earlier!.chunk(index + 1)?.from ?? 0
      if (from > 0) next--
      if (next < runs.length) this.#follow(index + 1, from, from > 0 ? known.end.items : 0)
    }
    return found
  }

  /**
   * Take the next run if it is known that no chunk ends in it. Most runs of a state that changed little are of
   * this kind, so no more of them is looked at than their version: each look brings memory into the caches.
   */
  passes(run: Run): boolean {
    const twin = this.#twin
    if (twin === undefined) return false
    const { versions } = twin.known
    const at = this.#runs.length
    if (at === 0 || at >= versions.length - 1 || versions[at] !== run.version) return false
    this.#runs.push(run)
    return true
  }

  /** The chunks that end in the next run. */
  add(run: Run): readonly FoundChunk[] {
    const size = run.end - run.start
    const found: FoundChunk[] = []
    let from = 0
    let before = 0
    while (from < size) {
      if (this.#runs.length === 0) this.#begin(run, from, before)
      const end = this.#endIn(run, from)
      this.#runs.push(run)
      if (this.#twin === undefined)
        this.#hasher.update(run.bytes, run.start + from, run.start + (end?.at ?? size))
      if (end === undefined) {
        this.#used += size - from
        this.#items += run.length - before
        break
      }
      this.#used += end.at - from
      this.#items += end.items - before
      found.push(this.#take(end, false))
      from = end.at
      before = end.items
    }
    return found
  }

  /** There are no more runs. Returns what is left: the last chunk, unless the last run ended one. */
  rest(): FoundChunk | undefined {
    const last = this.#runs.at(-1)
    if (last === undefined) return undefined
    const twin = this.#twin?.known
    if (twin !== undefined && !(twin.isRest && twin.versions.length === this.#runs.length)) this.#leaveTwin()
    return this.#take({ at: last.end - last.start, items: last.length }, true)
  }

  #begin(run: Run, from: number, before: number): void {
    this.#follow(this.#earlier?.at(run, from), from, before)
  }

  /** Begin a chunk: that of this number in the earlier cut, until they turn out to differ. */
  #follow(index: number | undefined, from: number, before: number): void {
    this.#from = from
    this.#before = before
    this.#used = 0
    this.#items = 0
    this.#twin = index === undefined ? undefined : { index, known: this.#earlier!.chunk(index)! }
  }

  #endIn(run: Run, from: number): RunEnd | undefined {
    if (this.#twin !== undefined) {
      const { versions, isRest, end } = this.#twin.known
      const at = this.#runs.length
      if (versions[at] === run.version) return at === versions.length - 1 && !isRest ? end : undefined
      this.#leaveTwin()
    }
    return this.#boundaries.endIn(run, from, this.#used)
  }

  /** The chunk is another one. What was the same up to here has no end in the earlier cut, and none in this one. */
  #leaveTwin(): void {
    this.#twin = undefined
    this.#used = 0
    this.#items = this.#runs.length === 0 ? 0 : -this.#before
    for (const [i, { bytes, start, end, length }] of this.#runs.entries()) {
      const from = i === 0 ? start + this.#from : start
      this.#hasher.update(bytes, from, end)
      this.#used += end - from
      this.#items += length
    }
  }

  #take(end: RunEnd, isRest: boolean): FoundChunk {
    const runs = this.#runs
    const from = this.#from
    const twin = this.#twin
    this.#runs = []
    this.#twin = undefined
    this.#ended++
    const known = twin?.known ?? {
      info: { items: this.#items, bytes: this.#used, hash: this.#hasher.digest() },
      versions: runs.map(({ version }) => version),
      from,
      end,
      isRest,
    }
    return { slices: new Slices(runs, from, end.at, known.info.bytes), known, twin: twin?.index }
  }
}
