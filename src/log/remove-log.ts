import { type LogPlace, resolvePlace } from './log-place.ts'
import { SCHEMA } from './postgres/options.ts'
import { filesOf, removeFiles } from './sqlite/remove.ts'

/** The parts of a group's log, for people: its files, its streams, or its rows. */
export async function partsOfLog(place: LogPlace, group: string): Promise<string[]> {
  const resolved = resolvePlace(place)
  switch (resolved.backend) {
    case 'sqlite':
      return filesOf(resolved.path)
    case 'jetstream': {
      // The servers' client takes a while to load. A program on a file need not wait for it.
      const { streamsOf } = await import('./jetstream/remove.ts')
      return streamsOf(resolved.options, group).map((stream) => `the stream ${stream}`)
    }
    case 'postgres': {
      const { log = group, schema = SCHEMA } = resolved.options
      return [`the rows of the log ${JSON.stringify(log)} in the schema ${schema}`]
    }
    default:
      return resolved satisfies never
  }
}

/**
 * Remove a group's log with all of its parts. It is no error if parts are gone already. A stream of others stays: only
 * what the group keeps beside it is removed.
 */
export async function removeLog(place: LogPlace, group: string): Promise<void> {
  const resolved = resolvePlace(place)
  switch (resolved.backend) {
    case 'sqlite':
      return await removeFiles(filesOf(resolved.path))
    case 'jetstream': {
      const { removeStreams, streamsOf } = await import('./jetstream/remove.ts')
      return await removeStreams(resolved.options, streamsOf(resolved.options, group))
    }
    case 'postgres': {
      const { removeRows } = await import('./postgres/remove.ts')
      return await removeRows(resolved.options, group)
    }
    default:
      return resolved satisfies never
  }
}
