/**
 * The service that owns the stream. It knows nothing of Anchorage.
 *
 * - `npx node shop.ts nats://localhost:4222 sell 300`: so many orders are placed, and two of three are paid.
 * - `npx node shop.ts nats://localhost:4222 purge`: what an hour does to the stream, at once.
 */
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, nanos } from '@nats-io/transport-node'

const CUSTOMERS = ['ada', 'bob', 'cy']
const HOUR_MS = 60 * 60 * 1_000

const [servers = 'nats://localhost:4222', what = 'sell', count = '3'] = process.argv.slice(2)
const connection = await connect({ servers })
const manager = await jetstreamManager(connection)
await manager.streams.add({ name: 'ORDERS', subjects: ['orders.>'], max_age: nanos(HOUR_MS) })

if (what === 'purge') await manager.streams.purge('ORDERS')
else await sell(Number(count))

const { state } = await manager.streams.info('ORDERS')
console.log(`the stream has ${state.messages} messages, and had ${state.last_seq}`)
await connection.close()

async function sell(orders: number): Promise<void> {
  const stream = jetstream(connection)
  for (let n = 0; n < orders; n++) {
    const order = JSON.stringify({ customer: CUSTOMERS[n % 3], cents: 500 })
    await stream.publish('orders.placed', order)
    if (n % 3 !== 2) await stream.publish('orders.paid', order)
  }
}
