/**
 * Uses every call of a log: `node main-thread.ts <path>`. The main thread of this process cannot load SQLite.
 */
import { registerHooks } from 'node:module'
import { commands, init, numbers, readAll } from './entries.ts'

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'node:sqlite') throw new Error('SQLite was loaded in the main thread')
    return next(specifier, context)
  },
})

const { sqliteLog } = await import('../../src/log/sqlite.ts')
const log = await sqliteLog({ path: process.argv[2]! }).open(init())
await log.append(commands(...numbers(1, 100)))
for await (const { newest } of log.follow({ index: 0 })) if (newest.index === 100) break
await readAll(log)
await log.prune(100)
await log.bounds()
await log.notices.announce('alice', new Uint8Array(1), 1000)
for await (const _ of log.notices.watch()) break
await log.notices.read()
await log.notices.withdraw('alice')
await log.close()
console.log('done')
