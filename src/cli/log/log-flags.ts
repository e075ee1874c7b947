import { statSync } from 'node:fs'
import { type LogPlace, placeName, type ResolvedPlace, resolvePlace } from '../../log/log-place.ts'
import { asError } from '../../thrown.ts'
import { UsageError } from '../errors.ts'
import { connectionOf, type NatsFiles } from './nats-connection.ts'
import { type TlsFiles, tlsOf } from './tls-files.ts'

/** Where the log is, in the command line's terms. It is plain data, which can be sent to another process. */
export interface LogFlags extends NatsFiles, TlsFiles {
  /** A file's path, the URLs of NATS servers, or the connection string of a PostgreSQL database. */
  readonly log: string
  /** How many of the NATS servers keep it. */
  readonly logReplicas?: 1 | 3 | 5
}

/** The flags that only logs on some servers take. */
const OF_NATS = ['logReplicas', 'creds', 'nkey'] as const
const OF_SERVERS = ['tlsCa', 'tlsCert', 'tlsKey'] as const
/** The flags that only logs on servers take. */
export const SERVERS_FLAGS = [...OF_NATS, ...OF_SERVERS]

/** What a place that cannot be used should be. What cannot be taken apart may hold a password anywhere. */
const FORM = {
  jetstream:
    'a name or password there must be written with %2C for a comma, and so on: give nats://host:4222 with user:password@ before the host',
  postgres:
    'what is special in a name or password there must be written with % and its code, such as %2F for a slash: give postgres://user:password@host:5432/database',
}

/** A file's path, or servers with all that it takes to connect to them. Throws `UsageError`. */
export async function placeOf(flags: LogFlags): Promise<LogPlace> {
  const { log, logReplicas: replicas } = flags
  const { backend } = resolvePlace(log)
  if (backend === 'sqlite') assertFile(log)
  assertFlags(flags, backend)
  switch (backend) {
    case 'sqlite':
      return log
    case 'jetstream': {
      assertServers(log, backend)
      const connection = await connectionOf(flags)
      return { servers: log, connection, ...(replicas !== undefined && { replicas }) }
    }
    case 'postgres': {
      assertServers(log, backend)
      const ssl = await tlsOf(flags)
      return { connectionString: log, ...(ssl !== undefined && { ssl }) }
    }
    default:
      return backend satisfies never
  }
}

/** The flags that are not for the log that `--log` names. */
export function misusedFlags(flags: LogFlags): (typeof SERVERS_FLAGS)[number][] {
  const { backend } = resolvePlace(flags.log)
  if (backend === 'jetstream') return []
  const notTaken = backend === 'sqlite' ? SERVERS_FLAGS : OF_NATS
  return notTaken.filter((flag) => flags[flag] !== undefined)
}

function assertFlags(flags: LogFlags, backend: ResolvedPlace['backend']): void {
  const [misused] = misusedFlags(flags)
  if (misused === undefined) return
  const isOfNats = OF_NATS.some((flag) => flag === misused)
  throw new UsageError(
    `${dashed(misused)} is for a log on ${isOfNats ? 'NATS servers' : 'servers'}, and ${placeName(flags.log)} is ${backend === 'sqlite' ? 'a file' : 'in PostgreSQL'}: name servers with --log nats://…${isOfNats ? '' : ' or postgres://…'}`,
  )
}

function assertFile(log: string): void {
  if (log === '') throw new UsageError('--log is empty: give the path of a file, or the URLs of servers')
  if (statSync(log, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--log names a directory, ${log}: name a file in it`)
  // A URL without its slashes may hold a password, and is no name for a file that is made, or missing.
  if (/^(\w+:\/\/|(nats|tls|postgres(ql)?):)/i.test(log)) {
    throw new UsageError(
      '--log names neither a file nor servers: of NATS, nats://… or tls://…, or of PostgreSQL, postgres://…',
    )
  }
}

function assertServers(servers: string, backend: keyof typeof FORM): void {
  try {
    placeName(servers)
  } catch (cause) {
    throw new UsageError(`--log: ${servers.includes('@') ? FORM[backend] : asError(cause).message}`)
  }
}

/** `tlsCa` as `--tls-ca`. */
export function dashed(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
