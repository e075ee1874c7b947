import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Json } from '../../src/machine/codec.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Cluster } from '../../src/testing/index.ts'
import { ON_POSTGRES, startCluster } from './start.ts'
import { expectSameRoots, pruneAll, readLog, startWithDisk } from './support.ts'

/** How often each test kills a replica at a random instant: `CRASHES=200 npx vitest run test/cluster/crashes.test.ts`. */
const CRASHES = Number(process.env.CRASHES ?? (ON_POSTGRES ? 4 : 12))

/** What the log says that the map holds. */
async function replayed(cluster: Cluster): Promise<[string, Json][]> {
  const map = new ReplicatedMap<string, Json>()
  for (const { kind, payload, timestampMs } of await readLog(cluster)) {
    if (kind === 'command') map.apply(payload, { timeMs: timestampMs })
  }
  return [...map]
}

test('a replica killed at random instants while it writes checkpoints has what the log says, each time', async () => {
  const options = { leaseMs: 1_000, ttlMs: 500, checkpoint: { everyCommands: 20 } }
  await using cluster = await startCluster({ dataDirs: true, replicas: 0, options })
  let loaded = 0
  for (let crash = 0; crash <= CRASHES; crash++) {
    const replica = await cluster.start({ name: 'one' })
    await replica.inSync()
    await replica.barrier()
    expect(replica.events.filter(({ type }) => type === 'problem')).toEqual([])
    expect(await replica.entries()).toEqual(await replayed(cluster))
    if (replica.events.some((e) => e.type === 'checkpoint' && e.detail.type === 'loaded')) loaded++
    if (crash === CRASHES) break
    await replica.startWriting({ perSecond: 300, prefix: `life-${crash}-` })
    await delay(Math.random() * 2_500)
    await replica.kill()
  }
  expect(loaded).toBeGreaterThan(0)
}, 1_800_000)

test('a joiner killed at random instants of its catch-up has the state of the others in the end', async () => {
  const options = {
    leaseMs: 1_500,
    ttlMs: 5_000,
    volatile: true,
    chunkBytes: 65_536,
    checkpoint: { everyCommands: 100 },
  }
  await using cluster = await startCluster({ replicas: 2, options })
  await cluster.replicas[0]!.fill({ count: 30_000, batch: 1_000, valueBytes: 300, random: true })
  await pruneAll(cluster)
  for (let crash = 0; crash < CRASHES; crash++) {
    const joiner = await startWithDisk(cluster, 'joiner')
    await delay(Math.random() * 1_000)
    await joiner.kill()
  }
  const joiner = await startWithDisk(cluster, 'joiner')
  await joiner.inSync()
  expect(await joiner.size()).toBe(30_000)
  await expectSameRoots(cluster)
}, 1_800_000)
