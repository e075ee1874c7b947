import { expect, test } from 'vitest'
import type { Cluster, ReplicaProcess } from '../../src/testing/index.ts'
import { deposeTheLeader } from './depose.ts'
import { startCluster } from './start.ts'
import {
  expectSameRoots,
  isCaughtUp,
  isSync,
  joinerStoppedMidway,
  pause,
  pruneAll,
  readLog,
} from './support.ts'

const OPTIONS = { volatile: true, ttlMs: 8_000, requestTimeoutMs: 4_000, fetchTimeoutMs: 2_000 }

async function roles(cluster: Cluster): Promise<{ leader: ReplicaProcess; followers: ReplicaProcess[] }> {
  const leader = await cluster.leader()
  return { leader, followers: cluster.replicas.filter((replica) => replica !== leader && replica.running) }
}

test('two replicas that start on an empty log at once agree on one leader', async () => {
  await using cluster = await startCluster({ replicas: 2 })
  const leader = await cluster.leader()
  await cluster.waitUntil('both know it', async () => {
    const statuses = await Promise.all(cluster.replicas.map((replica) => replica.status()))
    return statuses.every((status) => status.leader === leader.id && status.term === 1)
  })
  await leader.set('a', 1)
  await expectSameRoots(cluster)
})

test('the leader is killed before it appends the marker: the joiner asks the next one', async () => {
  await using cluster = await startCluster({ options: OPTIONS })
  const { leader, followers } = await roles(cluster)
  await leader.fill({ count: 1_000 })
  await pruneAll(cluster)
  await pause(cluster, leader)

  const joiner = await cluster.start({ name: 'joiner' })
  await joiner.waitFor((event) => event.type === 'sync' && event.detail.type === 'session')
  await leader.kill()
  const { detail } = await joiner.waitFor(isCaughtUp)
  expect(detail.providersUsed).not.toContain(leader.id)
  const next = await cluster.leader()
  expect(followers).toContain(next)
  await expectSameRoots(cluster)
})

test('the leader is killed between marker and seal: the others seal it', async () => {
  await using cluster = await startCluster({ options: OPTIONS })
  const { leader, followers } = await roles(cluster)
  await leader.fill({ count: 1_000 })
  await pruneAll(cluster)
  for (const follower of followers) await pause(cluster, follower)

  const joiner = await cluster.start({ name: 'joiner' })
  await leader.waitFor(isSync('captured'))
  await leader.kill()
  expect(followers.flatMap((follower) => follower.events.filter(({ type }) => type === 'sealed'))).toEqual([])
  for (const follower of followers) follower.resume()

  const { detail } = await joiner.waitFor(isCaughtUp)
  expect(detail.anchorsLost).toBe(0)
  await expectSameRoots(cluster)
})

test('the leader is killed while a joiner fetches: the joiner does not take office', async () => {
  await using cluster = await startCluster({ options: { ...OPTIONS, chunkBytes: 4_096 } })
  const { leader } = await roles(cluster)
  await leader.fill({ count: 60_000, batch: 1_000, valueBytes: 300 })
  await pruneAll(cluster)

  const joiner = await joinerStoppedMidway(cluster)
  await leader.kill()
  joiner.resume()
  await joiner.waitFor(isCaughtUp)
  expect(await cluster.leader()).not.toBe(leader)
  // Once it is in sync it may lead like any other, but not a moment before.
  const claimed = joiner.events.findIndex((e) => e.type === 'leader' && e.detail.leader === joiner.id)
  const inSync = joiner.events.findIndex((e) => e.type === 'state' && e.detail.state === 'in-sync')
  expect(claimed === -1 || claimed > inSync).toBe(true)
  await expectSameRoots(cluster)
})

test('a leader that wakes after it was deposed can do nothing', async () => {
  await using cluster = await startCluster({ options: OPTIONS })
  await deposeTheLeader(cluster)
})

test('a leader that stops leaves its office at once', async () => {
  await using cluster = await startCluster({ options: { ...OPTIONS, leaseMs: 20_000 } })
  const { leader, followers } = await roles(cluster)
  await leader.stop()
  expect(followers).toContain(await cluster.leader({ timeoutMs: 10_000 }))
})

test('nobody but the newest leader ever wrote a marker that counts', async () => {
  await using cluster = await startCluster({ options: OPTIONS })
  await expectSameRoots(cluster)
  const { leader } = await roles(cluster)
  await leader.kill()
  await cluster.waitUntil('another leads', async () => (await cluster.leader()) !== leader)
  await expectSameRoots(cluster)
  const authors = (await readLog(cluster))
    .filter(({ kind }) => kind === 'control')
    .map(({ author }) => author)
  expect(new Set(authors).size).toBeGreaterThan(1)
})

test('a follower that was stopped knows what was written meanwhile when inSync() resolves, and claims nothing', async () => {
  await using cluster = await startCluster({ options: { volatile: true, leaseMs: 1_500 } })
  const leader = await cluster.leader()
  const follower = cluster.replicas.find((replica) => replica !== leader)!
  await follower.inSync()
  const { term } = await leader.status()
  await pause(cluster, follower)
  await leader.fill({ count: 500 })
  await cluster.waitUntil('the lease of the stopped one is over', async () => {
    const { members } = await leader.status()
    return members.every(({ id }) => id !== follower.id)
  })
  follower.resume()
  await follower.inSync()
  expect(await follower.size()).toBe(500)
  await follower.barrier()
  expect((await leader.status()).term).toBe(term)
})
