import { DatabaseSync } from 'node:sqlite'

/** "ANCM". It tells a machine's files from other SQLite databases. */
export const APPLICATION_ID = 0x414e434d
/** The version of the machine's own table, and of what the files are called. */
export const FORMAT = 1

/**
 * The largest row, in bytes as SQLite counts them: 64 KiB less than the largest item of a snapshot, which is 32
 * MiB, because an item may take a few bytes a column more. A larger row could never be captured.
 */
export const ROW_BYTES_MAX = 32 * 1024 * 1024 - 64 * 1024
/**
 * The size that the `-wal` file is cut to when SQLite begins it anew, in bytes. While a snapshot is read, the
 * file grows, and it would stay that large.
 */
const WAL_BYTES = 16 * 1024 * 1024
/**
 * How long a connection waits for a lock, in milliseconds. Nobody else writes to the file, but a program that was
 * opened to look at it may hold a lock for a moment.
 */
const PATIENCE_MS = 5_000
const KIB = 1024

export interface ConnectionOptions {
  /** The memory for pages of the file, in bytes. */
  readonly cacheBytes: number
  readonly bigints: boolean
}

/** The one connection that writes. A commit is on the disk for sure only after `flush`, and always whole. */
export function openToWrite(path: string, { cacheBytes, bigints }: ConnectionOptions): DatabaseSync {
  const db = new DatabaseSync(path, {
    readBigInts: bigints,
    limits: { length: ROW_BYTES_MAX },
    timeout: PATIENCE_MS,
  })
  return begun(
    db,
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = ${WAL_BYTES};
     ${cacheOf(cacheBytes)}`,
  )
}

/** A connection for the application's reads. */
export function openToRead(path: string, { cacheBytes, bigints }: ConnectionOptions): DatabaseSync {
  return begun(
    new DatabaseSync(path, { readOnly: true, readBigInts: bigints, timeout: PATIENCE_MS }),
    cacheOf(cacheBytes),
  )
}

/** A connection that sees the state as it is now until it is closed. */
export function openFrozen(path: string, table: string): DatabaseSync {
  const db = new DatabaseSync(path, {
    readOnly: true,
    readBigInts: true,
    returnArrays: true,
    timeout: PATIENCE_MS,
  })
  // A transaction begins with its first read.
  return begun(db, `BEGIN; SELECT 1 FROM ${table}`)
}

/** A new file that nobody else reads, and that a crash may spoil: it counts for nothing until it is flushed. */
export function openDraft(path: string, cacheBytes: number): DatabaseSync {
  return begun(
    new DatabaseSync(path, { enableForeignKeyConstraints: false }),
    `PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; ${cacheOf(cacheBytes)}`,
  )
}

/** What a connection begins with. It is closed if that fails. */
function begun(db: DatabaseSync, sql: string): DatabaseSync {
  try {
    db.exec(sql)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function cacheOf(bytes: number): string {
  return `PRAGMA cache_size = -${Math.ceil(bytes / KIB)}`
}
