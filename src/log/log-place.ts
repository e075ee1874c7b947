import { namesServers, parseServers } from './jetstream/servers.ts'
import type { JetstreamLogOptions } from './jetstream.ts'

export { namesServers }

/** Where a log is: the path of a SQLite file, the URLs of NATS servers, or the options of `jetstreamLog`. */
export type LogPlace = string | JetstreamLogOptions

/** A place with its backend. */
export type ResolvedPlace =
  | { readonly backend: 'sqlite'; readonly path: string }
  | { readonly backend: 'jetstream'; readonly options: JetstreamLogOptions }

export function resolvePlace(place: LogPlace): ResolvedPlace {
  if (typeof place !== 'string') return { backend: 'jetstream', options: place }
  if (namesServers(place)) return { backend: 'jetstream', options: { servers: place } }
  return { backend: 'sqlite', path: place }
}

/** The place's name for people, without user names and passwords. */
export function placeName(place: LogPlace): string {
  const resolved = resolvePlace(place)
  if (resolved.backend === 'sqlite') return resolved.path
  const { servers, tls } = parseServers(resolved.options.servers)
  const scheme = tls === undefined ? 'nats' : 'tls'
  return [servers]
    .flat()
    .map((host) => `${scheme}://${host}`)
    .join(',')
}

/** Throws `RangeError` if the URLs of servers cannot be used. */
export function checkServers(servers: string): void {
  parseServers(servers)
}
