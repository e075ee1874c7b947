import type { Member } from './membership.ts'

/** Entries that are kept readable behind the newest, unless told otherwise. */
export const KEEP_ENTRIES_DEFAULT = 10_000

/** Without checkpoints on disk, pruning means that the state lives only in memory. */
export class PruneRefused extends Error {
  override readonly name = 'PruneRefused'
}

/**
 * How far the log may be pruned: never past an anchor that a fresh announcement pins, by offering it or by catching up
 * from it. The marker itself stays, because whoever catches up from its anchor reads the electorate there.
 */
export function prunableTo(applied: number, keepEntries: number, members: readonly Member[]): number {
  let upTo = applied - keepEntries
  for (const { needs, offers } of members) {
    if (needs > 0) upTo = Math.min(upTo, needs - 1)
    for (const { anchor } of offers) upTo = Math.min(upTo, anchor - 1)
  }
  return Math.max(0, upTo)
}
