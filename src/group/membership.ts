import { sameBytes } from '../bytes.ts'
import { LeaseTable } from '../leases/lease-table.ts'
import { Sweeper } from '../leases/sweeper.ts'
import { isConnected, type Log } from '../log/log.ts'
import { isFresh, type Presence, Sightings } from '../log/presence.ts'
import type { Clock } from '../time/clock.ts'
import { type Announcement, decodeAnnouncement } from './announcement.ts'
import type { Member } from './member.ts'
import type { OwnPresence } from './namesakes.ts'
import { type SilentMember, SilentMembers } from './silent-members.ts'

export type { Member } from './member.ts'

export interface MembershipInit {
  /**
   * The log, with its presence store. While the log's servers cannot be reached, the presence store cannot
   * either.
   */
  readonly log: Pick<Log, 'notices' | 'connection'>
  readonly clock: Clock
  /** This replica's own id, once it announces itself. */
  readonly self?: string
  /** The incarnation of the log. Members of another incarnation are not counted. */
  readonly epoch: string
  /**
   * How long members have to announce themselves after the presence store can be reached again, in
   * milliseconds.
   */
  readonly graceMs?: number
}

/** Receives what the presence store says. */
export interface MembershipListener {
  /** A member came, left, or announced something new. */
  membersChanged(): void
  /** The store was read and holds a presence with this replica's id. Another process may have written it. */
  sawOwn?(notice: OwnPresence): void
}

/**
 * The members of the group, by their announcements. An announcement that does not change ages by this
 * process's clock, which never jumps. While the presence store cannot be reached, no member can announce
 * anything, so silence says nothing. The members at that time then stay until each has had time to announce
 * itself again.
 */
export class Membership {
  readonly #init: MembershipInit
  readonly #members = new Map<string, Member>()
  readonly #leases: LeaseTable<string>
  readonly #silent: SilentMembers
  readonly #sightings = new Sightings()
  readonly #said = new Map<
    string,
    { readonly data: Uint8Array; readonly announcement: Announcement | undefined }
  >()

  /**
   * Members stay until then, even if they are silent. Infinite from a reconnection until the presence store
   * is read for the first time.
   */
  #graceUntilMs = Number.NEGATIVE_INFINITY

  readonly #listeners = new Set<MembershipListener>()

  constructor(init: MembershipInit) {
    this.#init = init
    this.#leases = new LeaseTable({ clock: init.clock })
    this.#silent = new SilentMembers(init.clock, init.self)
  }

  /** Tell a listener from now on. Returns what ends that. */
  listen(listener: MembershipListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Everyone whose announcement is fresh, this replica included, sorted by id. */
  list(): Member[] {
    const nowMs = this.#init.clock.now()
    return [...this.#members.values()].filter(({ id }) => this.#isFresh(id, nowMs))
  }

  get(id: string): Member | undefined {
    return this.#isFresh(id, this.#init.clock.now()) ? this.#members.get(id) : undefined
  }

  /**
   * Members that fell silent, or took their leave, in the last ten minutes, as far as this process saw them or the
   * presence store still has what they announced; at most 200, the last ones first.
   */
  get silent(): SilentMember[] {
    this.#silent.look(this.list())
    return this.#silent.list
  }

  /** The presence store can be reached again. */
  reconnected(): void {
    this.#graceUntilMs = Number.POSITIVE_INFINITY
  }

  async refresh(): Promise<void> {
    this.#take(await this.#init.log.notices.read())
  }

  /** Follow the presence store until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#init
    const sweeper = new Sweeper({
      table: this.#leases,
      clock,
      onExpired: (id) => {
        if (!this.#isFresh(id, clock.now())) this.#members.delete(id)
        this.#changed()
      },
    })
    try {
      for await (const all of log.notices.watch({ signal })) this.#take(all)
    } finally {
      sweeper.stop()
    }
  }

  #take(presences: readonly Presence[]): void {
    const nowMs = this.#init.clock.now()
    const members: Member[] = []
    const expired: Member[] = []
    for (const presence of this.#sightings.look(presences, nowMs)) {
      const { member: id, data, ageMs, ttlMs, version } = presence
      const announcement = this.#decode(id, data)
      if (announcement === undefined || announcement.epoch !== this.#init.epoch) continue
      if (id === this.#init.self) {
        const { process = '', state } = announcement
        const own = { process, version, state, isFresh: isFresh(presence) }
        for (const listener of [...this.#listeners]) listener.sawOwn?.(own)
      }
      const member = { id, ...announcement, announcedAtMs: nowMs - ageMs, untilMs: nowMs - ageMs + ttlMs }
      if (isFresh(presence)) members.push(member)
      else expired.push(member)
    }
    if (this.#graceUntilMs === Number.POSITIVE_INFINITY)
      this.#graceUntilMs = nowMs + (this.#init.graceMs ?? 0)
    members.push(...this.#kept(presences, members, nowMs))
    members.sort((a, b) => (a.id < b.id ? -1 : 1))
    this.#members.clear()
    this.#leases.clear()
    if (this.#said.size > presences.length) this.#said.clear()
    for (const member of members) {
      this.#members.set(member.id, member)
      this.#leases.registerUntil(member.id, member.untilMs, nowMs)
    }
    this.#changed(expired)
  }

  /** Members that have no fresh presence in `presences` and stay members all the same. */
  #kept(presences: readonly Presence[], members: readonly Member[], nowMs: number): Member[] {
    const speaking = new Set(members.map(({ id }) => id))
    const silent = [...this.#members.values()].filter(({ id }) => !speaking.has(id))
    if (nowMs < this.#graceUntilMs)
      return silent.map((member) => ({ ...member, untilMs: this.#graceUntilMs }))
    const { self } = this.#init
    const present = new Set(presences.map(({ member }) => member))
    // If the presence store has lost this replica's own presence, it may have lost others: a missing one does
    // not mean that the member left.
    const isComplete = self === undefined || !this.#members.has(self) || present.has(self)
    return isComplete ? [] : silent.filter(({ id, untilMs }) => !present.has(id) && untilMs > nowMs)
  }

  #changed(expired: readonly Member[] = []): void {
    this.#silent.look(this.list(), expired)
    for (const listener of [...this.#listeners]) listener.membersChanged()
  }

  #isFresh(id: string, nowMs: number): boolean {
    const isWaitedFor = !isConnected(this.#init.log) || nowMs < this.#graceUntilMs
    return isWaitedFor || this.#leases.isExpired(id, nowMs) === false
  }

  /**
   * When one member announces something, the presences of all are read, and most are unchanged: decode only
   * those that changed.
   */
  #decode(id: string, data: Uint8Array): Announcement | undefined {
    const said = this.#said.get(id)
    if (said !== undefined && sameBytes(said.data, data)) return said.announcement
    const announcement = decodeAnnouncement(data)
    this.#said.set(id, { data, announcement })
    return announcement
  }
}
