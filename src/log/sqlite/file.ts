import { randomUUID } from 'node:crypto'
import { existsSync, linkSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { EpochChanged, LogMismatch, LogUnusable } from '../errors.ts'

/** "ANCH": tells our files from other programs' SQLite databases. */
const APPLICATION_ID = 0x414e4348
/** The version of the schema below. A file of a newer one is refused. */
const FORMAT = 1

/**
 * `meta` never changes. Entries below `state.first` are pruned, whether or not their rows are still there; the newest
 * row always stays, so that indexes and timestamps go on from it. `state.board` counts the changes of the board.
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

const SQLITE_BUSY = 5
const SQLITE_PROTOCOL = 15
const SQLITE_NOTADB = 26

/** How often a file that is replaced while it is being opened is looked at again. */
const OPEN_ATTEMPTS_MAX = 10

/** What a log's file was made for. */
export interface Meta {
  readonly epoch: string
  readonly group: string
  readonly signature: string
}

/** Make the log's file unless there is one, whole or not at all: of two makers one wins, and both then open its file. */
export function makeFile(path: string, group: string, signature: string): void {
  const walIsThere = existsSync(`${path}-wal`)
  if (existsSync(path)) return
  if (walIsThere)
    throw new LogUnusable(
      `${path} is gone, but ${path}-wal, a part of it, is still there: put the log back, or remove ${path}-wal and ${path}-shm to begin a new one`,
    )
  if (!existsSync(dirname(path)))
    throw new LogUnusable(`the log ${path} cannot be made: make the folder ${dirname(path)} first`)
  const draft = `${path}.${randomUUID()}.new`
  try {
    const db = new DatabaseSync(draft)
    try {
      db.exec(`PRAGMA journal_mode = WAL; BEGIN; ${SCHEMA}`)
      db.prepare('INSERT INTO meta VALUES (?, ?, ?)').run(randomUUID(), group, signature)
      db.exec('COMMIT')
    } finally {
      db.close()
    }
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw unusable(`the log ${path} cannot be made`, error)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** An open connection to the file that was at a path, and whether it is still that file. */
export class Connection {
  readonly path: string
  readonly db: DatabaseSync
  readonly meta: Meta
  readonly #file: string | undefined
  readonly #wal: string | undefined

  /** Throws for a file that is not the log of `group` and `signature`; nothing is written to it. */
  static open(path: string, group: string, signature: string): Connection {
    return Connection.#open(path, (meta) => {
      if (meta.group !== group) throw new LogMismatch('group', group, meta.group)
      if (meta.signature !== signature) throw new LogMismatch('signature', signature, meta.signature)
    })
  }

  /** Throws `EpochChanged` if the file is gone, or another incarnation's. */
  static reopen(path: string, epoch: string): Connection {
    try {
      return Connection.#open(path, (meta) => {
        if (meta.epoch !== epoch) throw new EpochChanged(epoch, meta.epoch)
      })
    } catch (error) {
      throw existsSync(path) ? error : new EpochChanged(epoch, undefined)
    }
  }

  static #open(path: string, check: (meta: Meta) => void): Connection {
    for (let attempt = 1; ; attempt++) {
      const file = identity(path)
      try {
        const meta = inspect(path)
        check(meta)
        const connection = new Connection(path, meta, file)
        if (connection.isCurrent()) return connection
        connection.close()
      } catch (error) {
        if (identity(path) === file) throw error
      }
      if (attempt === OPEN_ATTEMPTS_MAX)
        throw new LogUnusable(`${path} is replaced again and again: stop whoever does that, then open it`)
    }
  }

  private constructor(path: string, meta: Meta, file: string | undefined) {
    this.path = path
    this.meta = meta
    this.#file = file
    this.db = new DatabaseSync(locate(path, 'mode=rw'), { timeout: 0 })
    try {
      this.db.exec('PRAGMA synchronous = FULL; SELECT first FROM state')
    } catch (error) {
      this.db.close()
      throw error
    }
    this.#wal = identity(`${path}-wal`)
  }

  /**
   * False once the file, or the -wal that holds its newest entries, was deleted or replaced: what is then written
   * through this connection would be seen by nobody else.
   */
  isCurrent(): boolean {
    return identity(this.path) === this.#file && identity(`${this.path}-wal`) === this.#wal
  }

  rollback(): void {
    if (this.db.isTransaction) this.db.exec('ROLLBACK')
  }

  /**
   * Close a connection that is not current. If somebody took the -wal away, what it held is still to be had here and is
   * brought into the file first; that needs locks, so it can fail with an `isBusy` error, and must then be tried again.
   */
  retire(): void {
    this.rollback()
    const wal = `${this.path}-wal`
    const wasTaken = identity(this.path) === this.#file && identity(wal) !== this.#wal
    const isReplaced = (statSync(wal, { throwIfNoEntry: false })?.size ?? 0) > 0
    if (wasTaken && !isReplaced && this.db.prepare('PRAGMA wal_checkpoint(RESTART)').get()?.busy)
      throw Object.assign(new Error('the -wal is in use'), { errcode: SQLITE_BUSY })
    this.db.close()
  }

  /** Rolls back what was not committed. */
  close(): void {
    try {
      this.retire()
    } catch {
      this.db.close()
    }
  }
}

/** An error as it leaves this folder: SQLite's own in a sentence for whoever owns the file, others as they are. */
export function failure(what: string, error: unknown): unknown {
  return sqliteCode(error) === undefined || isBusy(error) ? error : unusable(what, error)
}

function unusable(what: string, error: unknown): LogUnusable {
  const why = error instanceof Error ? error.message : String(error)
  return new LogUnusable(`${what}: ${why}; see to the file, its disk and its permissions`, { cause: error })
}

/** True when another connection holds a lock that this one needs: it is worth trying again. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_BUSY || code === SQLITE_PROTOCOL
}

/** SQLite's primary result code, if the error is SQLite's. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error && 'errcode' in error && typeof error.errcode === 'number')) return undefined
  return error.errcode & 0xff
}

/**
 * What the file says it is. It is read as `immutable`: without a lock, and without the -wal, which SQLite would
 * otherwise make, or even play back into a file that is not ours. A checkpoint may be under way meanwhile: what is read
 * here never changes, but the file may still be shorter than its header says, which `writable_schema` overlooks.
 */
function inspect(path: string): Meta {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(locate(path, 'immutable=1'), { readOnly: true, defensive: false })
    db.exec('PRAGMA writable_schema = ON')
    const application = db.prepare('PRAGMA application_id').get()?.application_id
    if (application !== APPLICATION_ID) throw notALog(path)
    const format = db.prepare('PRAGMA user_version').get()?.user_version
    if (format !== FORMAT)
      throw new LogUnusable(
        `${path} is of format ${format}, this version reads format ${FORMAT}: use the version of anchorage that wrote it`,
      )
    return db.prepare('SELECT * FROM meta').get() as unknown as Meta
  } catch (error) {
    if (error instanceof LogUnusable || isBusy(error)) throw error
    if (sqliteCode(error) === SQLITE_NOTADB) throw notALog(path)
    throw unusable(`${path} cannot be read as a log`, error)
  } finally {
    db?.close()
  }
}

function notALog(path: string): LogUnusable {
  return new LogUnusable(`${path} is not a log but some other file: choose another path, or move it away`)
}

function locate(path: string, parameters: string): URL {
  const url = pathToFileURL(path)
  url.search = parameters
  return url
}

/** Names the file that is at a path now. While it is open no other file can come to have the same name. */
function identity(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats && `${stats.dev}:${stats.ino}`
}
