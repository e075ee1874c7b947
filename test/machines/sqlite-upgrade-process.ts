/**
 * A process with a SQLite machine of two versions, without a replica: `sqlite-upgrade-process.ts FOLDER HOW`. It fills
 * the tables of the older version, goes over, or kills itself while it does so.
 */
import { kill, pid } from 'node:process'
import { sqliteMachine } from '../../src/machines/sqlite/sqlite-machine.ts'

const [, , path = '', how = ''] = process.argv
const ROWS = 1000
const machine = sqliteMachine({
  path,
  name: 'new',
  schema: 'CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT, w TEXT)',
  apply() {},
  older: [
    {
      name: 'old',
      schema: 'CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT)',
      apply(db) {
        for (let n = 0; n < ROWS; n++) db.run('INSERT INTO t VALUES (?, ?)', n, 'x'.repeat(5_000))
      },
      upgrade(db) {
        db.run('ALTER TABLE t ADD COLUMN w TEXT')
        // More than the cache holds: much of it is in the file by now.
        db.run("UPDATE t SET w = v || '!'")
        if (how !== 'kill' || db.get('SELECT 1 FROM t LIMIT 1') === undefined) return
        console.log('in the midst')
        kill(pid, 'SIGKILL')
      },
    },
  ],
  cacheBytes: 100_000,
})
console.log(`begins with ${machine.activeName}`)
const [older] = machine.older
if (how === 'fill') {
  machine.apply(Buffer.of(), { position: { epoch: 'e', index: 1 }, timeMs: 0, signature: older! })
  machine.durable.commit(Buffer.from('old'))
} else if (machine.activeName === 'old') {
  machine.upgrade(older!, machine.signature)
  machine.durable.commit(Buffer.from('new'))
}
const rows = machine.get(
  machine.activeName === 'old' ? 'SELECT count(*) AS n FROM t' : 'SELECT count(w) AS n FROM t',
)
console.log(`ends with ${Buffer.from(machine.durable.note!)}, ${rows?.n} rows`)
