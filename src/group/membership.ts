import { LeaseTable } from '../leases/lease-table.ts'
import { Sweeper } from '../leases/sweeper.ts'
import { isFresh, type Presence, type PresenceStore, Sightings } from '../log/presence.ts'
import type { Clock } from '../time/clock.ts'
import { type Announcement, decodeAnnouncement } from './announcement.ts'
import type { OwnNotice } from './namesakes.ts'

/** A member whose announcement is fresh. */
export interface Member extends Announcement {
  /** Its PeerId, as text. */
  readonly id: string
  /** When it announced this, by this process's clock. */
  readonly announcedAtMs: number
  /** When the announcement ends, by this process's clock. */
  readonly untilMs: number
}

export interface MembershipInit {
  readonly notices: PresenceStore
  readonly clock: Clock
  /** This replica's own id, once it announces itself. */
  readonly self?: string
  /** The board was read, and holds a notice by this replica's id; this process need not have written it. */
  readonly onOwn?: (notice: OwnNotice) => void
  /** The incarnation of the log: members of another one are not counted. */
  readonly epoch: string
  /** False while the log's servers, and so the presence store, cannot be reached. Default: always true. */
  readonly connected?: () => boolean
  /** How long a member has to speak again once they can be. */
  readonly graceMs?: number
  /** Somebody came, went, or said something new. */
  readonly onChange: () => void
}

/**
 * Who is in the group, as their announcements tell. One that does not change ages by this process's clock, which never jumps. While
 * nobody can announce anything, silence says nothing: whoever was there stays, and for a while after, until all have had time to
 * speak.
 */
export class Membership {
  readonly #init: MembershipInit
  readonly #members = new Map<string, Member>()
  readonly #leases: LeaseTable<string>
  readonly #sightings = new Sightings()
  readonly #said = new Map<
    string,
    { readonly data: Uint8Array; readonly announcement: Announcement | undefined }
  >()

  /** Infinite until the board was read for the first time after it could not be reached. */
  #graceUntilMs = Number.NEGATIVE_INFINITY

  constructor(init: MembershipInit) {
    this.#init = init
    this.#leases = new LeaseTable({ clock: init.clock })
  }

  /** Everyone whose announcement is fresh, this replica included, sorted by id. */
  list(): Member[] {
    const nowMs = this.#init.clock.now()
    return [...this.#members.values()].filter(({ id }) => this.#isFresh(id, nowMs))
  }

  get(id: string): Member | undefined {
    return this.#isFresh(id, this.#init.clock.now()) ? this.#members.get(id) : undefined
  }

  /** The presence store can be reached again. */
  reconnected(): void {
    this.#graceUntilMs = Number.POSITIVE_INFINITY
  }

  async refresh(): Promise<void> {
    this.#take(await this.#init.notices.read())
  }

  /** Follow the presence store until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, notices, onChange } = this.#init
    const sweeper = new Sweeper({
      table: this.#leases,
      clock,
      onExpired: (id) => {
        if (!this.#isFresh(id, clock.now())) this.#members.delete(id)
        onChange()
      },
    })
    try {
      for await (const all of notices.watch({ signal })) this.#take(all)
    } finally {
      sweeper.stop()
    }
  }

  #take(notices: readonly Presence[]): void {
    const nowMs = this.#init.clock.now()
    const members: Member[] = []
    for (const notice of this.#sightings.look(notices, nowMs)) {
      const { member: id, data, ageMs, ttlMs, version } = notice
      const announcement = this.#decode(id, data)
      if (announcement === undefined || announcement.epoch !== this.#init.epoch) continue
      if (id === this.#init.self) {
        const { process = '', state } = announcement
        this.#init.onOwn?.({ process, version, state, isFresh: isFresh(notice) })
      }
      if (!isFresh(notice)) continue
      members.push({ id, ...announcement, announcedAtMs: nowMs - ageMs, untilMs: nowMs - ageMs + ttlMs })
    }
    if (this.#graceUntilMs === Number.POSITIVE_INFINITY)
      this.#graceUntilMs = nowMs + (this.#init.graceMs ?? 0)
    members.push(...this.#kept(notices, members, nowMs))
    members.sort((a, b) => (a.id < b.id ? -1 : 1))
    this.#members.clear()
    this.#leases.clear()
    if (this.#said.size > notices.length) this.#said.clear()
    for (const member of members) {
      this.#members.set(member.id, member)
      this.#leases.registerUntil(member.id, member.untilMs, nowMs)
    }
    this.#init.onChange()
  }

  /** Those who do not speak on this board, and are members all the same. */
  #kept(notices: readonly Presence[], members: readonly Member[], nowMs: number): Member[] {
    const speaking = new Set(members.map(({ id }) => id))
    const silent = [...this.#members.values()].filter(({ id }) => !speaking.has(id))
    if (nowMs < this.#graceUntilMs)
      return silent.map((member) => ({ ...member, untilMs: this.#graceUntilMs }))
    const { self } = this.#init
    const present = new Set(notices.map(({ member }) => member))
    // A board that has lost this replica's notice has lost those of others: that one is missing does not say that it left.
    const isComplete = self === undefined || !this.#members.has(self) || present.has(self)
    return isComplete ? [] : silent.filter(({ id, untilMs }) => !present.has(id) && untilMs > nowMs)
  }

  #isFresh(id: string, nowMs: number): boolean {
    const isWaitedFor = this.#init.connected?.() === false || nowMs < this.#graceUntilMs
    return isWaitedFor || this.#leases.isExpired(id, nowMs) === false
  }

  /** Whenever one member speaks, all notices come: most say what they said before. */
  #decode(id: string, data: Uint8Array): Announcement | undefined {
    const said = this.#said.get(id)
    if (said !== undefined && Buffer.compare(said.data, data) === 0) return said.announcement
    const announcement = decodeAnnouncement(data)
    this.#said.set(id, { data, announcement })
    return announcement
  }
}
