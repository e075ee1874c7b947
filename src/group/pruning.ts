import type { AnchorProgress } from './anchor-progress.ts'
import type { PruneWish } from './announcement.ts'
import type { Member } from './membership.ts'

/** Entries that are kept readable behind the newest, unless told otherwise. */
export const KEEP_ENTRIES_DEFAULT = 10_000

/** Nobody holds the state on disk: pruning would mean that it lives only in memory. */
export class PruneRefused extends Error {
  override readonly name = 'PruneRefused'
}

/**
 * Why nothing may be pruned while no member announces a checkpoint, and what to do.
 *
 * @param outlook what makes the next checkpoint of this replica due; undefined without a data directory
 */
export function pruneRefused(members: readonly Member[], outlook: string | undefined): PruneRefused {
  const durable = members.filter((member) => member.durable === true).map(({ id }) => id)
  if (durable.length === 0 && outlook === undefined) {
    return new PruneRefused(
      'no replica holds a checkpoint: give replicas a dataDir, or volatile: true, which means that the pruned part of the state lives only in their memory',
    )
  }
  const who =
    durable.length === 0
      ? 'this replica keeps'
      : `${durable.join(', ')} keep${durable.length === 1 ? 's' : ''}`
  const when = outlook === undefined ? '' : `; this replica writes its first ${outlook}`
  return new PruneRefused(
    `no checkpoint is written yet: ${who} a data directory, and the log can be pruned once one of them holds a checkpoint that the group agreed on${when}; replica.mark() has them try at once`,
  )
}

export interface PruneLimits {
  /** What the leader has applied. */
  readonly applied: number
  /** Newest entries that stay. */
  readonly keepEntries: number
  /** What goes need not be in a checkpoint on anybody's disk. */
  readonly volatile: boolean
  /** What the group makes no progress with holds nothing. */
  readonly progress: Pick<AnchorProgress, 'holds' | 'hasStalled'>
}

/**
 * How far the log may be pruned: never past an anchor that a fresh announcement pins, by offering it or by catching up
 * from it, while the group makes progress with it; nor, unless the group is volatile, past the newest checkpoint that a
 * member announces. The marker itself stays, because whoever catches up from its anchor reads the electorate there.
 */
export function prunableTo(limits: PruneLimits, members: readonly Member[]): number {
  const { applied, keepEntries, volatile, progress } = limits
  let upTo = applied - keepEntries
  if (!volatile) upTo = Math.min(upTo, Math.max(0, ...members.map(({ checkpoint }) => checkpoint)))
  for (const member of members) {
    // Who has installed its anchor needs only what it has not applied yet.
    const { needs, applied: own } = member
    if (progress.holds(member)) upTo = Math.min(upTo, own >= needs ? own : needs - 1)
    for (const { anchor } of member.offers)
      if (!progress.hasStalled(anchor)) upTo = Math.min(upTo, anchor - 1)
  }
  return Math.max(0, upTo)
}

/**
 * What the group's members would have pruned, all together: nobody loses entries that its own policy keeps, and what goes is in a
 * checkpoint unless all of them can do without. Undefined if none has a policy.
 */
export function groupPolicy(wishes: readonly (PruneWish | undefined)[]): PruneWish | undefined {
  const told = wishes.filter((wish) => wish !== undefined)
  if (told.length === 0) return undefined
  return {
    keepEntries: Math.max(...told.map(({ keepEntries }) => keepEntries)),
    volatile: told.every(({ volatile }) => volatile),
  }
}
