import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { streamName } from './names.ts'
import type { JetstreamLogOptions } from './options.ts'
import { parseServers } from './servers.ts'

/** Messages that the client asks for at a time. Its default is 100; with more it is faster. */
const BATCH_MESSAGES = 1_000
const COMMAND = 0
/** The length of a message's head: version, kind, and the lengths of three texts before the payload. */
const HEAD_BYTES = 5

/** Read a group's commands with NATS's own client: with its ordered consumer, as in its manual. */
export async function eachCommandOfStream(
  { servers, connection }: JetstreamLogOptions,
  group: string,
  onCommand: (bytes: Uint8Array, start: number) => void,
): Promise<void> {
  const nc = await connect({ ...parseServers(servers), ...connection })
  try {
    const stream = streamName(group)
    const { state } = await (await jetstreamManager(nc)).streams.info(stream)
    const consumer = await jetstream(nc).consumers.get(stream)
    let left = state.messages
    for await (const { data } of await consumer.consume({ max_messages: BATCH_MESSAGES })) {
      const [, kind, epochBytes, authorBytes, idBytes] = data
      if (kind === COMMAND) onCommand(data, HEAD_BYTES + epochBytes! + authorBytes! + idBytes!)
      if (--left === 0) break
    }
  } finally {
    await nc.close()
  }
}
