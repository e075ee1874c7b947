import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UpgradeRequired } from '../../src/group/errors.ts'
import { LogMismatch } from '../../src/log/errors.ts'
import type { LogPlace } from '../../src/log/log-place.ts'
import { type NatsServers, startNatsServers } from '../../src/testing/index.ts'
import { describeNats } from '../log/nats.ts'
import { FIRST, Rolling, SECOND } from './rolling.ts'
import { ON_POSTGRES, startCluster } from './start.ts'
import { isCaughtUp, joinerStoppedMidway, pruneAll } from './support.ts'

/** Enough chunks that a joiner can be caught in the middle. */
const ARTICLES = 20_000
const NAME_LENGTH = 800

/** Every joiner gets a snapshot: it is that far behind. */
const JOINER = { snapshotAfter: 20 }

/**
 * Three replicas roll from the first version to the second, under writes; at each stage a joiner of either version
 * comes and goes, and the leader is killed. A fourth replica is left behind on purpose.
 */
async function rollOver(log?: LogPlace): Promise<void> {
  const options = { upgrade: { afterMs: 1_000 }, leaseMs: 1_500, snapshotAfter: 10_000 } as const
  await using cluster = await startCluster({
    replicas: 0,
    group: `rolling-${process.pid}`,
    dataDirs: true,
    program: FIRST,
    options,
    ...(log && { log }),
  })
  await using rolling = await Rolling.begin(cluster, ['a', 'b', 'c'])
  const behind = await cluster.start({ name: 'behind', lead: false })
  const stage = async (...programs: URL[]) => {
    const joiners = await Promise.all(programs.map((program) => rolling.join(program, JOINER)))
    await rolling.killLeader()
    await rolling.writer.more(20)
    await rolling.expectSameRoots()
    await Promise.all(joiners.map((joiner) => joiner.stop()))
  }

  await stage(FIRST, SECOND)
  await rolling.restart('a', SECOND)
  await rolling.restart('a', FIRST)
  await rolling.restart('a', SECOND)
  await stage(FIRST, SECOND)
  await rolling.restart('b', SECOND)
  await stage(FIRST, SECOND)
  await rolling.restart('c', SECOND)
  await stage(FIRST, SECOND)
  expect(new Set(await rolling.spoken())).toEqual(new Set(['inventory/1']))

  await rolling.goesOverWithout(behind)
  const refused = rolling.join(FIRST, JOINER)
  await expect(refused).rejects.toThrow(LogMismatch)
  await expect(refused).rejects.toThrow(
    /went over to "inventory\/2", .*start a version of it whose machine has/,
  )
  await stage(SECOND)

  behind.resume()
  const halted = await behind.waitFor((event) => event.type === 'state' && event.detail.state === 'halted')
  expect(halted.detail).toMatchObject({
    reason: { name: UpgradeRequired.name, message: expect.stringContaining('install the version') },
  })
  await behind.stop()
  await expect(cluster.start({ name: 'behind' })).rejects.toThrow(LogMismatch)
  await rolling.restart('behind', SECOND)
  await rolling.end()
  expect(rolling.halted()).toEqual(['behind'])
}

test('a group rolls from one version of a machine to the next while it is written to', async () => {
  await rollOver()
})

const describeOnNats = ON_POSTGRES ? describe.skip : describeNats

describeOnNats('on a NATS server', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  afterAll(() => nats?.stop())

  test('a group rolls from one version of a machine to the next while it is written to', async () => {
    await rollOver({ servers: nats.urls })
  })
})

test('the leader is killed where it applies the upgrade, while joiners of either version are in the middle of a catch-up', async () => {
  await using cluster = await startCluster({
    replicas: 1,
    program: FIRST,
    options: { upgrade: 'manual', volatile: true, leaseMs: 1_500, ttlMs: 30_000, chunkBytes: 4_096 },
  })
  const [first] = cluster.replicas
  await first!.stop()
  await using rolling = await Rolling.begin(cluster, ['a', 'b', 'c'], SECOND)
  await cluster.replicas.at(-1)!.call('fill', ARTICLES, NAME_LENGTH)
  await rolling.writer.more(20)
  await pruneAll(cluster)
  const older = await joinerStoppedMidway(cluster, { name: 'older', program: FIRST })
  const newer = await joinerStoppedMidway(cluster, { name: 'newer', program: SECOND })

  const leader = await cluster.leader()
  await cluster.waitUntil('the joiner that does not speak it is not heard any more', async () => {
    const { members } = await leader.status()
    return members.every(({ id }) => id !== older.id)
  })
  await leader.call('hangAtUpgrade')
  const upgrading = expect(leader.upgrade()).rejects.toThrow('SIGKILL')
  const others = rolling.running().filter((replica) => replica !== leader)
  expect(others).toHaveLength(2)
  for (const replica of others) await replica.waitFor(({ type }) => type === 'upgraded')
  await leader.kill()
  await upgrading
  expect(await cluster.leader()).not.toBe(leader)

  for (const joiner of [older, newer]) joiner.resume()
  await newer.waitFor(isCaughtUp)
  const { detail } = await older.waitFor((event) => event.type === 'state' && event.detail.state === 'halted')
  expect(detail).toMatchObject({ reason: { name: 'UpgradeRequired' } })
  await newer.inSync()
  expect((await newer.status()).signature).toBe('inventory/2')
  await rolling.restart(leader.name, SECOND)
  await older.stop()
  // The one that was killed could not note it in the log: the next leader did.
  await expect(cluster.start({ name: 'older', program: FIRST })).rejects.toThrow(LogMismatch)
  await rolling.end()
  expect(rolling.halted()).toEqual(['older'])
})
