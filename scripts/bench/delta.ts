import { type Cluster, type ReplicaProcess, startCluster } from '../../src/testing/index.ts'
import type { Run } from './delta/replica.ts'
import type { Benchmark, Pair } from './runner.ts'

const ITEMS = 1_000_000
const CHANGED_SHARE = 0.01
const DELETED_SHARE = 0.001
/** Changes among neighbours are in this many places. */
const PLACES = 10
const MB = 1_000_000
const LEASE_MS = 60_000
const WAIT_MS = 120_000
/** The TTL of offers, in milliseconds: the next round begins when nothing is offered any more. */
const TTL_MS = 5_000

/**
 * Two replicas serve. A follower is paused, items of 100 incompressible bytes are set anew and deleted, and
 * the log is pruned. Then every byte on the follower's sockets is counted, both ways, from its resumption
 * until it is in sync: the items it lacks, the messages to find them, and encryption. The baseline is what a
 * replica without a state receives and sends.
 */
export const delta: readonly Benchmark[] = [
  {
    name: 'delta/neighbours',
    unit: 'MB',
    baseline: 'all bytes of a replica that joins with nothing',
    target: { ratioMax: 0.03 },
    measure: (scale, pairs) => measureIn(scale, pairs, PLACES),
  },
  {
    name: 'delta/uniform',
    unit: 'MB',
    baseline: 'all bytes of a replica that joins with nothing',
    target: { ratioMax: 0.12 },
    measure: (scale, pairs) => measureIn(scale, pairs, Number.POSITIVE_INFINITY),
  },
]

/** @param places the most runs in which items change */
async function measureIn(scale: number, pairs: number, places: number): Promise<Pair[]> {
  await using cluster = await startCluster({
    replicas: 2,
    program: new URL('./delta/replica.ts', import.meta.url),
    options: { volatile: true, leaseMs: LEASE_MS, ttlMs: TTL_MS },
  })
  const provider = await cluster.leader()
  const items = Math.ceil(ITEMS * scale)
  await provider.call('set', [{ first: 0, count: items }])
  const follower = await cluster.start({ lead: false })
  await follower.inSync()

  const measured: Pair[] = []
  for (let pair = 0; pair < pairs; pair++) {
    await follower.barrier()
    await cluster.waitUntil(
      'nothing is offered any more, which keeps the log from being pruned',
      async () => {
        const { members } = await provider.status()
        return members.every(({ offers }) => offers.length === 0)
      },
    )
    const before = await trafficOf(follower)
    follower.pause()
    await provider.call('set', runs(items, Math.ceil(items * CHANGED_SHARE), places))
    await provider.call('delete', runs(items, Math.ceil(items * DELETED_SHARE), places))
    await provider.prune({ keepEntries: 0 })
    const early = pair % 2 === 0 ? await resumed(follower, before) : undefined
    const baseline = await joined(cluster)
    measured.push({ ours: (early ?? (await resumed(follower, before))) / MB, baseline: baseline / MB })
    if ((await follower.call('size')) !== (await provider.call('size'))) throw new Error('items are missing')
  }
  return measured
}

/** `chosen` of `items` items, in runs of one length, at random places. */
function runs(items: number, chosen: number, places: number): Run[] {
  const number = Math.min(places, chosen)
  const stride = items / number
  const count = Math.ceil(chosen / number)
  return Array.from({ length: number }, (_, n) => ({
    first: Math.floor(n * stride + Math.random() * Math.max(0, stride - count)),
    count,
  }))
}

/** Bytes from the resumption of a paused follower until it is in sync. */
async function resumed(follower: ReplicaProcess, before: number): Promise<number> {
  const since = follower.events.length
  follower.resume()
  await follower.waitFor(({ type }) => type === 'caught-up', { since, timeoutMs: WAIT_MS })
  return (await trafficOf(follower)) - before
}

/** Bytes until a new replica is in sync. */
async function joined(cluster: Cluster): Promise<number> {
  const joiner = await cluster.start({ lead: false })
  await joiner.inSync()
  const bytes = await trafficOf(joiner)
  await joiner.stop()
  return bytes
}

async function trafficOf(replica: ReplicaProcess): Promise<number> {
  return await replica.call<number>('traffic')
}
