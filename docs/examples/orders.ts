/**
 * Orders that other services publish, summed up for each customer and served over HTTP. Start it as often as you like,
 * with a port and a directory each: `node orders.ts 8081 data-1`.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createReplica, jetstreamLog, type LogBackend, ReplicatedMap } from 'anchorage'
import { projection } from 'anchorage/machines'

export interface Order {
  readonly customer: string
  readonly cents: number
}

/** The stream is theirs, and so are its messages. Ours go to the subject `control`, which the stream takes too. */
export const ordersLog = (servers = 'nats://127.0.0.1:4222'): LogBackend =>
  jetstreamLog({ servers, stream: 'ORDERS', control: 'orders.anchorage' })

/** One replica of the sums, behind HTTP: `GET /ada` answers what ada has paid. */
export class OrderSums {
  readonly sums = new ReplicatedMap<string, number>()
  readonly #machine = projection<Order>({
    version: 'order-sums/1',
    state: this.sums,
    on: (order, { message }) => this.#on(order, message?.subject),
  })
  readonly #server = createServer((request, response) => {
    const { status, body } = this.#answer(request.url!)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(`${JSON.stringify(body)}\n`)
  })

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resolves when the sums are those of the stream. The replica then goes on following it. */
  async start(log: LogBackend, dataDir: string, port: number) {
    const replica = await createReplica({ group: 'order-sums', machine: this.#machine, log, dataDir })
    await replica.inSync()
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    return {
      replica,
      [Symbol.asyncDispose]: async () => {
        this.#server.close()
        await replica.stop()
      },
    }
  }

  #answer(path: string) {
    try {
      const customer = decodeURIComponent(path.slice(1))
      const cents = this.sums.get(customer)
      return { status: cents === undefined ? 404 : 200, body: { customer, cents: cents ?? null } }
    } catch (error) {
      // A name that is none, or a replica that has ended: another one will answer.
      return { status: error instanceof URIError ? 400 : 503, body: { error: String(error) } }
    }
  }

  *#on({ customer, cents }: Order, subject?: string) {
    if (subject === 'orders.paid') {
      // Others can write anything. What throws is skipped.
      if (!Number.isSafeInteger(cents)) throw new TypeError(`${cents} is no number of cents`)
      yield this.sums.commands.set(customer, (this.sums.get(customer) ?? 0) + cents)
    }
    if (subject === 'orders.forgotten') yield this.sums.commands.delete(customer)
  }
}

if (import.meta.main) {
  const [port = '8081', dataDir = `data-${port}`] = process.argv.slice(2)
  const orders = new OrderSums()
  const running = await orders.start(ordersLog(process.env.NATS_URL), dataDir, Number(port))
  console.log(
    `http://127.0.0.1:${orders.port}/CUSTOMER answers, at ${running.replica.position.index} messages`,
  )
  process.once('SIGINT', () => void running[Symbol.asyncDispose]())
}
