import type { Announcement } from './announcement.ts'

/** A member with a fresh announcement. */
export interface Member extends Announcement {
  /** Its PeerId, as text. */
  readonly id: string
  /** When it made this announcement, by this process's clock. */
  readonly announcedAtMs: number
  /** When the announcement expires, by this process's clock. */
  readonly untilMs: number
}
