import { AnchorageError } from '../errors.ts'
import type { AnchorProgress } from './anchor-progress.ts'
import type { PruneWish } from './announcement.ts'
import type { Member } from './membership.ts'

/** How many of the newest entries stay readable by default. */
export const KEEP_ENTRIES_DEFAULT = 10_000

/** No replica holds the state on disk. Pruning would leave the only copy in memory. */
export class PruneRefused extends AnchorageError {
  static override readonly code = 'PRUNE_REFUSED'
  override readonly name = 'PruneRefused'
}

/**
 * The error for a group in which no member announces a checkpoint. It says why nothing may be pruned and what
 * to do.
 *
 * @param outlook what makes this replica's next checkpoint due; undefined without a data directory
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

/** The refusal of a prune of a stream that others own. */
export function notOursToPrune(): PruneRefused {
  return new PruneRefused(
    "the log is a stream of others, and its owner decides how long entries stay: leave prune out, or open the log with its option prune: true, which purges the owner's messages too",
  )
}

/** Why entries of the log stay. */
export type HoldCause =
  /** The group keeps that many, or nobody asked for pruning. */
  | 'policy'
  /** No checkpoint on a member's disk covers them. */
  | 'checkpoint'
  /** A member offers a snapshot, from which a joiner would go on with them. */
  | 'offer'
  /** A member catches up, and needs them next. */
  | 'catch-up'

/** Something that keeps entries of the log from being pruned. */
export interface LogHold {
  readonly by: HoldCause
  /** Entries after this index stay. */
  readonly upTo: number
  /** The PeerId of the member that offers or catches up. */
  readonly member?: string
}

/** What a leader would do if it were told to prune. It crosses the wire as JSON. */
export interface PruneOutlook {
  /** What holds the log, but for the number of entries that are to stay: that is for whoever tells it to say. */
  readonly holds: readonly LogHold[]
  /** Entries may be pruned that no checkpoint on any member's disk covers. */
  readonly volatile: boolean
  /** By what the leader prunes unasked: what the policies of all members come to. Null: by nothing. */
  readonly policy: PruneWish | null
  /** Why it would refuse; null if it would not. */
  readonly refusal: string | null
}

export interface PruneLimits {
  /** The index of the newest entry that the leader applied. */
  readonly applied: number
  /** How many of the newest entries stay. */
  readonly keepEntries: number
  /** Entries may be pruned that no checkpoint on any member's disk covers. */
  readonly volatile: boolean
  /** Which pins and anchors make progress. Without progress they do not hold the log. */
  readonly progress: Pick<AnchorProgress, 'holds' | 'hasStalled'>
}

/** Everything that keeps entries from being pruned: see `prunableTo`. */
export function logHolds(limits: PruneLimits, members: readonly Member[]): LogHold[] {
  const { applied, keepEntries, volatile, progress } = limits
  const holds: LogHold[] = [{ by: 'policy', upTo: applied - keepEntries }]
  if (!volatile)
    holds.push({ by: 'checkpoint', upTo: Math.max(0, ...members.map(({ checkpoint }) => checkpoint)) })
  for (const member of members) {
    const { id, needs, applied: own } = member
    // A member that has installed its anchor needs only the entries that it has not applied.
    if (progress.holds(member))
      holds.push({ by: 'catch-up', upTo: own >= needs ? own : needs - 1, member: id })
    for (const { anchor } of member.offers)
      if (!progress.hasStalled(anchor)) holds.push({ by: 'offer', upTo: anchor - 1, member: id })
  }
  return holds.map((hold) => ({ ...hold, upTo: Math.max(0, hold.upTo) }))
}

/**
 * How far the log may be pruned. Two things limit it:
 * - an anchor that a fresh announcement pins, by offering it or by catching up from it, while the group makes
 *   progress with it;
 * - unless the group is volatile, the newest checkpoint that a member announces.
 *
 * A pinned anchor's marker stays too, because a joiner reads the electorate there.
 */
export function prunableTo(limits: PruneLimits, members: readonly Member[]): number {
  return Math.min(...logHolds(limits, members).map(({ upTo }) => upTo))
}

/**
 * The prune policy of the group, from those of its members. No member loses entries that its own policy
 * keeps. Pruned entries are in a checkpoint, unless every policy is volatile. Undefined if no member has a
 * policy.
 */
export function groupPolicy(wishes: readonly (PruneWish | undefined)[]): PruneWish | undefined {
  const told = wishes.filter((wish) => wish !== undefined)
  if (told.length === 0) return undefined
  return {
    keepEntries: Math.max(...told.map(({ keepEntries }) => keepEntries)),
    volatile: told.every(({ volatile }) => volatile),
  }
}
