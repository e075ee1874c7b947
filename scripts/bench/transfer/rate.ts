import type { Joined } from './joiner.ts'

/** The size of what is fetched. */
export interface Whole {
  readonly items: number
  /** Bytes of all chunks, not encoded. */
  readonly bytes: number
}

export const MB = 1e6

/**
 * One joiner's megabytes per second, from the first request for a chunk to the last chunk verified. Throws
 * unless it has everything, in one go.
 */
export function fetchRate({ items, report }: Joined, whole: Whole): number {
  if (items !== whole.items) throw new Error(`the joiner has ${items} of ${whole.items} items`)
  if (report.anchorsLost > 0) throw new Error('the joiner had to begin again')
  return (whole.bytes * 1_000) / report.phasesMs.fetch / MB
}
