import { rm } from 'node:fs/promises'
import type { LogPlace } from '../log/log-at.ts'

/** Remove the log of a group, with all that belongs to it. */
export async function removeLog(place: LogPlace, group: string): Promise<void> {
  if (typeof place === 'string') {
    for (const part of ['', '-wal', '-shm']) await rm(`${place}${part}`, { force: true })
    return
  }
  // Brings the client of NATS with it.
  const { removeStreams, streamsOf } = await import('./nats-streams.ts')
  await removeStreams(place, streamsOf(group))
}
