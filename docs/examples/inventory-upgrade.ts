import assert from 'node:assert/strict'
import { type ReplicaProcess, startCluster } from 'anchorage/testing'

const PROGRAMS = {
  first: new URL('./inventory-program.ts', import.meta.url),
  second: new URL('./inventory-2-program.ts', import.meta.url),
}

/** Three replicas roll from version 1 of the inventory to version 2, one by one, and go on all the while. */
export async function rollOver({ first, second } = PROGRAMS): Promise<void> {
  await using cluster = await startCluster({ replicas: 3, program: first, dataDirs: true })
  const inSync: ReplicaProcess[] = [...cluster.replicas]
  for (const old of cluster.replicas.slice()) {
    await old.stop()
    const restarted = await cluster.start({ name: old.name, program: second })
    inSync.splice(inSync.indexOf(old), 1, restarted)
    await Promise.all(inSync.map((replica) => replica.call('move', 'bolts', 10)))
    // One of the older version may join in the middle of it.
    const joiner = await cluster.start({ name: `beside ${old.name}`, program: first })
    await joiner.barrier()
    await joiner.stop()
  }
  const leader = await cluster.leader()
  assert.equal((await leader.status()).signature, 'inventory/1')

  // All of them speak version 2. By itself the group would go over in 30 s.
  await leader.upgrade()
  await Promise.all(inSync.map((replica) => replica.waitFor(({ type }) => type === 'upgraded')))
  await leader.call('move', 'bolts', -88)
  await leader.call('move', 'nuts', 5, 6)
  for (const replica of inSync) {
    await replica.barrier()
    assert.deepEqual(await replica.call('low'), ['bolts', 'nuts'])
  }
  const anchor = await leader.mark()
  const roots = await Promise.all(inSync.map((replica) => replica.rootAt(anchor)))
  assert.equal(new Set(roots).size, 1)

  // From here on there is no way back: it is told which version it needs.
  await assert.rejects(cluster.start({ program: first }), /inventory\/2/)
}
