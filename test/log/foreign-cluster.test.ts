import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { AppendUncertain } from '../../src/log/errors.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { conformance } from './conformance.ts'
import { Follower, numbers, readAll, text } from './entries.ts'
import { foreignHarness, Others } from './foreign-place.ts'
import { ForeignScene, order } from './foreign-scene.ts'
import { type Results, Shops, TotalsGroup } from './foreign-totals.ts'
import { describeNatsClusters } from './nats.ts'

// If all servers were killed, they need ten seconds and more to go on.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

/** How long a server stands still: longer than the others need to elect a leader. */
const PAUSED_MS = 6_000
/** Writes of each replica meanwhile. */
const SUBMITTED = 1_000

/** Resolves with the errors of writes whose outcome is unknown. Any other error is thrown. */
async function submitted(replica: Replica<Results>): Promise<Error[]> {
  const command = Buffer.from(JSON.stringify({ customer: replica.id, amount: 1 }))
  const outcomes = await Promise.allSettled(
    numbers(1, SUBMITTED).map(() => replica.submit(command, { subject: 'orders.desk.new' })),
  )
  return outcomes.flatMap((outcome) => {
    if (outcome.status === 'fulfilled') return []
    expect(outcome.reason).toBeInstanceOf(AppendUncertain)
    return [outcome.reason as Error]
  })
}

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

  test.each([
    ['is the same', 0.5, true],
    ['is another', 200, false],
  ] as const)(
    '%s if the servers report that the empty stream was made %d ms later',
    async (_, ms, isSame) => {
      await using scene = await ForeignScene.on(nats, { num_replicas: 3 })
      await (await scene.open()).close()
      const epoch = await scene.misdate(ms)
      expect((await scene.open()).epoch === epoch).toBe(isSame)
    },
  )

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

  test('is followed by replicas while its servers are killed and paused, and by one that joins meanwhile', async () => {
    await using scene = await ForeignScene.on(nats, { num_replicas: 3 })
    await using group = new TotalsGroup(nats)
    const shops = new Shops(scene)
    const leader = async () => {
      const { cluster } = await scene.others.jsm.streams.info('ORDERS')
      return nats.servers.find(({ name }) => name === cluster?.leader)!
    }
    await shops.publish(2_000)
    const replicas = [await group.start(), await group.start({ lead: false })]
    await Promise.all(replicas.map(({ replica }) => replica.inSync()))
    const submitting = replicas.map(({ replica }) => submitted(replica))
    const killed = await leader()
    await killed.kill()
    replicas.push(await group.start({ lead: false }))
    await killed.start()
    const paused = await leader()
    paused.pause()
    const resumed = delay(PAUSED_MS).then(() => paused.resume())
    const uncertain = (await Promise.all(submitting)).flat()
    await resumed
    for (const started of replicas) {
      await started.replica.inSync()
      await shops.read(started)
    }
    const [first, ...others] = replicas.map(({ totals }) => totals.all)
    for (const other of others) expect(other).toEqual(first)
    const counted = Object.values(first!).reduce((sum, { orders }) => sum + orders, 0)
    expect(counted).toBeGreaterThanOrEqual(2_000 + 2 * SUBMITTED - uncertain.length)
    expect(counted).toBeLessThanOrEqual(2_000 + 2 * SUBMITTED)
  })

  conformance(
    'jetstreamLog with control',
    foreignHarness(() => nats, 3),
  )
})
