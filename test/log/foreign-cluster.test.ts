import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { conformance } from './conformance.ts'
import { Follower, numbers, readAll, text } from './entries.ts'
import { foreignHarness, Others } from './foreign-place.ts'
import { ForeignScene, order } from './foreign-scene.ts'
import { describeNatsClusters } from './nats.ts'

// If all servers were killed, they need ten seconds and more to go on.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

describeNatsClusters('a stream of others on three servers', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers({ servers: 3 })
  })
  afterAll(async () => {
    await nats?.stop()
  })

  test('is one log for handles that open it while several clients make it', async () => {
    await using scene = await ForeignScene.on(nats, { num_replicas: 3 })
    await scene.others.jsm.streams.delete('ORDERS')
    const makers = await Promise.all(nats.urls.map(() => Others.at(nats)))
    const config = { name: 'ORDERS', subjects: ['orders.>'], num_replicas: 3 }
    await Promise.all(makers.map(({ jsm }) => jsm.streams.add(config)))
    const logs = await Promise.all(Array.from({ length: 6 }, () => scene.open()))
    expect(new Set(logs.map(({ epoch }) => epoch)).size).toBe(1)
    await Promise.all(makers.map((maker) => maker[Symbol.asyncDispose]()))
  })

  test('has each message once, with one id, while its leader is killed', async () => {
    await using scene = await ForeignScene.on(nats, { num_replicas: 3 })
    const log = await scene.open()
    const { cluster } = await scene.others.jsm.streams.info('ORDERS')
    const leader = nats.servers.find(({ name }) => name === cluster?.leader)!
    const follower = new Follower(log)
    const appends = numbers(1, 2_000).map((n) => log.append([order(n)]))
    const first = await follower.take(100)
    await leader.kill()
    const appended = await Promise.all(appends)
    await leader.start()
    const entries = [...first, ...(await follower.take(1_900))]
    expect(new Set(entries.map(text)).size).toBe(2_000)
    for (const [n, { first, firstId }] of appended.entries()) {
      expect(entries[first - 1]).toMatchObject({ index: first, id: firstId })
      expect(text(entries[first - 1]!)).toBe(String(n + 1))
    }
    expect((await readAll(log)).map(({ id }) => id)).toEqual(entries.map(({ id }) => id))
  })

  test('gives ids that are unique to messages of the same nanosecond', async () => {
    await using scene = await ForeignScene.on(nats, { num_replicas: 3 })
    const log = await scene.open()
    for (let n = 0; n < 20; n++) {
      await Promise.all(numbers(1, 500).map((text) => scene.others.publish({ subject: 'orders.new' }, text)))
    }
    const entries = await readAll(log)
    expect(entries).toHaveLength(10_000)
    expect(new Set(entries.map(({ id }) => id)).size).toBe(10_000)
  })

  conformance(
    'jetstreamLog with control',
    foreignHarness(() => nats, 3),
  )
})
