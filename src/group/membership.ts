import type { Clock } from '../expiry/clock.ts'
import type { Notice, NoticeBoard } from '../log/notices.ts'
import { type Announcement, decodeAnnouncement } from './announcement.ts'

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
  readonly notices: NoticeBoard
  readonly clock: Clock
  /** The incarnation of the log: members of another one are not counted. */
  readonly epoch: string
  readonly onChange: () => void
}

/** Who is in the group, as their announcements tell. An announcement's age is judged by the notice board's clock. */
export class Membership {
  readonly #init: MembershipInit
  #members: readonly Member[] = []

  constructor(init: MembershipInit) {
    this.#init = init
  }

  /** Everyone whose announcement is fresh, this replica included, sorted by id. */
  list(): Member[] {
    const nowMs = this.#init.clock.now()
    return this.#members.filter((member) => member.untilMs > nowMs)
  }

  get(id: string): Member | undefined {
    return this.list().find((member) => member.id === id)
  }

  async refresh(): Promise<void> {
    this.#take(await this.#init.notices.read())
  }

  /** Follow the notice board until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for await (const notices of this.#init.notices.watch({ signal })) this.#take(notices)
  }

  #take(notices: readonly Notice[]): void {
    const nowMs = this.#init.clock.now()
    const members: Member[] = []
    for (const { member: id, data, ageMs, ttlMs } of notices) {
      const announcement = decodeAnnouncement(data)
      if (announcement === undefined || announcement.epoch !== this.#init.epoch) continue
      members.push({ id, ...announcement, announcedAtMs: nowMs - ageMs, untilMs: nowMs - ageMs + ttlMs })
    }
    this.#members = members.sort((a, b) => (a.id < b.id ? -1 : 1))
    this.#init.onChange()
  }
}
