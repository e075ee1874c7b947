import { type LogPlace, resolvePlace } from './log-place.ts'
import { filesOf, removeFiles } from './sqlite/remove.ts'

/** The parts of a group's log: its files, or the names of its streams. */
export async function partsOfLog(place: LogPlace, group: string): Promise<string[]> {
  const resolved = resolvePlace(place)
  if (resolved.backend === 'sqlite') return filesOf(resolved.path)
  // NATS's client takes a while to load. A program on a file need not wait for it.
  const { streamsOf } = await import('./jetstream/remove.ts')
  return streamsOf(group)
}

/** Remove a group's log with all of its parts. It is no error if parts are gone already. */
export async function removeLog(place: LogPlace, group: string): Promise<void> {
  const resolved = resolvePlace(place)
  const parts = await partsOfLog(place, group)
  if (resolved.backend === 'sqlite') return await removeFiles(parts)
  const { removeStreams } = await import('./jetstream/remove.ts')
  await removeStreams(resolved.options, parts)
}
