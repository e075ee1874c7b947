/** Replicas of a table on a small disk of this process's own: `sqlite-disk-process.ts full|narrow DIR`. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryLog } from '../../src/log/memory.ts'
import { sqliteMachine } from '../../src/machines/sqlite/sqlite-machine.ts'
import { createReplica } from '../../src/replica/start.ts'
import { leads } from '../replica/cluster.ts'

const [, , what, disk = ''] = process.argv
const log = memoryLog({ epoch: 'e' })
const LARGE = randomBytes(1024 * 1024)
const MIB = 1024 * 1024

async function start(path: string, lead = true) {
  const machine = sqliteMachine({
    path,
    schema: 'CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB NOT NULL) STRICT',
    cacheBytes: 64 * 1024,
    apply: (db, command) => db.run('INSERT INTO t (v) VALUES (?)', new Uint8Array(command)),
  })
  const replica = await createReplica({
    group: 'g',
    machine,
    log,
    lead,
    volatile: true,
    chunkBytes: 64 * 1024,
  })
  const rows = () => machine.get<{ count: number }>('SELECT count(*) AS count FROM t')!.count
  const stop = async () => {
    await replica.stop()
    machine.close()
  }
  return { machine, replica, rows, stop }
}

const nameOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: Error) => error.name,
  )

/** The disk is full, and then it is not. */
async function full() {
  const path = join(disk, 'state')
  const one = await start(path)
  await one.replica.inSync()
  await one.machine.submit(Buffer.from('small'))
  writeFileSync(join(disk, 'filler'), new Uint8Array(4 * MIB))
  const write = await nameOf(one.machine.submit(LARGE))
  const seen = { write, state: one.replica.state, rows: one.rows() }
  await one.stop()
  rmSync(join(disk, 'filler'))
  const again = await start(path)
  await again.replica.inSync()
  const after = again.rows()
  await again.stop()
  return { ...seen, after }
}

/** The state of the others does not fit. */
async function narrow() {
  const folder = mkdtempSync(join(tmpdir(), 'anchorage-sqlite-large-'))
  const one = await start(folder)
  await leads(one.replica)
  for (let n = 0; n < 12; n++) await one.machine.submit(LARGE)
  await one.replica.prune({ keepEntries: 0 })
  const path = join(disk, 'state')
  const joiner = await start(path, false)
  const joined = await nameOf(joiner.replica.inSync())
  await Promise.all([one.stop(), joiner.stop()])
  const files = () => readdirSync(path).filter((name) => name !== 'lock')
  sqliteMachine({
    path,
    schema: 'CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB NOT NULL) STRICT',
    apply() {},
  }).close()
  rmSync(folder, { recursive: true })
  return { joined, files: files() }
}

process.send!(await { full, narrow }[what as 'full']())
process.disconnect()
