import { jetstreamLog } from './jetstream.ts'
import type { LogBackend } from './log.ts'
import { type LogPlace, resolvePlace } from './log-place.ts'
import { postgresLog } from './postgres.ts'
import { sqliteLog } from './sqlite.ts'

export type { LogPlace }

/** The backend for a place, as a command line or a configuration file names it. */
export function logAt(place: LogPlace): LogBackend {
  const resolved = resolvePlace(place)
  switch (resolved.backend) {
    case 'sqlite':
      return sqliteLog({ path: resolved.path })
    case 'jetstream':
      return jetstreamLog(resolved.options)
    case 'postgres':
      return postgresLog(resolved.options)
    default:
      return resolved satisfies never
  }
}
