/** A stream of NATS JetStream without anything of ours: `stream.ts write URL ROWS ROUNDS` or `read URL KEY`. */

import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { history, rowsIn } from '../history.ts'
import { say, serve } from '../lines.ts'

const [STREAM, SUBJECT] = ['FIGURES', 'figures.rows']
/** Messages that are asked for at once. */
const MESSAGES_MAX = 10_000

say({ event: 'loaded' })
const [mode, servers, ...rest] = process.argv.slice(2) as [string, string, ...string[]]
const nats = await connect({ servers })
const manager = await jetstreamManager(nats)
if (mode === 'write') await write(rest[0]!, Number(rest[1]))
else await read(rest[0]!)

async function write(path: string, rounds: number): Promise<void> {
  await manager.streams.add({ name: STREAM, subjects: [SUBJECT] })
  const client = jetstream(nats)
  let messages = 0
  for (const batch of history(await rowsIn(path), rounds)) {
    const texts = batch.map(([key, value]) => `${key}\t${value}`)
    messages += texts.length
    const last = texts.pop()!
    for (const text of texts) nats.publish(SUBJECT, text)
    // The server stores them in order. So one acknowledgement is of the whole batch, and bounds what waits there.
    const { seq } = await client.publish(SUBJECT, last)
    if (seq !== messages) throw new Error(`the stream has ${seq} of ${messages} messages`)
  }
  await nats.close()
  say({ event: 'ready' })
}

/** Replay all messages, the newest value of a key wins. */
async function read(key: string): Promise<void> {
  const map = new Map<string, string>()
  const { state } = await manager.streams.info(STREAM)
  const consumer = await jetstream(nats).consumers.get(STREAM, {
    deliver_policy: DeliverPolicy.All,
  })
  const messages = await consumer.consume({ max_messages: MESSAGES_MAX })
  for await (const message of messages) {
    const text = message.string()
    const tab = text.indexOf('\t')
    map.set(text.slice(0, tab), text.slice(tab + 1))
    if (message.seq === state.last_seq) break
  }
  say({ event: 'ready', value: map.get(key), items: map.size })
  await serve(
    () => map,
    () => nats.close(),
  )
}
