import { createReplica, memoryLog } from 'anchorage'
import { encode, Inventory } from './inventory.ts'

/** A second life of a replica begins with the checkpoint of the first: in one process, for a quick test. */
export async function restart(dataDir: string): Promise<number | undefined> {
  const log = memoryLog()
  {
    await using first = await createReplica({ group: 'goods', machine: new Inventory(), log, dataDir })
    await first.submit(encode({ article: 'bolts', count: 3 }))
    const anchor = await first.mark()
    await first.checkpointed(anchor, { signal: AbortSignal.timeout(10_000) })
  }
  const inventory = new Inventory()
  await using second = await createReplica({ group: 'goods', machine: inventory, log, dataDir })
  await second.inSync()
  return inventory.stockOf('bolts')
}
