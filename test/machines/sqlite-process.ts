/**
 * A process with a replica of a SQLite machine: `sqlite-process.ts FOLDER`. Each number that is in the state it
 * prints when it begins, and each number that was written after that, when it is written, until it is killed.
 */
import { join } from 'node:path'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { sqliteMachine } from '../../src/machines/sqlite/sqlite-machine.ts'
import { createReplica } from '../../src/replica/start.ts'

const [, , folder = ''] = process.argv
const machine = sqliteMachine<number>({
  path: join(folder, 'state'),
  schema: 'CREATE TABLE number (n INTEGER PRIMARY KEY AUTOINCREMENT, v INTEGER NOT NULL) STRICT',
  // Applied twice, a number would be there twice.
  apply(db, command) {
    db.run('INSERT INTO number (v) VALUES (?)', Number(Buffer.from(command)))
    return Number(db.get('SELECT count(*) AS count FROM number')?.count)
  },
})
const log = sqliteLog({ path: join(folder, 'log.db') })
const replica = await createReplica({ group: 'g', machine, log, volatile: true, leaseMs: 500 })
await replica.inSync()
const say = (text: string) => process.stdout.write(`${text}\n`)
say(`has ${machine.all('SELECT v FROM number ORDER BY n').map(({ v }) => v)}`)
for (let next = Number(machine.get('SELECT coalesce(max(v), 0) AS v FROM number')?.v) + 1; ; next++) {
  const { result } = await machine.submit(Buffer.from(String(next)))
  say(`wrote ${next} as row ${result}`)
}
