import { DatabaseSync } from 'node:sqlite'
import { workerData } from 'node:worker_threads'
import type { IndexWork } from './index-work.ts'

const { path, statements, cacheKib } = workerData as IndexWork

// A crash may spoil the file: it counts for nothing until it is flushed.
using db = new DatabaseSync(path, { enableForeignKeyConstraints: false })
db.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -${cacheKib}; BEGIN`)
for (const statement of statements) db.exec(statement)
db.exec('COMMIT')
