import { once } from 'node:events'
import { createReplica, ReplicatedMap } from 'anchorage'
import { arrayLog } from './array-log.ts'

const log = arrayLog()
const [first, second] = [new ReplicatedMap<string, number>(), new ReplicatedMap<string, number>()]

// Nothing is on a disk here, so the group says that it may lose its state: volatile.
await using one = await createReplica({ group: 'cities', machine: first, log, volatile: true })
await one.inSync()
await first.set('Bern', 134_794)
// Only the leader prunes. A new group elects one in a moment.
if (one.leader === undefined) await once(one, 'leader')
console.log(`the log is pruned up to entry ${await one.prune({ keepEntries: 0 })}`)

await using two = await createReplica({ group: 'cities', machine: second, log, volatile: true })
await two.inSync()
console.log(`the second replica has Bern: ${second.get('Bern')}`)
