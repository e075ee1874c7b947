/**
 * Some neighbouring items as they stand in a chunk, one record after the other: the item's length as an
 * unsigned LEB128 varint, and the item. A machine that keeps its items packed hands them out in runs, and
 * nothing is copied or encoded to cut them. See `Snapshot.runs`.
 */
export interface Run {
  /** Holds the records, from `start` up to `end`. A plain `Uint8Array`: views of a `Buffer` are slower. */
  readonly bytes: Uint8Array
  /** Where the first record begins. */
  readonly start: number
  /** Where the last record ends. */
  readonly end: number
  /** The number of items, at least 1. */
  readonly length: number
  /**
   * Names the records, with a number from 1. Two runs with the same version have the same records, wherever
   * in memory they are. A version is never used again in this process.
   */
  readonly version: number
  /** A slot for whoever cuts: what was found is found once for all cuts. A machine sets it to undefined. */
  boundaries: Boundaries | undefined
}

/**
 * Neighbouring runs with one version for all of them, so that whoever cuts passes over those that did not change
 * without a look at each. `length` is the number of items, `runs` has at least one run, and neither ever changes.
 * Two groups with the same version have runs with the same versions, in the same order.
 */
export interface RunGroup {
  readonly runs: readonly Run[]
  readonly length: number
  readonly version: number
}

/** The runs one by one, also those in groups. */
export function* singleRuns(runs: Iterable<Run | RunGroup>): Generator<Run, undefined> {
  for (const run of runs) {
    if ('runs' in run) yield* run.runs
    else yield run
  }
}

/** The items of a run that may end a chunk. */
export interface Boundaries {
  /** The average size of chunks that they are for, in bytes. */
  readonly chunkBytes: number
  /**
   * Two numbers for each such item, in order: where its record ends, in bytes from the run's start, and the
   * number of the run's items up to there.
   */
  readonly ends: readonly number[]
}

let versions = 0

/**
 * A version that no run and no group in this process has had. Machines that make runs take theirs from here,
 * because runs of several machines meet in a composition.
 */
export function nextRunVersion(): number {
  return ++versions
}
