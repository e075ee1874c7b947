import { type JetstreamLogOptions, jetstreamLog } from '../../src/log/jetstream.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { projection } from '../../src/machines/projection/projection.ts'
import type { NatsServers } from '../../src/processes/nats-servers.ts'
import type { StateChange } from '../../src/replica/events.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { next, TIMES } from '../replica/cluster.ts'
import { CONTROL, type ForeignScene } from './foreign-scene.ts'

const CUSTOMERS = 200
/** Messages of the plain client that are under way at a time. */
const FLIGHT = 1_000

export interface Order {
  readonly customer: string
  readonly amount: number
}

/** What each customer ordered, how much of that by the shop, and how many messages that was. */
export interface Total {
  readonly amount: number
  readonly fromShop: number
  readonly orders: number
}

export type Results = readonly unknown[]

/** What becomes of the orders of a stream. */
export class Totals {
  readonly map = new ReplicatedMap<string, Total>()
  readonly machine = projection<Order>({
    version: 'totals/1',
    state: this.map,
    on: (order, { message }) => this.#on(order, message!.headers.By?.[0] === 'shop'),
  })

  get all(): Record<string, Total> {
    return Object.fromEntries(this.map.entries())
  }

  *#on(order: Order, isFromShop: boolean) {
    yield this.map.commands.set(order.customer, added(this.map.get(order.customer), order, isFromShop))
  }
}

function added(
  { amount: before, fromShop, orders }: Total = { amount: 0, fromShop: 0, orders: 0 },
  { amount }: Order,
  isFromShop: boolean,
): Total {
  return { amount: before + amount, fromShop: fromShop + (isFromShop ? amount : 0), orders: orders + 1 }
}

/** A shop and a telephone, which publish orders and know nothing of Anchorage. */
export class Shops {
  /** What the totals must be when all was read. */
  readonly expected: Record<string, Total> = {}
  readonly #scene: ForeignScene

  constructor(scene: ForeignScene) {
    this.#scene = scene
  }

  async publish(count: number): Promise<void> {
    let flight: Promise<unknown>[] = []
    for (let n = 0; n < count; n++) {
      flight.push(this.#order(n))
      if (flight.length < FLIGHT) continue
      await Promise.all(flight)
      flight = []
    }
    await Promise.all(flight)
  }

  /** Resolves when the replica has read everything. */
  async read({ replica }: Started): Promise<void> {
    const { state } = await this.#scene.others.jsm.streams.info('ORDERS')
    await replica.reached({ epoch: replica.position.epoch, index: state.last_seq })
  }

  async #order(n: number): Promise<void> {
    const order: Order = { customer: `customer ${n % CUSTOMERS}`, amount: n % 17 }
    const by = n % 3 === 0 ? 'shop' : 'phone'
    this.expected[order.customer] = added(this.expected[order.customer], order, by === 'shop')
    await this.#scene.others.publish(
      { subject: `orders.${by}.new`, headers: { By: by } },
      JSON.stringify(order),
    )
  }
}

export interface Started {
  readonly replica: Replica<Results>
  readonly totals: Totals
}

/** Replicas that follow the stream ORDERS. */
export class TotalsGroup implements AsyncDisposable {
  readonly #nats: NatsServers
  readonly #replicas: Replica<Results>[] = []

  constructor(nats: NatsServers) {
    this.#nats = nats
  }

  async start(
    init: Partial<ReplicaInit<Results>> = {},
    options: Partial<JetstreamLogOptions> = {},
  ): Promise<Started> {
    const totals = new Totals()
    const replica = await createReplica<Results>({
      group: 'totals',
      machine: totals.machine as ReplicaInit<Results>['machine'],
      log: jetstreamLog({ servers: this.#nats.urls, stream: 'ORDERS', control: CONTROL, ...options }),
      ...(init.dataDir === undefined && { volatile: true }),
      logger: false,
      ...TIMES,
      ...init,
    })
    this.#replicas.push(replica)
    return { replica, totals }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.stop()))
  }
}

/** Resolves when the replica has lost its state, with the reason. */
export async function lost(replica: Replica<Results>): Promise<StateChange> {
  for (;;) {
    const change = await next(replica, 'state')
    if (change.state === 'lost') return change
  }
}
