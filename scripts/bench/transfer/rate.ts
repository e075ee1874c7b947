import type { Joined } from './joiner.ts'

/** What is to be fetched. */
export interface Whole {
  readonly items: number
  /** Of all chunks, not encoded. */
  readonly bytes: number
}

export const MB = 1e6

/**
 * Megabytes per second from the first request for a chunk to the last chunk verified, of one joiner. Throws unless it has all,
 * in one go.
 */
export function fetchRate({ items, report }: Joined, whole: Whole): number {
  if (items !== whole.items) throw new Error(`the joiner has ${items} of ${whole.items} items`)
  if (report.anchorsLost > 0) throw new Error('the joiner had to begin again')
  return (whole.bytes * 1_000) / report.phasesMs.fetch / MB
}
