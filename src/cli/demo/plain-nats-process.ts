/** The log's commands, read with NATS's own client: its ordered consumer, as its manual shows it. */
import { once } from 'node:events'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { parseServers } from '../../log/jetstream/servers.ts'
import type { JetstreamLogOptions } from '../../log/jetstream.ts'
import { type LogFlags, placeOf } from '../log-place.ts'
import { PlainMap } from './plain-map.ts'

export interface NatsTask {
  readonly flags: LogFlags
  readonly stream: string
}

/** The client asks for 100 at a time by default; with more it is faster. */
const BATCH_MESSAGES = 1_000
const COMMAND = 0
/** Version, kind, and the lengths of three texts that stand before the payload. */
const HEAD_BYTES = 5

const [{ flags, stream }] = (await once(process, 'message')) as [NatsTask]
const { servers, connection } = (await placeOf(flags)) as JetstreamLogOptions
const map = new PlainMap()
const nc = await connect({ ...parseServers(servers), ...connection })
const { state } = await (await jetstreamManager(nc)).streams.info(stream)
const consumer = await jetstream(nc).consumers.get(stream)
let left = state.messages
for await (const { data } of await consumer.consume({ max_messages: BATCH_MESSAGES })) {
  const [, kind, epochBytes, authorBytes, idBytes] = data
  if (kind === COMMAND) map.apply(data, HEAD_BYTES + epochBytes! + authorBytes! + idBytes!)
  if (--left === 0) break
}
map.report()
await nc.close()
