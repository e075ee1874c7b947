import { describe, expect, test, vi } from 'vitest'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { Cluster, FlakyLog, leads, next } from './cluster.ts'
import { line } from './journal.ts'

const INTERVAL_MS = 100

describe('a leader with a policy', () => {
  test('leaves the log alone while nobody writes', async () => {
    await using cluster = new Cluster()
    const clock = new VirtualClock()
    const { replica } = await cluster.start({ clock, prune: { keepEntries: 5, intervalMs: INTERVAL_MS } })
    const pass = async (ms: number) => {
      clock.advance(ms)
      for (let n = 0; n < 5; n++) await clock.turn()
    }
    const handle = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
    while (replica.leader !== replica.id) await pass(INTERVAL_MS)
    for (let n = 0; n < 20; n++) await replica.submit(line(`line ${n}`))
    for (let n = 0; n < 3; n++) await pass(INTERVAL_MS)
    const before = await handle.bounds()
    expect(before.first).toBeGreaterThan(10)
    for (let n = 0; n < 10; n++) await pass(INTERVAL_MS)
    expect(await handle.bounds()).toEqual(before)
  })
})

describe("the group's policy", () => {
  const write = async (replica: Replica<number>, lines: number) => {
    for (let n = 0; n < lines; n++) await replica.submit(line(`line ${n}`))
  }
  const kept = async (cluster: Cluster) => {
    const handle = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
    const { first, newest } = await handle.bounds()
    return newest.index + 1 - first
  }

  test.each<[whose: string, leader: Partial<ReplicaInit<number>>, member: Partial<ReplicaInit<number>>]>([
    ['a member that never leads', {}, { lead: false, prune: { keepEntries: 5 } }],
    ['a member of a group whose leader is not volatile', { volatile: false }, { prune: { keepEntries: 5 } }],
  ])('is executed by a leader that has none: %s', async (_whose, leader, member) => {
    await using cluster = new Cluster()
    const [{ replica }] = await cluster.startLed(0, leader)
    await cluster.start(member)
    await write(replica, 30)
    expect((await next(replica, 'pruned')).upTo).toBeGreaterThan(20)
    expect(await kept(cluster)).toBeLessThan(10)
  })

  test('keeps what each of the members keeps', async () => {
    await using cluster = new Cluster()
    const [{ replica }] = await cluster.startLed(0, { prune: { keepEntries: 5, intervalMs: INTERVAL_MS } })
    const careful = await cluster.start({ lead: false, prune: { keepEntries: 20 } })
    await careful.replica.inSync()
    await vi.waitFor(() => expect(replica.members.some(({ prune }) => prune?.keepEntries === 20)).toBe(true))
    await write(replica, 60)
    await next(replica, 'pruned')
    expect(await kept(cluster)).toBeGreaterThanOrEqual(20)
    await careful.replica.stop()
    await next(replica, 'pruned')
    expect(await kept(cluster)).toBeLessThan(20)
  })
})

describe('a prune', () => {
  test('rejects when its leader catches up from a snapshot that covers it', async () => {
    await using cluster = new Cluster()
    const log = new FlakyLog(cluster.log)
    const [one] = await cluster.startLed(0, { log, snapshotAfter: 5 })
    const two = await cluster.start()
    await two.replica.inSync()
    const problem = next(one.replica, 'problem')
    log.readable = 'bounds'
    const pruned = one.replica.prune({ keepEntries: 0 }).catch((error: unknown) => error)
    await problem
    await leads(two.replica)
    for (let n = 0; n < 20; n++) await two.replica.submit(line(`line ${n}`))
    const caughtUp = next(one.replica, 'caught-up').then(() => 'it waits for ever')
    log.readable = 'all'
    expect(await Promise.race([pruned, caughtUp])).toMatchObject({
      name: 'NotLeader',
      leader: two.replica.id,
    })
  })
})
