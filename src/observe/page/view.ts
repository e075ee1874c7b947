import type { ReplicaState } from '../../group/announcement.ts'
import type { CatchUpProgress } from '../../group/catch-up-progress.ts'
import type { LogHold } from '../../group/pruning.ts'

/**
 * What the page is told: plain JSON, by server-sent events from `/live`. Each message of type `view` is one `PageView`,
 * whole. Nothing in it is trusted: names and texts come from peers.
 */
export interface PageView {
  /** The wall clock of the replica, in milliseconds since 1970. */
  readonly atMs: number
  readonly group: string
  /** The PeerId of the replica that answers. */
  readonly self: string
  /** The version of Anchorage. */
  readonly version: string
  readonly state: ReplicaState
  /** Why it is not in sync, in a line; absent when it is. */
  readonly reason?: string
  readonly leader?: string
  readonly term: number
  readonly log: LogView
  /** Sorted by id, with those that fell silent a short while ago. */
  readonly members: readonly MemberView[]
  /** The newest markers, at most 20, oldest first. */
  readonly anchors: readonly AnchorView[]
  /** The newest offers of all members, at most 500. */
  readonly offers: readonly OfferView[]
  /** Everyone's catch-ups, at most 200, the one of this replica first. After the first 20, `providers` and `cells` are empty. */
  readonly catchUps: readonly CatchUpView[]
  /** Measured over the last second. */
  readonly rates: RatesView
}

export interface LogView {
  readonly connected: boolean
  /** Its first entry that can be read, and its newest one. */
  readonly first: number
  readonly newest: number
  /** What this replica has applied. */
  readonly applied: number
  /** What keeps entries from being pruned; the least `upTo` counts. */
  readonly holds: readonly LogHold[]
}

export interface MemberView {
  readonly id: string
  readonly state: ReplicaState
  readonly applied: number
  /** Entries that it is behind the newest one that anyone announced. */
  readonly lag: number
  readonly leads: boolean
  readonly checkpoint: number
  readonly version?: string
  readonly signature?: string
  readonly addresses: readonly string[]
  /** Since its last announcement, in milliseconds. */
  readonly ageMs: number
  /** Its announcement expired, or it took its leave. */
  readonly silent: boolean
}

export interface AnchorView {
  readonly index: number
  readonly electorate: readonly string[]
  /** What the electors attested so far, by PeerId: the first 16 hexadecimal digits of the root. */
  readonly attested: Readonly<Record<string, string>>
  readonly state: 'open' | 'sealed' | 'disputed'
}

export interface OfferView {
  readonly member: string
  readonly anchor: number
  readonly ready: boolean
  /** Until it expires, from `atMs` on. */
  readonly remainingMs: number
  /** The longest that it can be: what a revival sets it to. Absent if it is not known. */
  readonly ttlMs?: number
  readonly servedBytes: number
}

export interface CatchUpView extends Omit<CatchUpProgress, 'cells'> {
  readonly member: string
  /** As `CatchUpProgress.cells`, in hexadecimal. For this replica's own there is a cell for each chunk, up to 4,096. */
  readonly cells: string
  /** Until it has every chunk, in milliseconds, at the rate of now. Absent if it cannot be told. */
  readonly leftMs?: number
}

export interface RatesView {
  /** Entries per second that were applied here, and that came to the log. */
  readonly appliedPerSecond: number
  readonly appendedPerSecond: number
  /** Chunk bytes per second, in and out. */
  readonly fetchedPerSecond: number
  readonly servedPerSecond: number
}
