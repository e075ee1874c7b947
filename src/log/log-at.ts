import { jetstreamLog } from './jetstream.ts'
import type { LogBackend } from './log.ts'
import { type LogPlace, resolvePlace } from './log-place.ts'
import { sqliteLog } from './sqlite.ts'

export type { LogPlace }

/** The backend for a place, as a command line or a configuration file names it. */
export function logAt(place: LogPlace): LogBackend {
  const resolved = resolvePlace(place)
  return resolved.backend === 'sqlite' ? sqliteLog({ path: resolved.path }) : jetstreamLog(resolved.options)
}
