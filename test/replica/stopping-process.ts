/** Starts a replica, stops it, and tells how much longer the process then lives, in milliseconds. */
import { createReplica, memoryLog, ReplicatedMap } from '../../src/index.ts'

const replica = await createReplica({ group: 'stopping', machine: new ReplicatedMap(), log: memoryLog() })
await replica.inSync()
await replica.stop()
const stoppedMs = performance.now()
process.on('exit', () => console.log(performance.now() - stoppedMs))
