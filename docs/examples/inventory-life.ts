import assert from 'node:assert/strict'
import { type ReplicaProcess, startCluster } from 'anchorage/testing'

const PROGRAM = new URL('./inventory-program.ts', import.meta.url)

/** What an inventory goes through, in processes: call it in a test of any runner. */
export async function liveThrough(program = PROGRAM): Promise<void> {
  await using cluster = await startCluster({ replicas: 3, program, dataDirs: true })
  const move = (by: ReplicaProcess, article: string, count: number) => by.call('move', article, count)
  const stock = async (at: ReplicaProcess, article: string) => {
    await at.barrier()
    return await at.call<number>('stock', article)
  }
  const [, survivor, victim] = cluster.replicas as [ReplicaProcess, ReplicaProcess, ReplicaProcess]
  await move(victim, 'bolts', 100)

  // Killed: the others go on, and a process of the same name begins with what is on the disk.
  await victim.kill()
  await move(survivor, 'bolts', -30)
  const revived = await cluster.start({ name: victim.name })
  assert.equal(await stock(revived, 'bolts'), 70)

  // Paused: another one takes office after a lease, and the old leader does no harm when it wakes up.
  const asleep = await cluster.leader()
  asleep.pause()
  await move(await cluster.leader(), 'nuts', 5)
  asleep.resume()
  assert.equal(await stock(asleep, 'nuts'), 5)

  // Pruned: entries may go once a checkpoint that the group agreed on is on a disk.
  const leader = await cluster.leader()
  await leader.checkpointed(await leader.mark())
  assert.ok((await leader.prune({ keepEntries: 0 })) > 0)

  // Joined: what was pruned can only have come from a snapshot.
  const joiner = await cluster.start({ name: 'joiner' })
  await joiner.waitFor(({ type }) => type === 'caught-up')
  assert.deepEqual([await stock(joiner, 'bolts'), await stock(joiner, 'nuts')], [70, 5])

  // Whatever has happened, all of them hold the same bytes.
  const anchor = await joiner.mark()
  const roots = await Promise.all([survivor, revived, joiner].map((replica) => replica.rootAt(anchor)))
  assert.equal(new Set(roots).size, 1)
}
