import { join } from 'node:path'
import { type Cluster, type ReplicaProcess, startCluster } from '../../src/testing/index.ts'
import type { Benchmark, Pair } from './runner.ts'

const ITEMS = 1_000_000
const WAIT_MS = 120_000

/**
 * Two replicas serve; a third joins, is killed, and comes back. Each has its own process, all on this
 * machine.
 */
export const restart: readonly Benchmark[] = [
  {
    name: 'restart',
    unit: 'ms',
    baseline: 'catching up from two peers, the same state',
    target: { ratioMax: 0.33 },
    async measure(scale, wanted) {
      const options = { volatile: true, ttlMs: 60_000, checkpoint: { onStop: false } }
      await using cluster = await startCluster({ replicas: 2, options })
      const items = Math.ceil(ITEMS * scale)
      await cluster.replicas[0]!.fill({ count: items, batch: 1_000, random: true })
      await Promise.all(cluster.replicas.map((replica) => replica.barrier()))
      await (await cluster.leader()).prune({ keepEntries: 0 })
      const pairs: Pair[] = []
      for (let run = 0; run < wanted; run++) {
        const dataDir = join(cluster.dir, `joiner-${run}`)
        const joiner = await start(cluster, dataDir)
        await joiner.replica.waitFor(isWritten, { timeoutMs: WAIT_MS })
        await joiner.replica.kill()
        const again = await start(cluster, dataDir)
        if ((await again.replica.size()) !== items) throw new Error('the state is not whole')
        await again.replica.kill()
        pairs.push({ ours: again.inSyncMs, baseline: joiner.inSyncMs })
      }
      return pairs
    },
  },
]

async function start(
  cluster: Cluster,
  dataDir: string,
): Promise<{ replica: ReplicaProcess; inSyncMs: number }> {
  const replica = await cluster.start({ dataDir })
  const beganMs = performance.now()
  await replica.inSync()
  return { replica, inSyncMs: performance.now() - beganMs }
}

function isWritten(event: ReplicaProcess['events'][number]): boolean {
  return event.type === 'checkpoint' && event.detail.type === 'written'
}
