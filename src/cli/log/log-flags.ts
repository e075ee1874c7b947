import { statSync } from 'node:fs'
import { checkServers, type LogPlace, namesServers } from '../../log/log-place.ts'
import { asError } from '../../thrown.ts'
import { UsageError } from '../errors.ts'
import { connectionOf, type NatsFiles } from './nats-connection.ts'

/** Where the log is, in the command line's terms. It is plain data, which can be sent to another process. */
export interface LogFlags extends NatsFiles {
  /** A file's path, or the URLs of NATS servers. */
  readonly log: string
  /** How many of the servers keep it. */
  readonly logReplicas?: 1 | 3 | 5
}

/** A file's path, or servers with all that it takes to connect to them. Throws `UsageError`. */
export async function placeOf({ log, ...flags }: LogFlags): Promise<LogPlace> {
  if (!namesServers(log)) {
    assertFile(log, flags)
    return log
  }
  assertServers(log)
  const { logReplicas: replicas, ...files } = flags
  const connection = await connectionOf(files)
  return { servers: log, connection, ...(replicas !== undefined && { replicas }) }
}

function assertFile(log: string, flags: Omit<LogFlags, 'log'>): void {
  if (log === '') throw new UsageError('--log is empty: give the path of a file, or the URLs of NATS servers')
  if (statSync(log, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--log names a directory, ${log}: name a file in it`)
  if (/^\w+:\/\//.test(log))
    throw new UsageError('--log names neither a file nor NATS servers, which are nats://… or tls://…')
  const misused = Object.entries(flags).find(([, value]) => value !== undefined)?.[0]
  if (misused === undefined) return
  throw new UsageError(
    `${dashed(misused)} is for a log on NATS servers, and ${log} is a file: name servers with --log nats://…`,
  )
}

function assertServers(servers: string): void {
  try {
    checkServers(servers)
  } catch (cause) {
    // What cannot be taken apart may hold a password anywhere.
    const why = servers.includes('@')
      ? 'a name or password there must be written with %2C for a comma, and so on: give nats://host:4222 with user:password@ before the host'
      : asError(cause).message
    throw new UsageError(`--log: ${why}`)
  }
}

/** `tlsCa` as `--tls-ca`. */
export function dashed(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
