import { checkInteger } from '../../bounds.ts'
import type { AnchorProgress } from '../../group/anchor-progress.ts'
import type { PruneWish } from '../../group/announcement.ts'
import { appendControl } from '../../group/control.ts'
import type { GroupState } from '../../group/group-state.ts'
import type { Member, Membership } from '../../group/membership.ts'
import {
  groupPolicy,
  KEEP_ENTRIES_DEFAULT,
  type LogHold,
  logHolds,
  notOursToPrune,
  type PruneOutlook,
  type PruneRefused,
  prunableTo,
  pruneRefused,
} from '../../group/pruning.ts'
import type { Log } from '../../log/log.ts'
import { NotLeader } from '../../sync/wire/errors.ts'
import { asError } from '../../thrown.ts'
import type { Clock } from '../../time/clock.ts'
import { Ticker } from '../../time/ticker.ts'
import type { Disk } from '../disk/disk.ts'
import type { Applier } from '../following/applier.ts'
import type { Reporter } from '../reporter.ts'
import type { Status } from '../status.ts'

/**
 * How the group's log is pruned automatically. Each replica announces its policy, and the leader prunes by
 * all of them, even if it has none. Where policies differ, the largest `keepEntries` counts.
 */
export interface PrunePolicy {
  /** Newest entries that are kept, an integer from 0. Default 10,000. */
  readonly keepEntries?: number
  /** How often this replica looks while it leads, in milliseconds from 1 to 2^31 - 1. Default 1,000. */
  readonly intervalMs?: number
}

export interface PrunerInit {
  readonly self: string
  readonly clock: Clock
  readonly log: Log
  readonly membership: Membership
  readonly progress: AnchorProgress
  /** Pruning is allowed although no checkpoint on disk holds the pruned part. */
  readonly volatile: boolean
  /** Knows what makes this replica's next checkpoint due; undefined when it writes none. */
  readonly disk: Pick<Disk, 'outlook'> | undefined
  readonly policy: PrunePolicy | undefined
  readonly group: Pick<GroupState, 'leader' | 'term'>
  readonly status: Pick<Status, 'state'>
  readonly applier: Pick<Applier<unknown>, 'applied'>
  readonly reporter: Pick<Reporter, 'emit' | 'problem'>
}

const INTERVAL_MS_DEFAULT = 1_000
/**
 * Automatic pruning waits until this part of what is kept can go. A prune is an entry too, and an idle log
 * stays idle.
 */
const SLACK = 1 / 10

/**
 * Prunes the log while this replica leads, by the policies that the members announce. A prune is first an
 * entry of the log, and is executed when it was applied. By then every replica agrees that its author led.
 */
export class Pruner {
  readonly #init: PrunerInit
  /**
   * The outcomes of this replica's own prunes, by index. An entry may be applied before its append has told
   * the index.
   */
  readonly #outcomes = new Map<number, PromiseWithResolvers<number>>()
  #pruning = 0
  #ended: Error | undefined
  #ticker: Ticker | undefined

  constructor(init: PrunerInit) {
    const { policy, volatile, disk, log } = init
    if (policy !== undefined && log.prunes === false) throw notOursToPrune()
    if (policy !== undefined && !volatile && disk === undefined) throw pruneRefused([], undefined)
    this.#init = init
  }

  /** What this replica wants the leader to prune. */
  get wish(): PruneWish | undefined {
    const { policy, volatile } = this.#init
    return policy && { keepEntries: policy.keepEntries ?? KEEP_ENTRIES_DEFAULT, volatile }
  }

  /** What keeps entries of the log from being pruned, by what the members announce. */
  get holds(): LogHold[] {
    const { log, membership, progress, applier } = this.#init
    const wanted = log.prunes === false ? undefined : this.#groupPolicy()
    const keepEntries = wanted?.keepEntries ?? Number.POSITIVE_INFINITY
    const volatile = wanted?.volatile ?? this.#init.volatile
    return logHolds({ applied: applier.applied, keepEntries, volatile, progress }, membership.list())
  }

  /** What would come of a prune that is asked for here. Nothing is done. */
  get outlook(): PruneOutlook {
    const { log, membership, progress, applier, volatile } = this.#init
    const members = membership.list()
    const holds = logHolds({ applied: applier.applied, keepEntries: 0, volatile, progress }, members)
    const refused = log.prunes === false ? notOursToPrune() : this.#refusal(members)
    return {
      holds: holds.filter(({ by }) => by !== 'policy'),
      volatile,
      policy: this.#groupPolicy() ?? null,
      refusal: refused?.message ?? null,
    }
  }

  start(): void {
    const { policy, clock, reporter } = this.#init
    this.#ticker = new Ticker({
      clock,
      label: 'pruning the log',
      intervalMs: policy?.intervalMs ?? INTERVAL_MS_DEFAULT,
      run: async () => {
        const wanted = this.#groupPolicy()
        if (wanted === undefined || !this.#leads()) return
        await this.#prune({ ...wanted, slack: SLACK })
      },
      onError: (error) => reporter.problem(error),
    })
  }

  /** Resolves with the index up to which the log is pruned; 0 when there was nothing to prune. */
  async prune(keepEntries: number = KEEP_ENTRIES_DEFAULT): Promise<number> {
    return await this.#prune({ keepEntries, volatile: this.#init.volatile, slack: 0 })
  }

  /** A leader that lags or diverged has resigned. */
  #leads(): boolean {
    const { self, group, status } = this.#init
    return group.leader === self && status.state === 'in-sync'
  }

  #groupPolicy(): PruneWish | undefined {
    const others = this.#init.membership.list().filter(({ id }) => id !== this.#init.self)
    return groupPolicy([this.wish, ...others.map(({ prune }) => prune)])
  }

  /** Why a prune that is asked for is refused by what is on the members' disks. */
  #refusal(members: readonly Member[]): PruneRefused | undefined {
    const { volatile, disk } = this.#init
    if (volatile || members.some(({ checkpoint }) => checkpoint > 0)) return undefined
    return pruneRefused(members, disk?.outlook)
  }

  async #prune({ keepEntries, volatile, slack }: PruneWish & { readonly slack: number }): Promise<number> {
    const { self, log, membership, progress, group, applier } = this.#init
    checkInteger('keepEntries', keepEntries, 0)
    if (log.prunes === false) throw notOursToPrune()
    const { leader, term } = group
    if (!this.#leads()) throw new NotLeader(leader === self ? undefined : leader)
    await membership.refresh()
    const members = membership.list()
    // A policy waits for the first checkpoint in silence.
    const refusal = slack === 0 ? this.#refusal(members) : undefined
    if (refusal !== undefined) throw refusal
    const upTo = prunableTo({ applied: applier.applied, keepEntries, volatile, progress }, members)
    const prunable = upTo + 1 - (await log.bounds()).first
    if (prunable <= 0 || (slack > 0 && prunable <= 1 + keepEntries * slack)) return 0
    this.#pruning++
    try {
      return await this.#outcome(await appendControl(log, { type: 'prune', term, upTo })).promise
    } finally {
      if (--this.#pruning === 0) this.#outcomes.clear()
    }
  }

  /** The prune at `index` was applied and counts. It stops before what was pinned since it was decided. */
  async decided(index: number, wanted: number): Promise<void> {
    const { self, log, membership, progress, group, applier, reporter } = this.#init
    if (group.leader !== self) return
    const outcome = this.#outcome(index)
    try {
      await membership.refresh()
      const volatile = this.#init.volatile || this.#groupPolicy()?.volatile === true
      const upTo = Math.min(
        wanted,
        prunableTo({ applied: applier.applied, keepEntries: 0, volatile, progress }, membership.list()),
      )
      if (upTo > 0) await log.prune(upTo)
      reporter.emit('pruned', { upTo })
      outcome.resolve(upTo)
    } catch (error) {
      const reason = asError(error)
      reporter.problem(reason)
      outcome.reject(reason)
    }
  }

  /** The entry at `index` does nothing. If it is a prune of ours, we led no more. */
  voided(index: number): void {
    if (this.#pruning > 0) this.#outcome(index).reject(new NotLeader(this.#init.group.leader))
  }

  /**
   * A snapshot was installed that covers everything up to `index`. The outcomes of our prunes there are not
   * known.
   */
  covered(index: number): void {
    for (const [at, { reject }] of this.#outcomes) {
      if (at <= index) reject(new NotLeader(this.#init.group.leader))
    }
  }

  /** Nothing will be applied for now. Callers that wait for a prune are told why. */
  fail(reason: Error): void {
    for (const { reject } of this.#outcomes.values()) reject(reason)
  }

  stop(reason: Error): void {
    this.#ended = reason
    this.fail(reason)
    void this.#ticker?.stop()
  }

  #outcome(index: number): PromiseWithResolvers<number> {
    let outcome = this.#outcomes.get(index)
    if (outcome === undefined) {
      outcome = Promise.withResolvers()
      // An entry that is not a prune of ours has an outcome that nobody waits for.
      outcome.promise.catch(() => {})
      if (this.#ended !== undefined) outcome.reject(this.#ended)
      this.#outcomes.set(index, outcome)
    }
    return outcome
  }
}
