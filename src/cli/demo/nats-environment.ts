import { randomBytes } from 'node:crypto'
import type { JetstreamLogOptions } from '../../log/jetstream.ts'
import { placeName } from '../../log/log-place.ts'
import { partsOfLog, removeLog } from '../../log/remove-log.ts'
import { clusterWarning, startNatsServers } from '../../processes/nats-servers.ts'
import { asError } from '../../thrown.ts'
import { type LogFlags, placeOf } from '../log/log-flags.ts'
import { counted, type Output } from '../output.ts'
import type { DemoEnvironment } from './environment.ts'
import type { DemoReporter } from './reporter.ts'

const OWN_SERVERS = 3

/** Three servers of this machine, each of which keeps the log. Rejects with `NatsServerMissing`. */
export async function ownServers(reporter: DemoReporter): Promise<DemoEnvironment> {
  reporter.say(`starting ${OWN_SERVERS} NATS servers, each a process, as one JetStream cluster`)
  const warning = clusterWarning()
  if (warning !== undefined) reporter.say(warning)
  const servers = await startNatsServers({ servers: OWN_SERVERS })
  const flags: LogFlags = { log: servers.urls.join(','), logReplicas: OWN_SERVERS }
  const place = await placeOfServers(flags)
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
  const place = await placeOfServers(flags)
  return {
    text: textOf(place),
    group,
    servers: { flags, place },
    async [Symbol.asyncDispose]() {
      try {
        await removeLog(place, group)
      } catch (error) {
        const left = await partsOfLog(place, group)
        output.note(`the streams ${left.join(' and ')} are left on the servers: ${asError(error).message}`)
      }
    },
  }
}

function textOf(place: JetstreamLogOptions): string {
  const { replicas = 1 } = place
  return `one JetStream stream, ${counted(replicas, 'copy', 'copies')} of it, at ${placeName(place)}`
}

async function placeOfServers(flags: LogFlags): Promise<JetstreamLogOptions> {
  const place = await placeOf(flags)
  if (typeof place === 'string') throw new TypeError(`${place} is no place on servers`)
  return place
}
