import { expect, test } from 'vitest'
import { startCluster } from './start.ts'
import { expectSameRoots, isCaughtUp, isSync, joinerStoppedMidway, openLog, pruneAll } from './support.ts'

const OPTIONS = {
  volatile: true,
  chunkBytes: 4_096,
  ttlMs: 8_000,
  requestTimeoutMs: 4_000,
  fetchTimeoutMs: 2_000,
}
/** Enough chunks that a joiner can be caught in the middle. */
const STATE = { count: 60_000, batch: 1_000, valueBytes: 300 }

test('a provider killed during the fetch is done without', async () => {
  await using cluster = await startCluster({ options: OPTIONS })
  const leader = await cluster.leader()
  const follower = cluster.replicas.find((replica) => replica !== leader)!
  await leader.fill(STATE)
  await pruneAll(cluster)

  const joiner = await joinerStoppedMidway(cluster)
  await follower.kill()
  joiner.resume()
  const { detail } = await joiner.waitFor(isCaughtUp)
  expect(detail.anchorsLost).toBe(0)
  expect(await joiner.size()).toBe(STATE.count)
  await expectSameRoots(cluster)
})

test('a prune that overtakes the chosen anchor leads to another anchor', async () => {
  await using cluster = await startCluster({ options: OPTIONS })
  await cluster.replicas[0]!.fill(STATE)
  await pruneAll(cluster)

  const joiner = await joinerStoppedMidway(cluster)
  await cluster.replicas[0]!.set('newer', true)
  // An operator's own prune, which asks nobody.
  await using log = await openLog(cluster, 'an operator')
  const { newest } = await log.bounds()
  await log.prune(newest.index)
  joiner.resume()

  const { detail } = await joiner.waitFor(isCaughtUp)
  expect(detail.anchorsLost).toBe(1)
  expect(detail.anchor.index).toBeGreaterThan(newest.index)
  expect(await joiner.get('newer')).toBe(true)
  await expectSameRoots(cluster)
})

test('a joiner stopped past its TTL finds its anchor gone and takes another', async () => {
  await using cluster = await startCluster({ options: { ...OPTIONS, ttlMs: 1_500 } })
  await cluster.replicas[0]!.fill(STATE)
  await pruneAll(cluster)

  const joiner = await joinerStoppedMidway(cluster)
  const providers = cluster.replicas.filter((replica) => replica !== joiner)
  await Promise.all(providers.map((provider) => provider.waitFor(isSync('released'))))
  joiner.resume()

  const { detail } = await joiner.waitFor(isCaughtUp)
  expect(detail.anchorsLost).toBeGreaterThan(0)
  expect(await joiner.size()).toBe(STATE.count)
  await expectSameRoots(cluster)
})

test('a reader that leaves and comes back catches up', async () => {
  await using cluster = await startCluster({ options: OPTIONS })
  const reader = await cluster.start({ lead: false })
  await reader.inSync()
  await cluster.replicas[0]!.fill({ count: 1_000 })
  await reader.barrier()
  expect(await reader.stop()).toEqual({ code: 0, signal: null })
  await cluster.replicas[0]!.fill({ count: 1_000, from: 1_000 })
  await pruneAll(cluster)

  const again = await cluster.start({ lead: false })
  await again.waitFor(isCaughtUp)
  expect(await again.size()).toBe(2_000)
  await expectSameRoots(cluster)
})

test('an empty replica before a pruned log with no provider reports StateLost and answers no reads', async () => {
  await using cluster = await startCluster({ replicas: 1, options: { ...OPTIONS, requestTimeoutMs: 1_000 } })
  const only = cluster.replicas[0]!
  await only.set('gone', 'with it')
  await pruneAll(cluster)
  await only.kill()

  const orphan = await cluster.start({ name: 'orphan' })
  await orphan.waitFor((event) => event.type === 'state' && event.detail.state === 'lost')
  await expect(orphan.inSync()).rejects.toMatchObject({ name: 'StateLost' })
  await expect(orphan.get('gone')).rejects.toMatchObject({ name: 'StateLost' })
  expect((await orphan.status()).leader).not.toBe(orphan.id)
})

test('an offer that nobody fetches expires, and what is being fetched does not', async () => {
  await using cluster = await startCluster({ options: { ...OPTIONS, ttlMs: 1_500 } })
  const [first] = cluster.replicas
  await first!.fill(STATE)
  const anchor = await first!.mark()
  await first!.waitFor(
    (event) =>
      event.type === 'sync' && event.detail.type === 'released' && event.detail.anchor.index === anchor.index,
  )
  expect((await first!.status()).offers).toEqual([])
})
