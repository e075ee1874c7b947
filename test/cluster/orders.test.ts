import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream'
import { connect, nanos } from '@nats-io/transport-node'
import { expect, test } from 'vitest'
import { startNatsServers } from '../../src/testing/index.ts'
import { describeNats } from '../log/nats.ts'

const PROGRAM = fileURLToPath(new URL('../../docs/examples/orders.ts', import.meta.url))
const BY_NAME = new URL('../setup/package-by-name.ts', import.meta.url).href
const HOUR_MS = 60 * 60 * 1_000
const CUSTOMERS = 40

/** One process of the example. */
class OrdersProcess implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>
  #url = ''

  constructor(dir: string, nats: string) {
    this.#process = spawn(process.execPath, ['--import', BY_NAME, PROGRAM, '0', dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NATS_URL: nats },
    })
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]()
  }

  /** Resolves with how many messages it had applied when it first answered. */
  async ready(): Promise<number> {
    const { value } = await this.#lines.next()
    const [, url, messages] = /^(http\S+)\/CUSTOMER answers, at (\d+) messages$/.exec(value) ?? []
    if (url === undefined) throw new Error(`it said ${value}`)
    this.#url = url
    return Number(messages)
  }

  async centsOf(customer: string): Promise<number | null> {
    const response = await fetch(`${this.#url}/${customer}`)
    return ((await response.json()) as { readonly cents: number | null }).cents
  }

  async sums(): Promise<(number | null)[]> {
    return await Promise.all(Array.from({ length: CUSTOMERS }, (_, n) => this.centsOf(`c${n}`)))
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await once(this.#process, 'exit')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    await this.kill()
  }
}

describeNats('the example of orders by other services', () => {
  test('has the same sums in three processes, one of which is killed, and in one that joins', async () => {
    await using nats = await startNatsServers()
    const nc = await connect({ servers: nats.urls })
    const jsm = await jetstreamManager(nc)
    await jsm.streams.add({
      name: 'ORDERS',
      subjects: ['orders.>'],
      storage: StorageType.File,
      max_age: nanos(HOUR_MS),
    })
    const js = jetstream(nc)
    const dir = await mkdtemp(join(tmpdir(), 'anchorage-orders-'))
    const sums = Array.from({ length: CUSTOMERS }, () => 0)
    /** What another service publishes: an order, and that it was paid. */
    const order = async (n: number) => {
      const bytes = JSON.stringify({ customer: `c${n % CUSTOMERS}`, cents: n })
      await js.publish('orders.placed', bytes)
      const { seq } = await js.publish('orders.paid', bytes)
      sums[n % CUSTOMERS]! += n
      return seq
    }
    const orders = async (from: number, to: number) => {
      const sent = Array.from({ length: to - from }, (_, n) => order(from + n))
      return Math.max(...(await Promise.all(sent)))
    }
    try {
      await orders(0, 5_000)
      await using one = new OrdersProcess(join(dir, '1'), nats.urls.join(','))
      await using two = new OrdersProcess(join(dir, '2'), nats.urls.join(','))
      await using three = new OrdersProcess(join(dir, '3'), nats.urls.join(','))
      const three_ = [one, two, three]
      for (const each of three_) expect(await each.ready()).toBeGreaterThanOrEqual(10_000)
      for (const each of three_) expect(await each.sums()).toEqual(sums)

      // A third of the stream goes, as it does when messages are older than an hour: a joiner needs its peers.
      await jsm.streams.purge('ORDERS', { keep: 3_000 })
      await three.kill()
      const newest = await orders(5_000, 6_000)
      await using joiner = new OrdersProcess(join(dir, '4'), nats.urls.join(','))
      expect(await joiner.ready()).toBeGreaterThanOrEqual(newest)
      expect(await joiner.sums()).toEqual(sums)
      await using again = new OrdersProcess(join(dir, '3'), nats.urls.join(','))
      expect(await again.ready()).toBeGreaterThanOrEqual(newest)
      for (const each of [one, two, again]) await expect.poll(() => each.sums()).toEqual(sums)
    } finally {
      await nc.close()
      await rm(dir, { recursive: true, force: true, maxRetries: 5 })
    }
  })
})
