import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { next } from '../replica/cluster.ts'
import { ForeignScene } from './foreign-scene.ts'
import { lost, Shops, Totals, TotalsGroup } from './foreign-totals.ts'
import { describeNats } from './nats.ts'

describeNats('replicas of a state of a stream of others', () => {
  let nats: NatsServers
  let dataDir: string

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'anchorage-totals-'))
  })
  afterEach(() => {
    rmSync(dataDir, { recursive: true })
  })
  afterAll(async () => {
    await nats?.stop()
  })

  test('have it of 50,000 messages; who joins has it from a peer, also when the stream kept the last 1,000', async () => {
    await using scene = await ForeignScene.on(nats)
    await using group = new TotalsGroup(nats)
    const shops = new Shops(scene)
    await shops.publish(50_000)
    const [first, second] = [await group.start(), await group.start({ lead: false })]
    for (const started of [first, second]) {
      await started.replica.inSync()
      await shops.read(started)
      expect(started.totals.all).toEqual(shops.expected)
    }
    const command = Buffer.from(JSON.stringify({ customer: 'customer 0', amount: 5 }))
    const { position, result } = await first.replica.submit(command, {
      subject: 'orders.desk.new',
      headers: { By: 'shop' },
    })
    expect(result).toHaveLength(1)
    await second.replica.reached(position)
    expect(second.totals.all).toEqual(first.totals.all)

    await scene.others.jsm.streams.update('ORDERS', { max_msgs: 1_000 })
    expect((await scene.others.jsm.streams.info('ORDERS')).state.messages).toBe(1_000)
    const joiner = await group.start({ lead: false })
    const { anchor } = await next(joiner.replica, 'caught-up')
    expect(anchor.index).toBeGreaterThan(49_000)
    await shops.read(joiner)
    expect(joiner.totals.all).toEqual(first.totals.all)
  }, 120_000)

  test('go on when a message was deleted that only some have read', async () => {
    await using scene = await ForeignScene.on(nats)
    await using group = new TotalsGroup(nats)
    const shops = new Shops(scene)
    await shops.publish(500)
    const first = await group.start()
    await first.replica.inSync()
    await shops.read(first)
    await scene.others.jsm.streams.deleteMessage('ORDERS', 100)
    const joiner = await group.start({ lead: false })
    await joiner.replica.inSync()
    await shops.read(joiner)
    expect(joiner.totals.all).toEqual(shops.expected)
  })

  test('say what to do when all of them are behind what the stream keeps', async () => {
    await using scene = await ForeignScene.on(nats)
    await using group = new TotalsGroup(nats)
    const shops = new Shops(scene)
    await shops.publish(500)
    const before = await group.start({ dataDir })
    await before.replica.inSync()
    await before.replica.stop()
    await shops.publish(500)
    await scene.others.jsm.streams.purge('ORDERS', { keep: 100 })
    const { first_seq } = (await scene.others.jsm.streams.info('ORDERS')).state
    const { replica } = await group.start({ dataDir })
    const { reason } = await lost(replica)
    expect(reason).toMatchObject({ name: 'StateLost', first: first_seq })
    expect(String(reason)).toContain("give from: 'oldest' and newLog")
    // A replica that runs would put the record back.
    await replica.stop()
    const [record] = (await scene.buckets()).filter((name) => name.endsWith('-binding'))
    await scene.others.jsm.streams.delete(record!)
    const anew = await group.start({ dataDir, newLog: true }, { from: 'oldest' })
    await anew.replica.inSync()
    const orders = Object.values(anew.totals.all).reduce((sum, { orders }) => sum + orders, 0)
    expect(orders).toBeGreaterThan(80)
  })

  test('say that a message is missing, if nobody has read it', async () => {
    await using scene = await ForeignScene.on(nats)
    await using group = new TotalsGroup(nats)
    await new Shops(scene).publish(50)
    await scene.open({}, { group: 'totals', signature: new Totals().machine.signature })
    await scene.others.jsm.streams.deleteMessage('ORDERS', 20)
    const { replica } = await group.start()
    expect((await lost(replica)).reason).toMatchObject({ name: 'StateLost', first: 21 })
  })
})
