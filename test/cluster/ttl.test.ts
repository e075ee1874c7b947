import { expect, test } from 'vitest'
import type { Cluster, ReplicaProcess } from '../../src/testing/index.ts'
import { startCluster } from './start.ts'
import { expectSameRoots, isCaughtUp, pruneAll, readLog } from './support.ts'

const HOUR_MS = 3_600_000

/** When a key dies, in machine time, as one replica sees it. */
async function deadlineOf(replica: ReplicaProcess, key: string): Promise<number> {
  await replica.barrier()
  const { timeMs } = await replica.status()
  // Machine time may move in between: look until it has not.
  const ttlMs = await replica.ttl(key)
  if ((await replica.status()).timeMs !== timeMs) return await deadlineOf(replica, key)
  return timeMs + (ttlMs ?? Number.NaN)
}

const deadlines = (cluster: Cluster, key: string) =>
  Promise.all(cluster.replicas.filter(({ running }) => running).map((replica) => deadlineOf(replica, key)))

test('keys with a TTL keep their deadlines when every replica is killed and started again', async () => {
  await using cluster = await startCluster({ options: { leaseMs: 2_000 } })
  const [first] = cluster.replicas
  await first!.set('mortal', 1, { ttlMs: HOUR_MS })
  await first!.set('persisted', 1, { ttlMs: HOUR_MS })
  await first!.persist('persisted')
  const [deadlineMs] = await deadlines(cluster, 'mortal')
  expect(Math.abs(deadlineMs! - (Date.now() + HOUR_MS))).toBeLessThan(60_000)

  for (const replica of cluster.replicas) await replica.kill()
  await cluster.start()
  await cluster.start()
  await cluster.leader()
  expect(await deadlines(cluster, 'mortal')).toEqual([deadlineMs, deadlineMs])
  expect(await deadlines(cluster, 'persisted')).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])
  await expectSameRoots(cluster)
})

test('a snapshot brings the deadlines along', async () => {
  await using cluster = await startCluster({ options: { volatile: true, ttlMs: 5_000 } })
  await cluster.replicas[0]!.set('mortal', 1, { ttlMs: HOUR_MS })
  const [deadlineMs] = await deadlines(cluster, 'mortal')
  await pruneAll(cluster)
  const joiner = await cluster.start({ name: 'joiner' })
  await joiner.waitFor(isCaughtUp)
  expect(await deadlineOf(joiner, 'mortal')).toBe(deadlineMs)
  await expectSameRoots(cluster)
})

test('a key dies everywhere although nobody writes, and the log is left in peace after that', async () => {
  await using cluster = await startCluster()
  await cluster.replicas[0]!.set('mortal', 1, { ttlMs: 1_500 })
  await cluster.waitUntil('it is dead on all', async () => {
    const sizes = await Promise.all(cluster.replicas.map((replica) => replica.size()))
    return sizes.every((size) => size === 0)
  })
  const [deadlineMs] = (await readLog(cluster))
    .filter(({ kind }) => kind === 'command')
    .map(({ timestampMs }) => Math.floor(timestampMs) + 1_500)
  const after = (await readLog(cluster)).filter(({ timestampMs }) => timestampMs >= deadlineMs!)
  expect(after.length).toBeGreaterThan(0)
  expect(after.length).toBeLessThanOrEqual(3)
  await expectSameRoots(cluster)
})
