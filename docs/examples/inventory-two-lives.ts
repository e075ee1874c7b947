import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createReplica, memoryLog, type Replica } from 'anchorage'
import { Inventory as FirstInventory } from './inventory.ts'
import { encode, Inventory } from './inventory-2.ts'

/** Resolves when the group speaks a version: from then on commands of that version can be written. */
export async function spoken<Result>(replica: Replica<Result>, signature: string): Promise<void> {
  while (replica.signature !== signature) await once(replica, 'upgraded')
}

/** One replica, restarted with the newer program; it goes over when it is told. */
export async function twoLives(dataDir: string): Promise<void> {
  const group = 'goods'
  const log = memoryLog()
  {
    await using first = await createReplica({ group, machine: new FirstInventory(), log, dataDir })
    await first.submit(encode({ article: 'bolts', count: 30 }))
  }
  const inventory = new Inventory()
  await using replica = await createReplica({ group, machine: inventory, log, dataDir, upgrade: 'manual' })
  await replica.submit(encode({ article: 'nuts', count: 1, orderBelow: 5 }))
  assert.deepEqual([replica.signature, inventory.low], ['inventory/1', []])

  while (replica.leader !== replica.id) await once(replica, 'leader')
  const [position] = await Promise.all([replica.upgrade(), spoken(replica, 'inventory/2')])
  assert.ok(position.index <= replica.position.index)
  await replica.submit(encode({ article: 'nuts', count: 1, orderBelow: 5 }))
  await replica.submit(encode({ article: 'bolts', count: -28 }))
  assert.deepEqual(inventory.low, ['bolts', 'nuts'])
}
