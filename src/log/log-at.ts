import { jetstreamLog } from './jetstream.ts'
import type { LogBackend } from './log.ts'
import { type LogPlace, resolvePlace } from './log-place.ts'
import { postgresLog } from './postgres.ts'
import { sqliteLog } from './sqlite.ts'

export type { LogPlace }

/**
 * The backend for a place, as a command line or a configuration file names it. A text that begins with `nats://` or
 * `tls://` is `jetstreamLog`, one that begins with `postgres://` or `postgresql://` is `postgresLog`, and any other one
 * is the path of a `sqliteLog`. Options are those of `postgresLog` if they have a `connectionString`, or else those of
 * `jetstreamLog`. Throws `RangeError` for an impossible option.
 */
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
