import { namesServers } from './jetstream/servers.ts'
import type { JetstreamLogOptions } from './jetstream.ts'
import type { LogBackend } from './log.ts'
import { sqliteLog } from './sqlite.ts'

/** Where a log is: the path of a SQLite file, the URLs of NATS servers, or these with more options. */
export type LogPlace = string | JetstreamLogOptions

/** The backend for a place, as a command line or a configuration names it. */
export function logAt(place: LogPlace): LogBackend {
  if (typeof place === 'string' && !namesServers(place)) return sqliteLog({ path: place })
  const options = typeof place === 'string' ? { servers: place } : place
  return {
    async open(init) {
      // Brings NATS's client with it, which programs with a file need not wait for.
      const { jetstreamLog } = await import('./jetstream.ts')
      return await jetstreamLog(options).open(init)
    },
  }
}
