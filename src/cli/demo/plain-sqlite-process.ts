/** The log's commands, read with `node:sqlite` on the main thread, as fast as a loop can. */
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { PlainMap } from './plain-map.ts'

export interface SqliteTask {
  readonly path: string
}

const BATCH_ENTRIES = 1_000
const COMMAND = 0

const [{ path }] = (await once(process, 'message')) as [SqliteTask]
const map = new PlainMap()
using db = new DatabaseSync(path, { readOnly: true })
const next = db.prepare(
  `SELECT idx, kind, payload FROM entries WHERE idx > ? ORDER BY idx LIMIT ${BATCH_ENTRIES}`,
)
next.setReturnArrays(true)
for (let after = 0; ; ) {
  const rows = next.all(after) as unknown as [number, number, Uint8Array][]
  if (rows.length === 0) break
  for (const [, kind, payload] of rows) if (kind === COMMAND) map.apply(payload, 0)
  after = rows.at(-1)![0]
}
map.report()
