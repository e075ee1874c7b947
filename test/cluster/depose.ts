import { expect } from 'vitest'
import { encodeControl } from '../../src/group/control.ts'
import type { Cluster } from '../../src/testing/index.ts'
import { captures, expectSameRoots, openLog, pause } from './support.ts'

/** Stop the leader (SIGSTOP) until another leads, and wake it: whatever it then writes does nothing, on any replica. */
export async function deposeTheLeader(cluster: Cluster): Promise<void> {
  const deposed = await cluster.leader()
  const followers = cluster.replicas.filter((replica) => replica !== deposed && replica.running)
  const { term } = await deposed.status()
  await deposed.fill({ count: 1_000 })
  await Promise.all(followers.map((follower) => follower.barrier()))
  await pause(cluster, deposed)
  // Asked while it sleeps, done when it wakes: it still believes then that it leads.
  const marking = deposed.mark()
  const pruning = deposed.prune({ keepEntries: 0 }).catch((error: Error) => error)
  await cluster.waitUntil('another leads', async () => (await cluster.leader()) !== deposed)
  const next = await cluster.leader()
  await next.fill({ count: 1_000, from: 1_000 })

  deposed.resume()
  const [marked] = await Promise.all([marking, pruning])

  // And what it could write if it never noticed: the same entries, by the same author, for the old term.
  await using log = await openLog(cluster, deposed.id)
  const before = await log.bounds()
  const marker = { type: 'marker', term, electorate: [deposed.id], requesters: [], chunkBytes: 1 } as const
  const { first: anchor } = await log.append([{ kind: 'control', payload: encodeControl(marker) }])
  const root = new Uint8Array(32)
  const seal = { type: 'attestation', anchor, root } as const
  const prune = { type: 'prune', term, upTo: before.newest.index } as const
  const { first: sealed, last: pruned } = await log.append(
    [seal, prune].map((control) => ({ kind: 'control', payload: encodeControl(control) })),
  )

  for (const replica of cluster.replicas) await replica.barrier()
  expect((await log.bounds()).first).toBe(before.first)
  for (const replica of cluster.replicas) {
    expect(captures(replica)).not.toContain(anchor)
    const skipped = replica.events.flatMap((e) => (e.type === 'skipped' ? [e.detail.index] : []))
    expect(skipped).toEqual(expect.arrayContaining([anchor, sealed, pruned]))
  }
  expect(captures(next), 'the anchor is one that counts').toContain(marked.index)
  expect(await deposed.size()).toBe(2_000)
  await expectSameRoots(cluster)
}
