import { errorCode } from '../../error-code.ts'
import type { ReplicaState } from '../../group/announcement.ts'
import type { GroupState } from '../../group/group-state.ts'
import type { Member, Membership } from '../../group/membership.ts'
import type { PruneOutlook } from '../../group/pruning.ts'
import { isConnected, type Log, type LogBounds } from '../../log/log.ts'
import type { Position } from '../../position.ts'
import type { Clock } from '../../time/clock.ts'
import type { Positions } from '../following/positions.ts'
import type { Orders } from '../membership/orders.ts'
import type { Reporter } from '../reporter.ts'
import type { Status } from '../status.ts'

/** A member as the replica that reports knows it. */
export interface ReportedMember extends Omit<Member, 'announcedAtMs' | 'untilMs'> {
  readonly announcedMsAgo: number
}

/** An error as a replica tells it of itself. */
export interface ReportedError {
  /** Such as `NO_PROVIDER`; `OTHER` for an error without a code. */
  readonly code: string
  /** At most 1,000 characters of its message. */
  readonly message: string
  /** The codes of what caused it, the nearest first. */
  readonly causes: readonly string[]
}

/**
 * What a running replica knows of itself and of its group. It crosses the wire as JSON, and later releases may add
 * to it.
 */
export interface ReplicaReport {
  /** Its PeerId, as text. */
  readonly id: string
  readonly group: string
  readonly state: ReplicaState
  /** What halted it, or keeps it from having a state. Absent: nothing, or a release that does not tell. */
  readonly failure?: ReportedError
  /** The newest problem since it was last in sync. Absent: none, or a release that does not tell. */
  readonly problem?: ReportedError
  /** False while it cannot reach the log's servers. */
  readonly logConnected?: boolean
  /** The wall clock of its machine, in milliseconds since 1970. */
  readonly clockMs?: number
  /** The newest position whose entry is in its state. */
  readonly position: Position
  /** By the log up to that position; null: nobody. */
  readonly leader: string | null
  readonly term: number
  /** Machine time, in milliseconds. */
  readonly timeMs: number
  /** The group's format. */
  readonly format: number
  /** The active version of the machine. */
  readonly signature: string
  readonly log: LogBounds
  /** Itself among them, as it is now; the others as they announced themselves. Their offers tell how long they live from now on. */
  readonly members: readonly ReportedMember[]
  /** What would come of an order to prune, if this replica leads. Absent before 0.3, and while it starts. */
  readonly prune?: PruneOutlook
}

export interface ReportInit {
  readonly groupName: string
  readonly self: string
  readonly log: Log
  readonly clock: Clock
  readonly group: GroupState
  readonly membership: Pick<Membership, 'list'>
  readonly status: Pick<Status, 'state' | 'failure'>
  readonly reporter: Pick<Reporter, 'trouble'>
  readonly positions: Pick<Positions, 'current'>
}

/** @param orders undefined while the replica starts */
export async function reportOf(
  init: ReportInit,
  orders: Pick<Orders, 'pruneOutlook'> | undefined,
  signal: AbortSignal,
): Promise<ReplicaReport> {
  const { groupName, self, log, clock, group, membership, status, reporter, positions } = init
  const bounds = await log.bounds({ signal })
  const nowMs = clock.now()
  const { state } = status
  const position = positions.current
  // It knows more of itself than it has announced.
  const own = { state, applied: position.index }
  return {
    id: self,
    group: groupName,
    state,
    ...(status.failure && { failure: reportedError(status.failure) }),
    ...(reporter.trouble && { problem: reportedError(reporter.trouble) }),
    logConnected: isConnected(log),
    clockMs: clock.wallNow(),
    position,
    leader: group.leader ?? null,
    term: group.term,
    timeMs: group.timeMs,
    format: group.format,
    signature: group.signature,
    log: bounds,
    members: membership
      .list()
      .map((member) => reported(member.id === self ? { ...member, ...own } : member, nowMs)),
    ...(orders && { prune: orders.pruneOutlook }),
  }
}

/** Messages may quote peers. */
const MESSAGE_LENGTH_MAX = 1_000

/** The longest chain of causes: an error may be its own. */
const CAUSES_MAX = 8

function reportedError(error: Error): ReportedError {
  const causes: string[] = []
  for (let { cause } = error; cause instanceof Error && causes.length < CAUSES_MAX; cause = cause.cause)
    causes.push(errorCode(cause))
  return { code: errorCode(error), message: error.message.slice(0, MESSAGE_LENGTH_MAX), causes }
}

function reported({ announcedAtMs, untilMs: _, offers, ...member }: Member, nowMs: number): ReportedMember {
  const announcedMsAgo = Math.max(0, Math.round(nowMs - announcedAtMs))
  const left = ({ remainingMs }: { readonly remainingMs: number }) =>
    Math.max(0, Math.round(remainingMs - announcedMsAgo))
  return {
    ...member,
    offers: offers.map((offer) => ({ ...offer, remainingMs: left(offer) })),
    announcedMsAgo,
  }
}
