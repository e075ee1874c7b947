import { type Announcement, encodeAnnouncement } from '../../src/group/announcement.ts'
import type { Watched, WatchedGroup } from './watched-group.ts'

/** Longer than any test. */
const TTL_MS = 600_000

/** Members that are there on paper only: what they announce is in the presence store of the group's real log. */
export async function announce(
  { group, log }: WatchedGroup,
  { replica, map }: Watched,
  members: ReadonlyMap<string, Partial<Announcement>>,
): Promise<void> {
  const handle = await log.open({ group, signature: map.signature, author: 'a test' })
  for (const [member, given] of members) {
    const announcement: Announcement = {
      epoch: replica.position.epoch,
      addresses: ['/ip4/127.0.0.1/tcp/1'],
      state: 'in-sync',
      applied: 1,
      leads: 0,
      offers: [],
      needs: 0,
      checkpoint: 0,
      ...given,
    }
    await handle.notices.announce(member, encodeAnnouncement(announcement), TTL_MS)
  }
  await handle.close()
}
