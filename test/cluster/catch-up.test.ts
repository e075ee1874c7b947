import { expect, test } from 'vitest'
import { ON_POSTGRES, startCluster } from './start.ts'
import { captures, expectSameRoots, isCaughtUp, isSync, pause, pruneAll } from './support.ts'

const VOLATILE = { volatile: true, ttlMs: 5_000 }

test('a new node catches up from its peers when the log was pruned', async () => {
  await using cluster = await startCluster({ options: VOLATILE })
  await cluster.replicas[0]!.fill({ count: 2_000 })
  await pruneAll(cluster)

  const joiner = await cluster.start({ name: 'joiner' })
  const { detail } = await joiner.waitFor(isCaughtUp)
  expect(detail.providersUsed.length).toBeGreaterThan(0)
  expect(await joiner.size()).toBe(2_000)
  await expectSameRoots(cluster)
})

test('a follower that was stopped until its log was pruned catches up and goes on', async () => {
  await using cluster = await startCluster({ options: VOLATILE })
  const leader = await cluster.leader()
  const follower = cluster.replicas.find((replica) => replica !== leader)!
  await leader.fill({ count: 500 })
  await follower.barrier()
  await pause(cluster, follower)
  await leader.fill({ count: 500, from: 500 })
  await pruneAll(cluster)

  follower.resume()
  await follower.waitFor(isCaughtUp)
  expect(await follower.size()).toBe(1_000)
  await follower.set('after', 'all')
  expect(await follower.get('after')).toBe('all')
  await expectSameRoots(cluster)
})

test('five joiners at once share one marker', async () => {
  await using cluster = await startCluster({ options: { ...VOLATILE, ttlMs: 15_000 } })
  await cluster.replicas[0]!.fill({ count: 20_000, batch: 500 })
  await pruneAll(cluster)
  const before = captures(cluster.replicas[0]!).length

  const joiners = await Promise.all(Array.from({ length: 5 }, () => cluster.start()))
  const reports = await Promise.all(joiners.map((joiner) => joiner.waitFor(isCaughtUp)))
  expect(new Set(reports.map(({ detail }) => detail.anchor.index)).size).toBe(1)
  expect(captures(cluster.replicas[0]!).length - before).toBe(1)
  for (const joiner of joiners) expect(await joiner.size()).toBe(20_000)
  await expectSameRoots(cluster)
})

test('an empty state is caught up with', async () => {
  await using cluster = await startCluster({ options: VOLATILE })
  await pruneAll(cluster)
  const joiner = await cluster.start()
  await joiner.waitFor(isCaughtUp)
  expect(await joiner.size()).toBe(0)
  await expectSameRoots(cluster)
})

test('one item is caught up with', async () => {
  await using cluster = await startCluster({ options: VOLATILE })
  await cluster.replicas[0]!.set('only', { one: 1 })
  await pruneAll(cluster)
  const joiner = await cluster.start()
  await joiner.waitFor(isCaughtUp)
  expect(await joiner.entries()).toEqual([['only', { one: 1 }]])
  await expectSameRoots(cluster)
})

test.each([
  ['one command', 100_000],
  ['100,000 commands', 1],
])('100,000 items written by %s', async (_, batch) => {
  await using cluster = await startCluster({ options: VOLATILE })
  await cluster.replicas[0]!.fill({ count: 100_000, batch, concurrency: 1_000 })
  await pruneAll(cluster)
  const joiner = await cluster.start()
  await joiner.waitFor(isCaughtUp)
  expect(await joiner.size()).toBe(100_000)
  await expectSameRoots(cluster)
})

// Chunks do not depend on the log.
test.skipIf(ON_POSTGRES).each([
  ['one item', 1, 3_000],
  ['a few items', 1_000, 3_000],
  ['far more than there is', 8 * 1024 * 1024, 3_000],
])('chunks of %s', async (_, chunkBytes, count) => {
  await using cluster = await startCluster({ options: { ...VOLATILE, chunkBytes } })
  await cluster.replicas[0]!.fill({ count, batch: 100 })
  await pruneAll(cluster)
  const joiner = await cluster.start()
  const { detail } = await joiner.waitFor(isCaughtUp)
  expect(await joiner.size()).toBe(count)
  // A leader cuts later than the others.
  const { detail: cut } = await cluster.replicas[0]!.waitFor(isSync('cut'))
  if (cut.type !== 'cut') throw new Error('not reached')
  expect(cut.anchor.index).toBe(detail.anchor.index)
  if (chunkBytes === 1) expect(cut.chunks).toBe(count)
  else if (chunkBytes === 1_000) expect(cut.chunks).toBeGreaterThan(count / 10)
  else expect(cut.chunks).toBe(1)
  await expectSameRoots(cluster)
})

test('writes, deletes and clears go on while a joiner catches up', async () => {
  await using cluster = await startCluster({ options: { ...VOLATILE, chunkBytes: 16_384 } })
  const [first, second, third] = cluster.replicas
  await first!.fill({ count: 30_000, batch: 500, valueBytes: 200 })
  await pruneAll(cluster)

  await Promise.all([
    second!.startWriting({ perSecond: 500 }),
    third!.startWriting({ perSecond: 500, prefix: 'key-' }),
  ])
  const joiner = await cluster.start()
  for (let n = 0; n < 20; n++) await first!.delete(`key-${String(n).padStart(8, '0')}`)
  await first!.clear()
  await first!.fill({ count: 100, prefix: 'new-' })
  await joiner.waitFor(isCaughtUp)
  const written = await Promise.all([second!.stopWriting(), third!.stopWriting()])
  expect(Math.min(...written)).toBeGreaterThan(0)
  await joiner.barrier()
  expect(await joiner.get('new-00000099')).toBeDefined()
  await expectSameRoots(cluster)
})

test('a joiner that starts before the first writer gets what is written later', async () => {
  await using cluster = await startCluster({ replicas: 1, options: { ...VOLATILE, lead: false } })
  const early = cluster.replicas[0]!
  const writer = await cluster.start({ lead: true })
  await writer.inSync()
  await writer.set('first', 1)
  await early.barrier()
  expect(await early.get('first')).toBe(1)
  await pruneAll(cluster)
  await early.set('second', 2)
  await writer.barrier()
  expect(await writer.get('second')).toBe(2)
  await expectSameRoots(cluster)
})

test('a replica far behind an unpruned log takes the snapshot', async () => {
  await using cluster = await startCluster({ options: { ...VOLATILE, snapshotAfter: 1_000 } })
  await cluster.replicas[0]!.fill({ count: 5_000 })
  const joiner = await cluster.start()
  await joiner.waitFor(isCaughtUp)
  expect(await joiner.size()).toBe(5_000)
  await expectSameRoots(cluster)
})
