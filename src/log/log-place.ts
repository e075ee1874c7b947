import { namesServers as namesNats, parseServers } from './jetstream/servers.ts'
import type { JetstreamLogOptions } from './jetstream.ts'
import { namesPostgres, parseHosts, placeOfAll } from './postgres/hosts.ts'
import type { PostgresLogOptions } from './postgres.ts'

/**
 * Where a log is: the path of a SQLite file, the URLs of NATS servers, the connection string of a PostgreSQL
 * database, or the options of `jetstreamLog` or `postgresLog`.
 */
export type LogPlace = string | JetstreamLogOptions | PostgresLogOptions

/** A place with its backend. */
export type ResolvedPlace =
  | { readonly backend: 'sqlite'; readonly path: string }
  | { readonly backend: 'jetstream'; readonly options: JetstreamLogOptions }
  | { readonly backend: 'postgres'; readonly options: PostgresLogOptions }

export function resolvePlace(place: LogPlace): ResolvedPlace {
  if (typeof place !== 'string') {
    if ('connectionString' in place) return { backend: 'postgres', options: place }
    return { backend: 'jetstream', options: place }
  }
  if (namesNats(place)) return { backend: 'jetstream', options: { servers: place } }
  if (namesPostgres(place)) return { backend: 'postgres', options: { connectionString: place } }
  return { backend: 'sqlite', path: place }
}

/** The place's name for people, without user names and passwords. */
export function placeName(place: LogPlace): string {
  const resolved = resolvePlace(place)
  switch (resolved.backend) {
    case 'sqlite':
      return resolved.path
    case 'jetstream':
      return serversName(resolved.options)
    case 'postgres':
      return placeOfAll(parseHosts(resolved.options.connectionString))
    default:
      return resolved satisfies never
  }
}

function serversName(options: JetstreamLogOptions): string {
  const { servers, tls } = parseServers(options.servers)
  const scheme = tls === undefined ? 'nats' : 'tls'
  return [servers]
    .flat()
    .map((host) => `${scheme}://${host}`)
    .join(',')
}
