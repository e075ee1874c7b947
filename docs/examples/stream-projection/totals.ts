/**
 * What each customer has paid, made of the shop's stream: `npx node totals.ts nats://localhost:4222 a 8081`. The
 * servers, a name, and a port at which it answers.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createReplica, jetstreamLog, ReplicatedMap } from 'anchorage'
import { projection } from 'anchorage/machines'

interface Order {
  readonly customer: string
  readonly cents: number
}

/** How long a request may wait for the stream, in milliseconds. After that it is answered with 503. */
const WAIT_MS = 2_000

const [servers = 'nats://localhost:4222', name = 'a', port = '8081'] = process.argv.slice(2)
const totals = new ReplicatedMap<string, number>()
await using replica = await createReplica({
  group: 'totals',
  machine: projection<Order>({
    // Another `on` makes another state of the same messages. Give it another version then.
    version: 'totals/1',
    state: totals,
    wants: ({ message }) => message?.subject === 'orders.paid',
    // It looks at nothing but the message and the state, so that all replicas come to the same.
    *on({ customer, cents }) {
      if (!Number.isSafeInteger(cents)) throw new TypeError(`${cents} is no number of cents`)
      yield totals.commands.set(customer, (totals.get(customer) ?? 0) + cents)
    },
  }),
  // The shop's messages are entries as they stand. The subject is for the group's own entries.
  log: jetstreamLog({ servers, stream: 'ORDERS', control: 'orders.anchorage' }),
  dataDir: `data-${name}`,
})
// Others can write anything to a stream. What `on` throws for is skipped, on all replicas alike.
replica.addEventListener('skipped', ({ detail }) => console.error(`${name} skipped: ${detail.why}`))
replica.addEventListener('caught-up', ({ detail }) => {
  console.log(
    `${name} got the totals at message ${detail.anchor.index} from ${detail.providersUsed.length} other`,
  )
})
await replica.inSync()

const server = createServer((_request, response) => {
  const answered = answer().catch((error: unknown) => ({ status: 503, body: { error: String(error) } }))
  void answered.then(({ status, body }) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(`${JSON.stringify(body)}\n`)
  })
})
server.listen(Number(port), '127.0.0.1')
await once(server, 'listening')
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => server.close())
console.log(`${name} is in sync: http://127.0.0.1:${port}/`)
await once(server, 'close')

/** All totals, with everything in them that was in the stream before the question. */
async function answer() {
  await replica.barrier({ signal: AbortSignal.timeout(WAIT_MS) })
  return { status: 200, body: Object.fromEntries(totals) }
}
