import { randomUUID } from 'node:crypto'
import {
  accessSync,
  type BigIntStats,
  constants,
  existsSync,
  linkSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { EpochChanged, LogMismatch, LogMissing, LogUnusable } from '../errors.ts'
import {
  busy,
  damaged,
  failure,
  isBusy,
  isForbidden,
  isFull,
  NotALog,
  SQLITE_NOTADB,
  sqliteCode,
  unusable,
} from './failure.ts'
import { CLOSING_PATIENCE_MS, whenFree } from './lock.ts'

/** "ANCH". It tells our files from other programs' SQLite databases. */
const APPLICATION_ID = 0x414e4348
/** The version of the schema below. A file is made of this version: processes of version 0.1.0 may use it, too. */
const FORMAT = 1
/**
 * The version of a file with `UPGRADES`. Version 0.1.0, which would not obey an upgrade, refuses it, and says that a
 * newer one is needed. A file of a version beyond this one is refused here.
 */
const FORMAT_UPGRADED = 2

/**
 * The tables of a log:
 * - `meta` never changes.
 * - `state.first` is the oldest entry that can be read. Entries before it are pruned, even if their rows are
 *   still there.
 * - `state.board` counts the changes of `notices`, the presence store.
 * - `entries` always keeps the newest row, so that indexes and timestamps go on from it.
 *
 * `UPGRADES` is made when it is needed.
 */
const SCHEMA = `
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT};
  CREATE TABLE meta (epoch TEXT NOT NULL, "group" TEXT NOT NULL, signature TEXT NOT NULL) STRICT;
  CREATE TABLE state (first INTEGER NOT NULL, board INTEGER NOT NULL) STRICT;
  CREATE TABLE writers (ref INTEGER PRIMARY KEY, nonce TEXT NOT NULL UNIQUE, author TEXT NOT NULL) STRICT;
  CREATE TABLE entries (
    idx INTEGER PRIMARY KEY, ts INTEGER NOT NULL, writer INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind INTEGER NOT NULL, payload BLOB NOT NULL
  ) STRICT;
  CREATE TABLE notices (
    member TEXT PRIMARY KEY, data BLOB NOT NULL, ttl REAL NOT NULL, at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO state VALUES (1, 0);`

/**
 * The versions that the group went over to: the signature, and an entry at which it was active. The table is
 * made with the first note, and the file has another version from then on.
 */
export const UPGRADES = `
  CREATE TABLE IF NOT EXISTS upgrades (idx INTEGER PRIMARY KEY, signature TEXT NOT NULL) STRICT;
  PRAGMA user_version = ${FORMAT_UPGRADED}`

/**
 * The size that the -wal file is cut to when SQLite begins it anew, in bytes. While a reader holds an old
 * state, the file grows, and it would stay that large. In ordinary work SQLite begins it anew after 4 MB.
 */
const WAL_BYTES = 8 * 1024 * 1024
/** The files that this process has open, where the system is Linux. */
const DESCRIPTORS = '/proc/self/fd'
/** How often opening is tried again if the file is replaced meanwhile. */
const OPEN_ATTEMPTS_MAX = 10

/** The log that a file was made for. */
export interface Meta {
  readonly epoch: string
  readonly group: string
  readonly signature: string
}

/**
 * Make the log's file if there is none, whole or not at all. If two processes make it at once, one wins, and
 * both then open its file.
 */
export function makeFile(path: string, group: string, signature: string): void {
  if (isThere(path)) return
  if (!existsSync(dirname(path)))
    throw new LogUnusable(`it cannot be made: make the folder ${dirname(path)} first`, { place: path })
  const draft = `${path}.${randomUUID()}.new`
  try {
    const db = new DatabaseSync(draft)
    try {
      // This setting must precede the first page. With it, the pages of pruned entries can be given back to
      // the disk.
      db.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; BEGIN; ${SCHEMA}`)
      db.prepare('INSERT INTO meta VALUES (?, ?, ?)').run(randomUUID(), group, signature)
      db.exec('COMMIT')
    } finally {
      db.close()
    }
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(path, 'it cannot be made', error)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** What a connection is for. For reading, a file without write permission will do. */
export type Use = 'read' | 'write'

/** Throws `LogMissing` if there is no file. */
export function assertFile(path: string): void {
  if (!isThere(path)) throw new LogMissing(path)
}

/** Whether the file is there. Throws if only a part of a log is left. */
function isThere(path: string): boolean {
  const walIsThere = existsSync(`${path}-wal`)
  if (existsSync(path)) return true
  if (!walIsThere) return false
  throw new LogUnusable(
    `it is gone, but ${path}-wal, a part of it, is still there: put the log back, or remove ${path}-wal and ${path}-shm to begin a new one`,
    { place: path },
  )
}

/** An open connection to the file that was at a path. It can tell whether that file is still there. */
export class Connection {
  readonly path: string
  readonly db: DatabaseSync
  readonly meta: Meta
  readonly #file: string | undefined
  readonly #wal: string | undefined
  /** What has the locks of all connections, and the index of the -wal. */
  readonly #shm: string | undefined
  readonly #isReadOnly: boolean
  /** The file's stamp when it was opened without locks. SQLite then assumes that the file never changes. */
  readonly #frozen: string | undefined

  /** Throws for a file that is not the log of `group`. Nothing is written to it. */
  static open(path: string, group: string, use: Use = 'read'): Connection {
    return Connection.#open(path, use, (meta) => {
      if (meta.group !== group) throw new LogMismatch('group', group, meta.group, { place: path })
    })
  }

  /** Throws `EpochChanged` if the file is gone or has another epoch. */
  static reopen(path: string, epoch: string, use: Use): Connection {
    try {
      return Connection.#open(path, use, (meta) => {
        if (meta.epoch !== epoch) throw new EpochChanged(epoch, meta.epoch, { place: path })
      })
    } catch (error) {
      if (identity(path) === undefined) throw new EpochChanged(epoch, undefined, { place: path })
      // The file was a log before, so another try would not help: it is damaged.
      throw error instanceof NotALog ? damaged(path, error) : error
    }
  }

  static #open(path: string, use: Use, check: (meta: Meta) => void): Connection {
    for (let attempt = 1; ; attempt++) {
      const file = identity(path)
      try {
        const meta = inspect(path)
        check(meta)
        if (hasOldShm(path)) throw shmTaken()
        const connection = new Connection(path, use, meta, file)
        if (hasOldShm(path)) {
          connection.#closeBeside()
          throw shmTaken()
        }
        if (connection.isCurrent()) return connection
        connection.close()
      } catch (error) {
        if (identity(path) === file) throw failure(path, `it cannot be opened to ${use}`, error)
      }
      if (attempt === OPEN_ATTEMPTS_MAX)
        throw new LogUnusable('it is replaced again and again: stop whoever does that, then open it', {
          place: path,
        })
    }
  }

  private constructor(path: string, use: Use, meta: Meta, file: string | undefined) {
    this.path = path
    this.meta = meta
    this.#file = file
    const before = stamp(path)
    const { db, isFrozen, isReadOnly } = connect(path, use)
    this.db = db
    this.#isReadOnly = isReadOnly
    this.#frozen = isFrozen ? before : undefined
    this.#wal = identity(`${path}-wal`)
    this.#shm = identity(`${path}-shm`)
  }

  /**
   * False once the file was deleted or replaced, or the -wal that holds its newest entries was: no other
   * connection would see what is then written through this one. So it is without its -shm: others lock another
   * one, and would write in the same place.
   */
  isCurrent(): boolean {
    if (identity(this.path) !== this.#file) return false
    if (this.#frozen !== undefined) return this.#frozen === stamp(this.path) && isEmpty(`${this.path}-wal`)
    return identity(`${this.path}-wal`) === this.#wal && identity(`${this.path}-shm`) === this.#shm
  }

  rollback(): void {
    if (this.db.isTransaction) this.db.exec('ROLLBACK')
  }

  /**
   * Close a connection that is not current. If only the -wal was taken away, its contents are still available
   * here and are brought into the file first. That needs locks: if it fails with an `isBusy` error, try
   * again.
   */
  retire(): void {
    try {
      this.#retire()
    } catch (error) {
      throw failure(this.path, 'its -wal was taken away, and what it held did not get into the file', error)
    }
  }

  #retire(): void {
    this.rollback()
    const wal = `${this.path}-wal`
    const shm = identity(`${this.path}-shm`)
    const isSame = this.#frozen === undefined && identity(this.path) === this.#file
    const wasTaken = isSame && identity(wal) !== this.#wal
    // With another -shm others may be writing now.
    if (isSame && shm !== undefined && shm !== this.#shm) return this.#closeBeside()
    // Who may not write waits until somebody else has brought it in, and written more.
    if (wasTaken && isEmpty(wal) && (this.#isReadOnly || this.#bringIn()?.busy))
      throw busy('the -wal was taken away, and what it held is not in the file yet')
    // The last connection to close removes the -wal by its name. If there is another one by now, with entries in it, this
    // connection must not be the last, since it knows nothing of them.
    const last = wasTaken && !isEmpty(wal) ? connect(this.path, 'read').db : undefined
    this.db.close()
    last?.close()
  }

  /** Close, and leave what is at the paths of -wal and -shm to those who use it. */
  #closeBeside(): void {
    const last = bystander(this.path)
    this.db.close()
    last.close()
  }

  /** Close the connection. What it holds of a -wal that was taken away is brought in, if that is possible soon. */
  async end(): Promise<void> {
    const patienceMs = () => CLOSING_PATIENCE_MS
    await whenFree(this.path, () => this.retire(), patienceMs).catch(() => this.close())
  }

  /** Close the connection. An open transaction is rolled back. */
  close(): void {
    try {
      this.retire()
    } catch {
      this.db.close()
    }
  }

  #bringIn() {
    return this.db.prepare('PRAGMA wal_checkpoint(RESTART)').get()
  }
}

/**
 * Open a file in the best possible way. Without write permission it can be read, as long as SQLite needs no
 * lock of its own.
 */
function connect(path: string, use: Use): { db: DatabaseSync; isFrozen: boolean; isReadOnly: boolean } {
  const ways: string[] = []
  const canWrite = isWritable(path)
  // Not for a reader without write permission: SQLite would make -wal and -shm files of its own, which would
  // be in the way of writers.
  if (use === 'write' || canWrite) ways.push('mode=rw')
  if (use === 'read' && isEmpty(`${path}-wal`)) ways.push('immutable=1')
  else if (use === 'read' && !canWrite) ways.push('mode=ro&readonly_shm=1')
  let refusal: unknown
  for (const way of ways) {
    let db: DatabaseSync | undefined
    try {
      const isReadOnly = way !== 'mode=rw'
      db = new DatabaseSync(locate(path, way), { timeout: 0, readOnly: isReadOnly })
      db.exec(`PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${WAL_BYTES}; SELECT first FROM state`)
      if (!isReadOnly && isEmpty(`${path}-wal`)) assertIndexed(db, use)
      return { db, isFrozen: way === 'immutable=1', isReadOnly }
    } catch (error) {
      db?.close()
      refusal ??= error
      if (!isForbidden(error) && !isFull(path, error)) throw error
    }
  }
  throw refusal
}

/** A connection that removes nothing when it closes last, because it may not write. */
function bystander(path: string): DatabaseSync {
  const db = new DatabaseSync(locate(path, 'mode=ro'), { timeout: 0, readOnly: true })
  try {
    db.exec('SELECT first FROM state')
  } catch {
    // By now it has its lock, which is all that is wanted of it.
  }
  return db
}

/**
 * For an empty -wal. If the index in -shm says that there are entries in it, they are in a -wal that was taken away, and
 * what is written now would come behind a hole. Those who have it open bring it into the file when they notice: until
 * then this throws. For a writer no transaction may be under way, which could still be written to the other -wal.
 */
function assertIndexed(db: DatabaseSync, use: Use): void {
  const mode = use === 'write' ? 'FULL' : 'PASSIVE'
  if (db.prepare(`PRAGMA wal_checkpoint(${mode})`).get()?.busy && use === 'write')
    throw busy('the -wal is in use')
}

/**
 * Whether this process has a -shm open that was taken away. SQLite would give it to each new connection to the file. That
 * of a file which was deleted, too, harms nobody. Only Linux tells.
 */
function hasOldShm(path: string): boolean {
  try {
    const real = join(realpathSync(dirname(path)), basename(path))
    const links = readdirSync(DESCRIPTORS).map(linkOf)
    return links.includes(`${real}-shm (deleted)`) && !links.includes(`${real} (deleted)`)
  } catch {
    return false
  }
}

function linkOf(descriptor: string): string | undefined {
  try {
    return readlinkSync(join(DESCRIPTORS, descriptor))
  } catch {
    // It was closed meanwhile.
    return undefined
  }
}

function shmTaken(): Error {
  return busy('the -shm was taken away, and this process has not let go of it')
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/**
 * What the file says about itself. It is read as `immutable`: without a lock, and without the -wal file.
 * Otherwise SQLite would make one, or even play one back into a file that is not ours. A checkpoint may be
 * under way meanwhile. What is read here never changes, but the file may be shorter than its header says,
 * which `writable_schema` tolerates.
 */
function inspect(path: string): Meta {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(locate(path, 'immutable=1'), { readOnly: true, defensive: false })
    db.exec('PRAGMA writable_schema = ON')
    const application = db.prepare('PRAGMA application_id').get()?.application_id
    if (application !== APPLICATION_ID) throw new NotALog(path)
    const format = Number(db.prepare('PRAGMA user_version').get()?.user_version)
    if (format !== FORMAT && format !== FORMAT_UPGRADED)
      throw new LogUnusable(
        `it is of format ${format}, this version reads format ${FORMAT_UPGRADED}: use the version of anchorage that wrote it`,
        { place: path },
      )
    return db.prepare('SELECT * FROM meta').get() as unknown as Meta
  } catch (error) {
    if (error instanceof LogUnusable || isBusy(error)) throw error
    if (sqliteCode(error) === SQLITE_NOTADB) throw new NotALog(path)
    throw unusable(path, 'it cannot be read as a log', error)
  } finally {
    db?.close()
  }
}

function locate(path: string, parameters: string): URL {
  const url = pathToFileURL(path)
  url.search = parameters
  return url
}

/**
 * Identifies the file that is at a path now. While that file is open, no other file can get the same
 * identity.
 */
function identity(path: string): string | undefined {
  const stats = look(path)
  return stats && `${stats.dev}:${stats.ino}`
}

function isEmpty(path: string): boolean {
  return (look(path)?.size ?? 0n) === 0n
}

/** Changes with each write to the file itself. */
function stamp(path: string): string | undefined {
  const stats = look(path)
  return stats && `${stats.size}:${stats.mtimeNs}`
}

/** Undefined if there is no such file. Throws if that cannot be told. */
function look(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })
  } catch (error) {
    throw unusable(path, 'it cannot be looked at', error)
  }
}
