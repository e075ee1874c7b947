import { randomBytes } from 'node:crypto'
import { streamName } from '../../log/jetstream/stream.ts'
import type { JetstreamLogOptions } from '../../log/jetstream.ts'
import { clusterWarning, startNatsServers } from '../../testing/index.ts'
import { type LogFlags, placeName, placeOf } from '../log-place.ts'
import { removeStreams, streamsOf } from '../nats-streams.ts'
import { counted, type Output } from '../output.ts'
import type { DemoEnvironment } from './environment.ts'
import { plainNatsReplay } from './measured.ts'
import type { DemoReporter } from './reporter.ts'

const OWN_SERVERS = 3
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? './replica-process.ts' : './replica-process.js',
  import.meta.url,
)

/** Three servers of this machine, each of which keeps the log. Rejects with `NatsServerMissing`. */
export async function ownServers(reporter: DemoReporter): Promise<DemoEnvironment> {
  reporter.say(`starting ${OWN_SERVERS} NATS servers, each a process, as one JetStream cluster`)
  const warning = clusterWarning()
  if (warning !== undefined) reporter.say(warning)
  const servers = await startNatsServers({ servers: OWN_SERVERS })
  const flags: LogFlags = { log: servers.urls.join(','), logReplicas: OWN_SERVERS }
  return {
    ...natsEnvironment(await placeOfServers(flags), flags, 'demo'),
    [Symbol.asyncDispose]: () => servers.stop(),
  }
}

/** Servers that run and know nothing of this: a group of its own, removed when the demo ends. */
export async function runningServers(flags: LogFlags, output: Output): Promise<DemoEnvironment> {
  const group = `demo-${randomBytes(4).toString('hex')}`
  const place = await placeOfServers(flags)
  return {
    ...natsEnvironment(place, flags, group),
    async [Symbol.asyncDispose]() {
      const left = streamsOf(group)
      try {
        await removeStreams(place, left)
      } catch (error) {
        output.note(`the streams ${left.join(' and ')} are left on the servers: ${(error as Error).message}`)
      }
    },
  }
}

function natsEnvironment(
  place: JetstreamLogOptions,
  flags: LogFlags,
  group: string,
): Omit<DemoEnvironment, typeof Symbol.asyncDispose> {
  const { replicas = 1 } = place
  return {
    text: `one JetStream stream, ${counted(replicas, 'copy', 'copies')} of it, at ${placeName(place)}`,
    // Each process reads the files of the flags for itself: what is made of them cannot be sent.
    init: { group, log: flags.log, program: PROGRAM, options: { settings: flags } },
    place: () => place,
    plainReplay: (_, signal) => plainNatsReplay({ flags, stream: streamName(group) }, signal),
    /** The servers purge at once. */
    async swept() {},
  }
}

async function placeOfServers(flags: LogFlags): Promise<JetstreamLogOptions> {
  const place = await placeOf(flags)
  if (typeof place === 'string') throw new TypeError(`${place} is no place on servers`)
  return place
}
