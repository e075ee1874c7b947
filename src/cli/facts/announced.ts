import { decodeAnnouncement } from '../../group/announcement.ts'
import type { Member } from '../../group/member.ts'
import type { Log } from '../../log/log.ts'
import { isFresh, type Sightings } from '../../log/presence.ts'
import { systemClock } from '../../time/clock.ts'

/** A replica, or for a moment a command that asks, by its newest announcement. */
export interface Announced extends Member {
  /** How long ago it announced that, in milliseconds. */
  readonly ageMs: number
  /** False for one that has expired. */
  readonly isFresh: boolean
}

/** What is announced in a log, of every incarnation of it. */
export async function announcedIn(
  log: Pick<Log, 'notices'>,
  { sightings, signal }: { readonly sightings: Sightings; readonly signal: AbortSignal },
): Promise<Announced[]> {
  const presences = await log.notices.read({ signal })
  const nowMs = systemClock.now()
  return sightings.look(presences, nowMs).flatMap((presence) => {
    const announcement = decodeAnnouncement(presence.data)
    if (announcement === undefined) return []
    const { member: id, ageMs, ttlMs } = presence
    const announcedAtMs = nowMs - ageMs
    const untilMs = announcedAtMs + ttlMs
    return [{ id, ...announcement, announcedAtMs, untilMs, ageMs, isFresh: isFresh(presence) }]
  })
}
