import { randomBytes } from 'node:crypto'
import { type LogPlace, placeName, resolvePlace } from '../../log/log-place.ts'
import { partsOfLog, removeLog } from '../../log/remove-log.ts'
import { clusterWarning, startNatsServers } from '../../processes/nats-servers.ts'
import { startPostgres } from '../../processes/postgres-server.ts'
import { asError } from '../../thrown.ts'
import { type LogFlags, placeOf } from '../log/log-flags.ts'
import { counted, type Output } from '../output.ts'
import type { DemoEnvironment } from './environment.ts'
import type { DemoReporter } from './reporter.ts'

const NATS_SERVERS = 3

/** Servers that the demo starts. */
interface Servers {
  stop(): Promise<void>
}

/** Three servers of this machine, each of which keeps the log. Rejects with `NatsServerMissing`. */
export async function ownNatsServers(reporter: DemoReporter): Promise<DemoEnvironment> {
  reporter.say(`starting ${NATS_SERVERS} NATS servers, each a process, as one JetStream cluster`)
  const warning = clusterWarning()
  if (warning !== undefined) reporter.say(warning)
  const servers = await startNatsServers({ servers: NATS_SERVERS })
  return await onOwn(servers, { log: servers.urls.join(','), logReplicas: NATS_SERVERS })
}

/** A server of this machine. Rejects with `PostgresMissing`. */
export async function ownPostgres(reporter: DemoReporter): Promise<DemoEnvironment> {
  reporter.say('starting PostgreSQL')
  const postgres = await startPostgres()
  return await onOwn(postgres, { log: postgres.url })
}

async function onOwn(servers: Servers, flags: LogFlags): Promise<DemoEnvironment> {
  const place = await placeOf(flags)
  return {
    text: textOf(place),
    group: 'demo',
    servers: { flags, place },
    [Symbol.asyncDispose]: () => servers.stop(),
  }
}

/** Servers of the user's. The demo has a group of its own there, whose log is removed when the demo ends. */
export async function runningServers(flags: LogFlags, output: Output): Promise<DemoEnvironment> {
  const group = `demo-${randomBytes(4).toString('hex')}`
  const place = await placeOf(flags)
  return {
    text: textOf(place),
    group,
    servers: { flags, place },
    async [Symbol.asyncDispose]() {
      try {
        await removeLog(place, group)
      } catch (error) {
        const left = await partsOfLog(place, group)
        output.note(
          `left on the servers, because they cannot be removed: ${left.join(', ')}: ${asError(error).message}`,
        )
      }
    },
  }
}

function textOf(place: LogPlace): string {
  const resolved = resolvePlace(place)
  const where = placeName(place)
  switch (resolved.backend) {
    case 'jetstream': {
      const { replicas = 1 } = resolved.options
      return `one JetStream stream, ${counted(replicas, 'copy', 'copies')} of it, at ${where}`
    }
    case 'postgres':
      return `one table of PostgreSQL, at ${where}`
    case 'sqlite':
      throw new TypeError(`${where} is no place on servers`)
    default:
      return resolved satisfies never
  }
}
