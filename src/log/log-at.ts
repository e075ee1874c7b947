import { namesServers } from './jetstream/servers.ts'
import { type JetstreamLogOptions, jetstreamLog } from './jetstream.ts'
import type { LogBackend } from './log.ts'
import { sqliteLog } from './sqlite.ts'

/** Where a log is: the path of a SQLite file, the URLs of NATS servers, or the options of `jetstreamLog`. */
export type LogPlace = string | JetstreamLogOptions

/** The backend for a place, as a command line or a configuration file names it. */
export function logAt(place: LogPlace): LogBackend {
  if (typeof place !== 'string') return jetstreamLog(place)
  return namesServers(place) ? jetstreamLog({ servers: place }) : sqliteLog({ path: place })
}
