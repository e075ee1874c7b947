import { packageVersion } from '../../package-version.ts'
import type { ReplicaEvent } from '../../replica/events.ts'
import type { Clock } from '../../time/clock.ts'
import { Rate } from '../../time/rate.ts'
import type { Health } from '../health.ts'
import type { ObservableReplica } from '../observable-replica.ts'
import { TimeLeft } from '../time-left.ts'
import { LogEnd } from './log-end.ts'
import type { LogView, PageView, RatesView } from './view.ts'
import { anchorsOf, catchUpsOf, holdsOf, membersOf, namedMembers, offersOf } from './view-of.ts'

const RATE_MS = 1_000

/** What the page is told of one replica. */
export class PageModel {
  readonly #replica: ObservableReplica
  readonly #health: Health
  readonly #clock: Clock
  readonly #logEnd: LogEnd
  readonly #applied = new Rate(RATE_MS)
  readonly #fetched = new Rate(RATE_MS)
  readonly #served = new Rate(RATE_MS)
  readonly #timeLeft = new TimeLeft()
  #fetchedBytes = 0
  #servedBytes = 0

  constructor(replica: ObservableReplica, health: Health, clock: Clock) {
    this.#replica = replica
    this.#health = health
    this.#clock = clock
    this.#logEnd = new LogEnd(replica, clock)
  }

  /** An event of the replica. */
  happened({ type, detail }: ReplicaEvent): void {
    if (type !== 'sync') return
    if (detail.type === 'fetched') this.#fetchedBytes += detail.bytes
    if (detail.type === 'served') this.#servedBytes += detail.bytes
  }

  /** Nobody has looked for a while. Rates begin anew. Resolves when the log has told where it ends, or cannot tell. */
  async begin(): Promise<void> {
    for (const one of [this.#applied, this.#fetched, this.#served, this.#logEnd]) one.restart()
    await this.#logEnd.look()
  }

  /** How it is now. Called a few times a second while somebody looks. */
  view(): PageView {
    const replica = this.#replica
    const { id, group, state, leader, term } = replica
    const members = namedMembers(replica.members, id, leader)
    const nowMs = this.#clock.now()
    void this.#logEnd.look()
    const { ready } = this.#health
    const log = this.#log()
    const self = { id, state, leader, applied: log.applied, newest: log.newest }
    return {
      atMs: this.#clock.wallNow(),
      group,
      self: id,
      version: packageVersion(),
      state,
      ...(!ready.ok && { reason: ready.text }),
      ...(leader !== undefined && { leader }),
      term,
      log,
      members: membersOf(members, replica.silentMembers, self, nowMs),
      anchors: anchorsOf(replica.anchors),
      offers: offersOf(members, replica, nowMs),
      catchUps: this.#timeLeft.of(catchUpsOf(members, replica)),
      rates: this.#rates(nowMs),
    }
  }

  #log(): LogView {
    const { logConnected: connected, position, logHolds } = this.#replica
    const bounds = this.#logEnd.bounds
    const applied = position.index
    const newest = Math.max(applied, bounds?.newest.index ?? 0)
    return { connected, first: bounds?.first ?? 0, newest, applied, holds: holdsOf(logHolds) }
  }

  #rates(nowMs: number): RatesView {
    const { state, position } = this.#replica
    // An install is no work of applying entries.
    if (state === 'starting' || state === 'catching-up') this.#applied.restart()
    this.#applied.sample(nowMs, position.index)
    this.#fetched.sample(nowMs, this.#fetchedBytes)
    this.#served.sample(nowMs, this.#servedBytes)
    return {
      appliedPerSecond: this.#applied.perSecond,
      appendedPerSecond: this.#logEnd.appendedPerSecond,
      fetchedPerSecond: this.#fetched.perSecond,
      servedPerSecond: this.#served.perSecond,
    }
  }
}
