import { expect, test } from 'vitest'
import { makeNetworkKey, type NetworkKeys, networkKeysIn } from '../../src/replica/node/network-key.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { Cluster, leads, next } from './cluster.ts'
import { line } from './journal.ts'

/** A group of which one replica leads, has some state, and has pruned the log. */
async function pruned(cluster: Cluster, networkKey: Uint8Array) {
  const [leader] = await cluster.startLed(0, { networkKey })
  for (const text of ['a', 'b', 'c']) await leader.replica.submit(line(text))
  await leader.replica.prune({ keepEntries: 0 })
  return leader.replica
}

test('who has the network key catches up from others that have it', async () => {
  await using cluster = new Cluster()
  const networkKey = makeNetworkKey()
  await pruned(cluster, networkKey)
  const { replica, journal } = await cluster.start({ lead: false, networkKey })
  await replica.inSync()
  expect(journal.lines).toEqual(['a', 'b', 'c'])
})

test.each([
  ['none', undefined, 'it has a network key, and this replica has none'],
  ['another', makeNetworkKey(), 'it has another network key than this replica, or none'],
])(
  'who has %s gets nothing, and is told within seconds what it most likely is',
  async (_which, networkKey, why) => {
    await using cluster = new Cluster()
    const provider = await pruned(cluster, makeNetworkKey())
    const { replica, journal } = await cluster.start({
      lead: false,
      requestTimeoutMs: 60_000,
      ...(networkKey && { networkKey }),
    })
    const beganMs = performance.now()
    const problem = await next(replica, 'problem')
    expect(problem).toMatchObject({ name: 'HandshakeFailed' })
    expect(problem.message).toContain(`${provider.id} cannot be reached: it breaks off the handshake: ${why}`)
    // Half of the handshakes with another key are silent until they are given up, after a second here.
    expect(performance.now() - beganMs).toBeLessThan(10_000)
    expect(replica.state).toBe('catching-up')
    expect(journal.lines).toEqual([])
    expect(provider.counts.get('served')).toBe(undefined)
  },
)

test('what is no network key is refused', async () => {
  await using cluster = new Cluster()
  await expect(cluster.start({ networkKey: Buffer.from('secret') })).rejects.toThrow(RangeError)
})

test('a member that authorize keeps out is told so, which is counted, and gets the state elsewhere', async () => {
  await using cluster = new Cluster()
  const [strict] = await cluster.startLed(0, { authorize: () => false })
  const { replica: other } = await cluster.start({ lead: false })
  for (const text of ['a', 'b', 'c']) await strict.replica.submit(line(text))
  await other.barrier()
  await strict.replica.prune({ keepEntries: 0 })
  const { replica, journal } = await cluster.start({ lead: false, requestTimeoutMs: 1_000 })
  // Who leads names no anchor to it, so that the other's offer is taken once there is one.
  await strict.replica.mark()
  await replica.inSync()
  expect(journal.lines).toEqual(['a', 'b', 'c'])
  expect(strict.replica.counts.get('refused')).toBeGreaterThan(0)
})

test('a group replaces its key in two rounds of restarts, and nobody is turned away meanwhile', async () => {
  await using cluster = new Cluster()
  const [newKey, oldKey] = [makeNetworkKey(), makeNetworkKey()]
  const broken: string[] = []
  const start = async (networkKey: NetworkKeys) => {
    const started = await cluster.start({ networkKey })
    const { replica } = started
    replica.addEventListener('problem', ({ detail }) => broken.push(detail.name))
    // One handshake that fails is no problem yet. A peer that stops refuses connections, or leaves.
    replica.addEventListener('sync', ({ detail }) => {
      if (detail.type === 'fault' && /failed:|handshake/.test(detail.error.message))
        broken.push(detail.error.message)
    })
    return started
  }
  const group = [await start(oldKey)]
  await leads(group[0]!.replica)
  for (let n = 0; n < 100; n++) await group[0]!.replica.submit(line(`line ${n}`))
  while (group.length < 3) group.push(await start(oldKey))
  await Promise.all(group.map(({ replica }) => replica.inSync()))

  let written = 100
  for (const networkKey of [[newKey, oldKey], newKey]) {
    for (const [n, { replica }] of group.entries()) {
      const others = group.filter((_, other) => other !== n)
      await replica.stop()
      // Whichever of the others leads: without the log, the state is only to be had from them.
      const writing = (async () => {
        for (let k = 0; k < 30; k++) await others[k % 2]!.replica.submit(line(`line ${written++}`))
      })()
      const leader = await anyLeader(others.map(({ replica }) => replica))
      await leader.prune({ keepEntries: 0 })
      group[n] = await start(networkKey)
      await Promise.all([writing, group[n].replica.inSync()])
      expect(group[n].replica.counts.get('fetched')).toBeGreaterThan(0)
    }
    // Whoever looks can see that the round is over, and that the next one is.
    const names = networkKeysIn(networkKey).map(({ fingerprint }) => fingerprint)
    for (const { replica } of group)
      expect(replica.members.find(({ id }) => id === replica.id)?.networkKeys).toEqual(names)
  }
  await Promise.all(group.map(({ replica }) => replica.barrier()))
  for (const { journal } of group) expect(new Set(journal.lines).size).toBe(written)
  expect(broken).toEqual([])

  const { replica: late } = await cluster.start({ lead: false, networkKey: oldKey, requestTimeoutMs: 60_000 })
  expect(await next(late, 'problem')).toMatchObject({ name: 'HandshakeFailed' })
})

async function anyLeader(replicas: readonly Replica<number>[]): Promise<Replica<number>> {
  const leading = () => replicas.find(({ leader, id }) => leader === id)
  while (leading() === undefined) await Promise.race(replicas.map((replica) => next(replica, 'leader')))
  return leading()!
}
