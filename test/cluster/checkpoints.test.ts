import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import {
  type Cluster,
  type ProcessEvent,
  type ReplicaProcess,
  startCluster,
} from '../../src/testing/index.ts'
import { expectSameRoots, isCaughtUp } from './support.ts'

const OPTIONS = { leaseMs: 1_500, ttlMs: 4_000, checkpoint: { everyCommands: 500 } }

/** A replica with a data directory that is the same whenever it is started by this name. */
const start = (cluster: Cluster, name: string): Promise<ReplicaProcess> =>
  cluster.start({ name, dataDir: join(dirname(cluster.logPath), `data-${name}`) })

const isCheckpoint = (type: 'written' | 'loaded' | 'skipped') => (event: ProcessEvent) =>
  event.type === 'checkpoint' && event.detail.type === type

/** Two replicas with some state of which both have a checkpoint, and a log that was pruned up to there. */
async function pruned(cluster: Cluster): Promise<ReplicaProcess[]> {
  const replicas = [await start(cluster, 'one'), await start(cluster, 'two')]
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
  await using cluster = await startCluster({ replicas: 0, options: OPTIONS })
  const replicas = await pruned(cluster)
  const ids = replicas.map(({ id }) => id).sort()
  for (const replica of replicas) await replica.kill()

  const again = [await start(cluster, 'one'), await start(cluster, 'two')]
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
  await using cluster = await startCluster({ replicas: 0, options: OPTIONS })
  const [one, two] = await pruned(cluster)
  await one!.barrier()
  await two!.barrier()
  await one!.stop()
  await two!.stop()
  const again = await start(cluster, 'two')
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
  const joiner = await start(cluster, 'joiner')
  await joiner.inSync()
  await joiner.waitFor(isCheckpoint('written'))
  await cluster.waitUntil('the log can be pruned', async () => {
    const leader = await cluster.leader()
    return (await leader.prune({ keepEntries: 0 }).catch(() => 0)) > 0
  })
  const late = await start(cluster, 'late')
  await late.waitFor(isCaughtUp)
  await late.waitFor(isCheckpoint('written'))
  await late.kill()
  const again = await start(cluster, 'late')
  await again.waitFor(isCheckpoint('loaded'))
  await again.inSync()
  expect(again.events.some(isCaughtUp)).toBe(false)
  await expectSameRoots(cluster)
})

test('a data directory in use is refused', async () => {
  await using cluster = await startCluster({ replicas: 0, options: OPTIONS })
  await start(cluster, 'one')
  await expect(start(cluster, 'one')).rejects.toMatchObject({ name: 'DirectoryInUse' })
})
