import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { jetstreamLog } from '../../src/log/jetstream.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { projection } from '../../src/machines/projection/projection.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import type { StateChange } from '../../src/replica/events.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { next, TIMES } from '../replica/cluster.ts'
import { CONTROL, ForeignScene } from './foreign-scene.ts'
import { describeNats } from './nats.ts'

const CUSTOMERS = 200
/** Messages of the plain client that are under way at a time. */
const FLIGHT = 1_000

interface Order {
  readonly customer: string
  readonly amount: number
}

/** What each customer ordered, how much of that by the shop, and how many messages that was. */
interface Total {
  readonly amount: number
  readonly fromShop: number
  readonly orders: number
}

class Totals {
  readonly map = new ReplicatedMap<string, Total>()
  readonly machine = projection<Order>({
    version: 'totals/1',
    state: this.map,
    on: (order, { message }) => this.#on(order, message!.headers.By?.[0] === 'shop'),
  })

  get all(): Record<string, Total> {
    return Object.fromEntries(this.map.entries())
  }

  *#on({ customer, amount }: Order, isFromShop: boolean) {
    const { amount: before = 0, fromShop = 0, orders = 0 } = this.map.get(customer) ?? {}
    const total = {
      amount: before + amount,
      fromShop: fromShop + (isFromShop ? amount : 0),
      orders: orders + 1,
    }
    yield this.map.commands.set(customer, total)
  }
}

type Results = readonly unknown[]

describeNats('replicas of a state of a stream of others', () => {
  let nats: NatsServers
  let dir: string
  let replicas: Replica<Results>[]

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'anchorage-totals-'))
    replicas = []
  })
  afterEach(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()))
    rmSync(dir, { recursive: true })
  })
  afterAll(async () => {
    await nats?.stop()
  })

  async function start(init: Partial<ReplicaInit<Results>> = {}, from?: 'oldest') {
    const totals = new Totals()
    const log = jetstreamLog({
      servers: nats.urls,
      stream: 'ORDERS',
      control: CONTROL,
      ...(from && { from }),
    })
    const replica = await createReplica<Results>({
      group: 'totals',
      machine: totals.machine as ReplicaInit<Results>['machine'],
      log,
      ...(init.dataDir === undefined && { volatile: true }),
      logger: false,
      ...TIMES,
      ...init,
    })
    replicas.push(replica)
    return { replica, totals }
  }

  /** Returns what the totals must be. */
  async function publish(scene: ForeignScene, count: number): Promise<Record<string, Total>> {
    const expected: Record<string, Total> = {}
    let flight: Promise<unknown>[] = []
    for (let n = 0; n < count; n++) {
      const [customer, amount] = [`customer ${n % CUSTOMERS}`, n % 17]
      const isFromShop = n % 3 === 0
      const before = expected[customer] ?? { amount: 0, fromShop: 0, orders: 0 }
      expected[customer] = {
        amount: before.amount + amount,
        fromShop: before.fromShop + (isFromShop ? amount : 0),
        orders: before.orders + 1,
      }
      const message = {
        subject: `orders.${isFromShop ? 'shop' : 'phone'}.new`,
        headers: { By: isFromShop ? 'shop' : 'phone' },
      }
      flight.push(scene.others.publish(message, JSON.stringify({ customer, amount })))
      if (flight.length === FLIGHT) {
        await Promise.all(flight)
        flight = []
      }
    }
    await Promise.all(flight)
    return expected
  }

  const newestOf = async (scene: ForeignScene) => {
    const { state } = await scene.others.jsm.streams.info('ORDERS')
    return state.last_seq
  }

  const reach = async (replica: Replica<Results>, scene: ForeignScene) =>
    await replica.reached({ epoch: replica.position.epoch, index: await newestOf(scene) })

  test('have it of 50,000 messages; who joins has it from a peer, also when the stream kept the last 1,000', async () => {
    await using scene = await ForeignScene.on(nats)
    const expected = await publish(scene, 50_000)
    const [first, second] = [await start(), await start({ lead: false })]
    for (const { replica, totals } of [first, second]) {
      await replica.inSync()
      await reach(replica, scene)
      expect(totals.all).toEqual(expected)
    }
    const { position, result } = await first.replica.submit(
      Buffer.from(JSON.stringify({ customer: 'customer 0', amount: 5 })),
      { subject: 'orders.desk.new', headers: { By: 'shop' } },
    )
    expect(result).toHaveLength(1)
    await second.replica.reached(position)
    expect(second.totals.all).toEqual(first.totals.all)

    await scene.others.jsm.streams.update('ORDERS', { max_msgs: 1_000 })
    expect((await scene.others.jsm.streams.info('ORDERS')).state.messages).toBe(1_000)
    const joiner = await start({ lead: false })
    const { anchor } = await next(joiner.replica, 'caught-up')
    expect(anchor.index).toBeGreaterThan(49_000)
    await joiner.replica.inSync()
    await reach(joiner.replica, scene)
    expect(joiner.totals.all).toEqual(first.totals.all)
  }, 120_000)

  test('go on when a message was deleted that only some have read', async () => {
    await using scene = await ForeignScene.on(nats)
    const expected = await publish(scene, 500)
    const first = await start()
    await first.replica.inSync()
    await reach(first.replica, scene)
    await scene.others.jsm.streams.deleteMessage('ORDERS', 100)
    const joiner = await start({ lead: false })
    await joiner.replica.inSync()
    await reach(joiner.replica, scene)
    expect(joiner.totals.all).toEqual(expected)
  })

  test('say what to do when all of them are behind what the stream keeps', async () => {
    await using scene = await ForeignScene.on(nats)
    await publish(scene, 500)
    const dataDir = join(dir, randomUUID())
    const before = await start({ dataDir })
    await before.replica.inSync()
    await before.replica.stop()
    await publish(scene, 500)
    await scene.others.jsm.streams.purge('ORDERS', { keep: 100 })
    const { replica } = await start({ dataDir })
    const { reason } = await lost(replica)
    expect(reason).toMatchObject({ name: 'StateLost', first: (await newestOf(scene)) - 99 })
    expect(String(reason)).toContain("give from: 'oldest' and newLog")
    await replica.stop()
    for (const { config } of await scene.others.jsm.streams.list().next()) {
      if (config.name.endsWith('-binding')) await scene.others.jsm.streams.delete(config.name)
    }
    const anew = await start({ dataDir, newLog: true }, 'oldest')
    await anew.replica.inSync()
    expect(Object.values(anew.totals.all).reduce((sum, { orders }) => sum + orders, 0)).toBeGreaterThan(80)
  })

  test('say that a message is missing, if nobody has read it', async () => {
    await using scene = await ForeignScene.on(nats)
    await publish(scene, 50)
    await scene.open({}, { group: 'totals', signature: new Totals().machine.signature })
    await scene.others.jsm.streams.deleteMessage('ORDERS', 20)
    const { replica } = await start()
    expect((await lost(replica)).reason).toMatchObject({ name: 'StateLost', first: 21 })
  })
})

async function lost(replica: Replica<Results>): Promise<StateChange> {
  for (;;) {
    const change = await next(replica, 'state')
    if (change.state === 'lost') return change
  }
}
