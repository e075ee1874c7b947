import type { Log } from '../log/log.ts'
import type { Clock, Timer } from '../time/clock.ts'
import type { ReplicaState } from './announcement.ts'
import { appendControl, type Control } from './control.ts'
import { FIRST_FORMAT } from './formats.ts'
import type { GroupState } from './group-state.ts'
import type { Membership } from './membership.ts'
import { commonFormat } from './versions.ts'

/** How long a leader may stay silent before others take office, in milliseconds. */
export const LEASE_MS_DEFAULT = 5_000
/**
 * Each candidate waits a random part of this, so that two rarely claim at once. If two do, nothing breaks.
 */
const CLAIM_SPREAD_MS_MAX = 250

export interface LeadershipInit {
  readonly self: string
  readonly clock: Clock
  readonly leaseMs: number
  /** A number from 0 up to 1. */
  readonly random: () => number
  readonly group: GroupState
  readonly membership: Pick<Membership, 'get' | 'list' | 'refresh'>
  /** The log to which claims are appended. */
  readonly log: Pick<Log, 'append'>
  /** If false, this replica never takes office. */
  readonly lead: boolean
  /** The state of this replica. It takes office only in sync. */
  readonly status: { readonly state: ReplicaState }
}

/**
 * Decides when this replica claims the next term. It must be eligible, and one of two things must hold: it
 * has not seen an announcement of the leader for a lease, or the leader announces that it does not lead. The
 * log alone says who leads, so an unnecessary claim only changes the leader.
 */
export class Leadership {
  readonly #init: LeadershipInit
  #seenAtMs: number
  #timer: Timer | undefined
  #claiming = false
  #stopped = false

  constructor(init: LeadershipInit) {
    this.#init = init
    this.#seenAtMs = init.clock.now()
  }

  /** A claim was applied. The new leader has a lease from now to announce itself. */
  changed(): void {
    this.#seenAtMs = this.#init.clock.now()
    this.check()
  }

  /**
   * The log can be reached again. While it could not, no member could announce itself, so the leader has a
   * lease from now.
   */
  reconnected(): void {
    this.#seenAtMs = this.#init.clock.now()
    this.check()
  }

  /** Decide again: the membership, the term or this replica's own state changed. */
  check(): void {
    const { self, clock, group } = this.#init
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#claiming || !this.#isEligible() || group.leader === self) return
    const vacantInMs = this.#vacantInMs()
    if (vacantInMs > 0) {
      this.#timer = clock.schedule(vacantInMs, () => this.check())
      return
    }
    const spreadMs = Math.min(CLAIM_SPREAD_MS_MAX, this.#init.leaseMs / 4) * this.#init.random()
    this.#timer = clock.schedule(spreadMs, () => void this.#claim())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** How long until this replica may consider the office vacant, in milliseconds; 0 when it is vacant. */
  #vacantInMs(): number {
    const { clock, leaseMs, group, membership } = this.#init
    const { leader, term, claimIndex } = group
    if (leader === undefined) return 0
    const seen = membership.get(leader)
    if (seen !== undefined && seen.leads === term) {
      this.#seenAtMs = Math.max(this.#seenAtMs, seen.announcedAtMs)
    } else if (seen !== undefined && seen.applied >= claimIndex) {
      // The leader has applied its own claim and announces that it does not lead: it resigned, or is leaving.
      return 0
    }
    return Math.max(0, this.#seenAtMs + leaseMs - clock.now())
  }

  async #claim(): Promise<void> {
    const { membership, log, group, clock, leaseMs } = this.#init
    this.#timer = undefined
    this.#claiming = true
    let isVacant = false
    try {
      // A process that was stopped or starved has heard nothing of the leader meanwhile. So read the
      // announcements before the claim.
      await membership.refresh()
      isVacant = this.#mayClaim()
      if (isVacant) await appendControl(log, this.#claimOf(group))
    } catch {
      // The presence store or the log was busy, or it is uncertain whether the claim was appended. The
      // entries that are applied will tell.
      isVacant = true
    } finally {
      this.#claiming = false
    }
    if (this.#stopped) return
    if (!isVacant) return this.check()
    // A lease is long enough for the claim to be applied here. If it is not applied by then, decide again.
    this.#timer ??= clock.schedule(leaseMs, () => this.check())
  }

  /**
   * The first claim of a log begins with the newest format that everybody here speaks. A log that begins with a
   * snapshot has the format of that.
   */
  #claimOf({ term, format, versions }: GroupState): Control {
    const members = this.#init.membership.list()
    return {
      type: 'claim',
      term: term + 1,
      format: term === 0 && format === FIRST_FORMAT ? commonFormat(versions, members) : format,
    }
  }

  #mayClaim(): boolean {
    const { group, self } = this.#init
    return this.#isEligible() && group.leader !== self && this.#vacantInMs() <= 0
  }

  #isEligible(): boolean {
    const { lead, status } = this.#init
    return !this.#stopped && lead && status.state === 'in-sync'
  }
}
