/**
 * A replica of an empty group, as the README starts it. Its first argument is a folder for its files, the second `memory`
 * for a log without threads.
 */
import { join } from 'node:path'
import { tellWhenIdle } from './figures.ts'

const [, , folder = '', kind] = process.argv

const beganMs = performance.now()
const { createReplica, memoryLog, ReplicatedMap, sqliteLog } = await import('anchorage')
const importedMs = performance.now()
const replica = await createReplica({
  group: 'start',
  machine: new ReplicatedMap<string, string>(),
  log: kind === 'memory' ? memoryLog() : sqliteLog({ path: join(folder, 'log.db') }),
  dataDir: join(folder, 'data'),
})
const createdMs = performance.now()
await replica.inSync()
const readyMs = performance.now()
await tellWhenIdle({ importMs: importedMs - beganMs, createMs: createdMs - importedMs, readyMs })
await replica.stop()
