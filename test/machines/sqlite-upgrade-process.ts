/**
 * A process with a replica of a SQLite machine: `sqlite-upgrade-process.ts FOLDER HOW`. It is of the older version
 * only, or of both, and then it may kill itself while it goes over. In the end it writes a number once more.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { kill, pid } from 'node:process'
import { sqliteLog } from '../../src/log/sqlite.ts'
import type { CommandDb } from '../../src/machines/sqlite/command-db.ts'
import { sqliteMachine } from '../../src/machines/sqlite/sqlite-machine.ts'
import { createReplica } from '../../src/replica/start.ts'

const [, , folder = '', how = ''] = process.argv
const ROWS = 1000

const OLD = {
  name: 'old',
  schema: 'CREATE TABLE t (n INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)',
  apply: (db: CommandDb) => {
    for (let n = 0; n < ROWS; n++) db.run('INSERT INTO t (v) VALUES (?)', 'x'.repeat(5_000))
  },
}

function upgrade(db: CommandDb): void {
  db.run('ALTER TABLE t ADD COLUMN w TEXT')
  // More than the cache holds: much of it is in the file by now.
  db.run("UPDATE t SET w = v || '!'")
  if (how !== 'kill' || db.get('SELECT 1 FROM t LIMIT 1') === undefined) return
  console.log('in the midst')
  kill(pid, 'SIGKILL')
}

const path = join(folder, 'state')
const machine =
  how === 'old'
    ? sqliteMachine({ path, ...OLD })
    : sqliteMachine({
        path,
        name: 'new',
        schema: 'CREATE TABLE t (n INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT, w TEXT)',
        apply: (db) => void db.run("INSERT INTO t (v, w) VALUES ('x', 'y')"),
        older: [{ ...OLD, upgrade }],
        cacheBytes: 100_000,
      })
console.log(`begins with ${machine.activeName}`)
const log = sqliteLog({ path: join(folder, 'log.db') })
const options = {
  group: 'g',
  log,
  volatile: true,
  leaseMs: 500,
  logger: false,
  upgrade: { afterMs: 0 },
} as const
const replica = await createReplica({ ...options, machine })
while (replica.signature !== machine.signature) await once(replica, 'upgraded')
await machine.submit(Buffer.of())
console.log(`ends with ${machine.activeName}, ${machine.get('SELECT count(*) AS n FROM t')?.n} rows`)
await replica.stop()
machine.close()
