import { type LogPlace, resolvePlace } from './log-place.ts'
import { filesOf, removeFiles } from './sqlite/remove.ts'

/** What the log of a group consists of: the files, or the names of the streams. */
export async function partsOfLog(place: LogPlace, group: string): Promise<string[]> {
  const resolved = resolvePlace(place)
  if (resolved.backend === 'sqlite') return filesOf(resolved.path)
  // The client of NATS takes a while to load, which a program on a file need not wait for.
  const { streamsOf } = await import('./jetstream/remove.ts')
  return streamsOf(group)
}

/** Remove the log of a group, with all that belongs to it. What is gone already is no error. */
export async function removeLog(place: LogPlace, group: string): Promise<void> {
  const resolved = resolvePlace(place)
  const parts = await partsOfLog(place, group)
  if (resolved.backend === 'sqlite') return await removeFiles(parts)
  const { removeStreams } = await import('./jetstream/remove.ts')
  await removeStreams(resolved.options, parts)
}
