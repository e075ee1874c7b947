import { setTimeout as delay } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { jetstreamLog, type LogBackend } from '../../../src/index.ts'
import { GROUP, type StreamPlace } from './subject.ts'

export interface Made {
  readonly stream: string
  /** The server that leads the stream. */
  readonly url: string
  readonly subject: string
  readonly backend: LogBackend
}

const POLL_INTERVAL_MS = 20
const WAIT_MS = 30_000

/**
 * The stream of the log, with our log's settings for either side. Each side connects to the server that leads
 * the stream: another server would be slower, and which one it is would be left to chance.
 */
export async function make({ servers, stream }: StreamPlace<'jetstream'>): Promise<Made> {
  const replicas = servers.length as 1 | 3 | 5
  const urls = servers.map(({ url }) => url)
  const log = await jetstreamLog({ servers: urls, replicas, stream }).open({
    group: GROUP,
    signature: GROUP,
    author: GROUP,
  })
  await log.close()
  const nc = await connect({ servers: urls })
  try {
    const jsm = await jetstreamManager(nc)
    for (
      const endMs = performance.now() + WAIT_MS;
      performance.now() < endMs;
      await delay(POLL_INTERVAL_MS)
    ) {
      const { config, cluster } = await jsm.streams.info(stream)
      const leader = servers.length === 1 ? servers[0] : servers.find(({ name }) => name === cluster?.leader)
      const areCurrent = (cluster?.replicas ?? []).every(({ current }) => current)
      if (leader === undefined || !areCurrent) continue
      const { url } = leader
      return {
        url,
        stream,
        subject: config.subjects[0]!,
        backend: jetstreamLog({ servers: url, replicas, stream }),
      }
    }
  } finally {
    await nc.close()
  }
  throw new Error(`the stream ${stream} has had no leader for ${WAIT_MS} ms`)
}

/** A stream of others on one server, as a plain client makes it. */
export async function makeForeign({ servers, stream }: StreamPlace<'foreign'>): Promise<Made> {
  const { url } = servers[0]!
  const nc = await connect({ servers: url })
  try {
    const jsm = await jetstreamManager(nc)
    await jsm.streams.add({ name: stream, subjects: [`${stream}.>`] })
  } finally {
    await nc.close()
  }
  const backend = jetstreamLog({ servers: url, stream, control: `${stream}.anchorage` })
  return { url, stream, subject: `${stream}.new`, backend }
}
