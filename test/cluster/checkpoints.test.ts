import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { chunkName } from '../../src/checkpoint/chunk-file.ts'
import { openCheckpoint } from '../../src/checkpoint/file.ts'
import { fileStorage } from '../../src/checkpoint/file-storage.ts'
import type { Cluster, ProcessEvent, ReplicaProcess } from '../../src/testing/index.ts'
import { ON_POSTGRES, startCluster } from './start.ts'
import {
  expectSameRoots,
  isCaughtUp,
  isSync,
  joinerStoppedMidway,
  progress,
  pruneAll,
  startWithDisk,
} from './support.ts'

const OPTIONS = { leaseMs: 1_500, ttlMs: 4_000, checkpoint: { everyCommands: 500 } }

const isCheckpoint = (type: 'written' | 'loaded' | 'skipped') => (event: ProcessEvent) =>
  event.type === 'checkpoint' && event.detail.type === type

/** How many chunks lie in a replica's data directory that its newest checkpoint does not have. */
async function spareChunks(cluster: Cluster, name: string): Promise<number> {
  const directory = join(cluster.dir, `data-${name}`, 'checkpoints')
  const files = (await readdir(directory)).filter((file) => file.endsWith('.checkpoint')).sort()
  await using newest = await openCheckpoint(join(directory, files.at(-1)!), fileStorage)
  const needed = new Set(newest.manifest.chunks.map(({ hash }) => chunkName(hash)))
  return (await readdir(join(directory, 'chunks'))).filter((chunk) => !needed.has(chunk)).length
}

/** Two replicas with some state of which both have a checkpoint, and a log that was pruned up to there. */
async function pruned(cluster: Cluster): Promise<ReplicaProcess[]> {
  const replicas = [await cluster.start({ name: 'one' }), await cluster.start({ name: 'two' })]
  await replicas[0]!.fill({ count: 2_000 })
  await Promise.all(replicas.map((replica) => replica.waitFor(isCheckpoint('written'))))
  await cluster.waitUntil('the log can be pruned', async () => {
    const leader = await cluster.leader()
    return (await leader.prune({ keepEntries: 0 }).catch(() => 0)) > 0
  })
  await replicas[0]!.fill({ count: 300, from: 2_000 })
  return replicas
}

test('a group whose replicas were all killed after a prune comes back with everything, from its disks', async () => {
  await using cluster = await startCluster({ dataDirs: true, replicas: 0, options: OPTIONS })
  const replicas = await pruned(cluster)
  const ids = replicas.map(({ id }) => id).sort()
  for (const replica of replicas) await replica.kill()

  const again = [await cluster.start({ name: 'one' }), await cluster.start({ name: 'two' })]
  await Promise.all(again.map((replica) => replica.inSync()))
  for (const replica of again) {
    expect(replica.events.some(isCheckpoint('loaded'))).toBe(true)
    expect(replica.events.some(isCaughtUp)).toBe(false)
    expect(await replica.size()).toBe(2_300)
  }
  expect(again.map(({ id }) => id).sort()).toEqual(ids)
  await expectSameRoots(cluster)
})

test('a replica that was stopped goes on where it stopped, and needs nobody for it', async () => {
  await using cluster = await startCluster({ dataDirs: true, replicas: 0, options: OPTIONS })
  const [one, two] = await pruned(cluster)
  await one!.barrier()
  await two!.barrier()
  await one!.stop()
  await two!.stop()
  const again = await cluster.start({ name: 'two' })
  await again.inSync()
  expect(await again.size()).toBe(2_300)
  const loaded = await again.waitFor(isCheckpoint('loaded'))
  if (loaded.type !== 'checkpoint' || loaded.detail.type !== 'loaded') throw new Error('not reached')
  expect(loaded.detail.position.index).toBeGreaterThanOrEqual(2_300)
})

test('without a checkpoint nobody prunes, and a joiner with a data directory writes its own', async () => {
  await using cluster = await startCluster({ replicas: 1, options: OPTIONS })
  await cluster.leader()
  await cluster.replicas[0]!.fill({ count: 1_000 })
  await expect(cluster.replicas[0]!.prune({ keepEntries: 0 })).rejects.toMatchObject({ name: 'PruneRefused' })
  const joiner = await startWithDisk(cluster, 'joiner')
  await joiner.inSync()
  await joiner.waitFor(isCheckpoint('written'))
  await cluster.waitUntil('the log can be pruned', async () => {
    const leader = await cluster.leader()
    return (await leader.prune({ keepEntries: 0 }).catch(() => 0)) > 0
  })
  const late = await startWithDisk(cluster, 'late')
  await late.waitFor(isCaughtUp)
  await late.waitFor(isCheckpoint('written'))
  await late.kill()
  const again = await startWithDisk(cluster, 'late')
  await again.waitFor(isCheckpoint('loaded'))
  await again.inSync()
  expect(again.events.some(isCaughtUp)).toBe(false)
  await expectSameRoots(cluster)
})

test('a data directory in use is refused', async () => {
  await using cluster = await startCluster({ dataDirs: true, replicas: 0, options: OPTIONS })
  await cluster.start({ name: 'one' })
  await expect(cluster.start({ name: 'one' })).rejects.toMatchObject({ name: 'DirectoryInUse' })
})

/** Enough chunks that a joiner can be caught in the middle. */
const LARGE = { count: 60_000, batch: 1_000, valueBytes: 300 }

test('a provider that is killed and started again during a fetch, the only one, serves on', async () => {
  const options = { ...OPTIONS, volatile: true, chunkBytes: 16_384, ttlMs: 120_000, checkpoint: {} }
  await using cluster = await startCluster({ dataDirs: true, replicas: 0, options })
  const one = await cluster.start({ name: 'one' })
  await one.fill(LARGE)
  await pruneAll(cluster)
  const joiner = await joinerStoppedMidway(cluster)
  const written = await one.waitFor(isCheckpoint('written'))
  await one.kill()

  const again = await cluster.start({ name: 'one' })
  await again.waitFor(isSync('adopted'))
  // It is at its post, and has said so: a joiner that comes earlier may be named a new anchor.
  await again.waitFor((event) => event.type === 'state' && event.detail.state === 'in-sync')
  await again.barrier()
  joiner.resume()
  const { detail } = await joiner.waitFor(isCaughtUp)
  if (written.type !== 'checkpoint' || written.detail.type !== 'written') throw new Error('not reached')
  expect(detail.anchor).toEqual(written.detail.position)
  expect(await joiner.size()).toBe(LARGE.count)
  await expectSameRoots(cluster)
})

// What is fetched does not depend on the log, and this takes long.
test.skipIf(ON_POSTGRES)(
  'a joiner killed in the middle of a fetch of 100 MiB goes on where it was',
  async () => {
    const options = { ...OPTIONS, volatile: true, ttlMs: 20_000, checkpoint: { onStop: false } }
    await using cluster = await startCluster({ replicas: 2, options })
    await cluster.replicas[0]!.fill({ count: 33_000, batch: 100, valueBytes: 4_096, random: true })
    await pruneAll(cluster)
    const whole = await cluster.start({ name: 'whole' })
    await whole.waitFor(isCaughtUp)
    // Not what it fetched: that counts twice what two providers were asked for.
    const bytes = Math.max(...whole.events.map((event) => progress(event)?.bytesTotal ?? 0))
    expect(bytes).toBeGreaterThan(100 * 1024 * 1024)
    await whole.stop()

    for (const [percent, most] of [
      [30, 75],
      [60, 45],
      [90, 15],
    ] as const) {
      const joiner = await startWithDisk(cluster, `joiner-${percent}`)
      await joiner.waitFor((event) => (progress(event)?.bytes ?? 0) >= (bytes * percent) / 100)
      await joiner.kill()
      const again = await startWithDisk(cluster, `joiner-${percent}`)
      const { detail } = await again.waitFor(isCaughtUp)
      const share = (100 * detail.bytesFetched) / bytes
      expect(share, `killed at ${percent}%`).toBeLessThan(most)
      expect(await again.size()).toBe(33_000)
      await again.stop()
    }
    await expectSameRoots(cluster)
  },
)

test('a joiner killed right after it caught up has what it fetched', async () => {
  // Nobody writes a checkpoint in time: the first comes a cut and a seal after the catch-up.
  const options = { ...OPTIONS, volatile: true, ttlMs: 20_000, chunkBytes: 16_384 }
  await using cluster = await startCluster({ replicas: 2, options })
  await cluster.replicas[0]!.fill({ count: 20_000, batch: 1_000, random: true })
  await pruneAll(cluster)
  const joiner = await startWithDisk(cluster, 'joiner')
  const { detail: first } = await joiner.waitFor(isCaughtUp)
  await joiner.kill()
  expect(joiner.events.some(isCheckpoint('written'))).toBe(false)

  const again = await startWithDisk(cluster, 'joiner')
  const { detail } = await again.waitFor(isCaughtUp)
  // What was being written when it was killed may be missing.
  expect(detail.bytesFetched / first.bytesFetched).toBeLessThan(0.2)
  expect(await again.size()).toBe(20_000)
  // Once it is in a checkpoint, nothing is kept twice.
  await again.waitFor(isCheckpoint('written'))
  await cluster.waitUntil('the rest is gone', async () => (await spareChunks(cluster, 'joiner')) === 0)
})

test('who has just caught up serves the others that join', async () => {
  const options = { ...OPTIONS, volatile: true, ttlMs: 20_000 }
  await using cluster = await startCluster({ replicas: 1, options })
  const first = cluster.replicas[0]!
  await first.fill({ count: 2_000 })
  await pruneAll(cluster)
  const second = await cluster.start({ name: 'second' })
  const { detail: caught } = await second.waitFor(isCaughtUp)
  await second.waitFor(isSync('cut'))
  await first.kill()
  const third = await cluster.start({ name: 'third' })
  const { detail } = await third.waitFor(isCaughtUp)
  expect(detail.anchor).toEqual(caught.anchor)
  expect(detail.providersUsed).toEqual([second.id])
  await expectSameRoots(cluster)
})
