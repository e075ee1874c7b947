import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { DurableState } from '../../machine/machine.ts'
import { asError } from '../../thrown.ts'
import { CommandDb, Statements } from './command-db.ts'
import {
  APPLICATION_ID,
  type ConnectionOptions,
  FORMAT,
  openFrozen,
  openToRead,
  openToWrite,
} from './connections.ts'
import { Draft } from './draft.ts'
import { SchemaChanged, StateUnusable } from './errors.ts'
import { rowsOf } from './question.ts'
import { assertKeepsTransaction, SqlJudge } from './refused-sql.ts'
import { OWN_TABLE, type Schema } from './schema.ts'
import { SqliteInstallation } from './sqlite-installation.ts'
import { SqliteSnapshot } from './sqlite-snapshot.ts'
import { type FileCalls, StateFiles } from './state-files.ts'

export interface SqliteStateInit extends ConnectionOptions {
  readonly path: string
  readonly schema: Schema
  readonly signature: string
  /** Default: the system's. */
  readonly files?: FileCalls | undefined
}

/** What is open of the current file. */
interface Open {
  readonly path: string
  readonly db: DatabaseSync
  readonly judge: SqlJudge
  readonly statements: Statements
  readonly own: Readonly<Record<keyof typeof OWN_SQL, StatementSync>>
}

/** Statements of the machine itself. */
const OWN_SQL = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  savepoint: 'SAVEPOINT command',
  release: 'RELEASE command',
  undo: 'ROLLBACK TO command',
  setNote: `UPDATE ${OWN_TABLE} SET note = ?`,
}

/** SQLite undid the whole batch. What the replica does next is what it does when its process ends. */
class TransactionLost extends Error {
  constructor(cause: unknown) {
    super(`SQLite gave up the transaction: ${asError(cause).message}`, { cause })
  }
}

/** The tables on the disk: one connection that writes, and one that reads what was committed. */
export class SqliteState implements DurableState, Disposable {
  readonly #init: SqliteStateInit
  readonly #files: StateFiles
  #open: Open
  #reader: { readonly db: DatabaseSync; readonly statements: Statements } | undefined
  #note: Uint8Array | undefined

  /** Throws `StateInUse`, `StateUnusable` and `SchemaChanged`. */
  constructor(init: SqliteStateInit) {
    this.#init = init
    this.#files = new StateFiles(init.path, init.files)
    try {
      const { current } = this.#files
      this.#note = current === undefined ? undefined : this.#inspect(current)
      // Without a note nobody knows which commands are in the state.
      this.#open = this.#openFile(this.#note === undefined ? this.#makeEmpty() : current!)
    } catch (error) {
      this.#files[Symbol.dispose]()
      throw error
    }
  }

  get note(): Uint8Array | undefined {
    return this.#note
  }

  /** Do one command's work within the transaction, and undo all of it if it throws. */
  command<T>(work: (db: CommandDb) => T): T {
    const { db, own, judge, statements } = this.#open
    judge.own(() => {
      if (!db.isTransaction) own.begin.run()
      own.savepoint.run()
    })
    const tables = new CommandDb(statements)
    try {
      const result = work(tables)
      judge.own(() => own.release.run())
      return result
    } catch (error) {
      // SQLite gives the whole transaction up where the disk fails, and the commands before this one with it.
      if (!db.isTransaction) throw new TransactionLost(error)
      judge.own(() => {
        own.undo.run()
        own.release.run()
      })
      throw error
    } finally {
      tables.end()
    }
  }

  commit(note: Uint8Array | undefined, { flush = false }: { readonly flush?: boolean } = {}): void {
    const { db, own, judge } = this.#open
    judge.own(() => {
      // How safe a commit is cannot be said within its transaction.
      if (flush && db.isTransaction) own.commit.run()
      if (flush) db.exec('PRAGMA synchronous = FULL')
      if (!db.isTransaction) own.begin.run()
      // SQLite writes nothing, and flushes nothing, where a row stays as it is.
      if (flush) own.setNote.run(Buffer.of())
      own.setNote.run(note ?? null)
      own.commit.run()
      if (flush) db.exec('PRAGMA synchronous = NORMAL')
    })
    this.#note = note
  }

  discard(): void {
    this.#close()
    this.#files.setAside()
    this.#open = this.#openFile(this.#makeEmpty())
    this.#note = undefined
  }

  /**
   * The newest commit. A state that no replica gives notes to has none: what was applied is committed then, as a
   * state of no known place.
   */
  capture(): SqliteSnapshot {
    const { path, db } = this.#open
    if (db.isTransaction && this.#note === undefined) this.commit(undefined)
    return new SqliteSnapshot(openFrozen(path, OWN_TABLE), this.#init.schema.tables)
  }

  install(): SqliteInstallation {
    const { schema } = this.#init
    return new SqliteInstallation(schema, this.#draft(), (draft, note) => {
      const old = this.#open
      const path = draft.promote()
      // Removed before it is closed: SQLite would write what is left in its -wal into a file that nobody needs.
      this.#files.removeOld()
      this.#reader?.db.close()
      this.#reader = undefined
      this.#open = this.#openFile(path)
      this.#note = note
      old.db.close()
    })
  }

  /** A statement on the newest commit. It cannot write. */
  read(sql: string): StatementSync {
    if (this.#reader === undefined) {
      const db = openToRead(this.#open.path, this.#init)
      this.#reader = { db, statements: new Statements(db) }
    }
    return this.#reader.statements.of(sql)
  }

  /** See `rowsOf`. */
  answer(question: Uint8Array): Uint8Array | undefined {
    return rowsOf(this.#open.path, this.#init, question)
  }

  [Symbol.dispose](): void {
    this.#close()
    this.#files[Symbol.dispose]()
  }

  #close(): void {
    this.#reader?.db.close()
    this.#reader = undefined
    if (this.#open.db.isOpen) this.#open.db.close()
  }

  #draft(): Draft {
    const { schema, signature, cacheBytes } = this.#init
    return new Draft({ files: this.#files, schema, signature, cacheBytes })
  }

  /** The path of a state without rows, in the place of whatever is there. */
  #makeEmpty(): string {
    const draft = this.#draft()
    draft.finishEmpty(this.#init.schema.otherSql)
    const path = draft.promote()
    this.#files.removeOld()
    return path
  }

  #openFile(path: string): Open {
    const db = openToWrite(path, this.#init)
    const own = Object.fromEntries(Object.entries(OWN_SQL).map(([name, sql]) => [name, db.prepare(sql)]))
    const judge = new SqlJudge(db)
    return {
      path,
      db,
      judge,
      statements: new Statements(db, assertKeepsTransaction),
      own: own as Open['own'],
    }
  }

  /** The note of a state that was found. Nothing is written before it is known to be this machine's. */
  #inspect(path: string): Uint8Array | undefined {
    try {
      using db = openToRead(path, this.#init)
      const application = Number(db.prepare('PRAGMA application_id').get()?.application_id)
      const format = Number(db.prepare('PRAGMA user_version').get()?.user_version)
      if (application !== APPLICATION_ID)
        throw new StateUnusable(`${path} is not a machine's state; move it away`)
      if (format !== FORMAT) {
        throw new StateUnusable(
          `${path} is of format ${format}, this version reads format ${FORMAT}: use the version of anchorage that wrote it`,
        )
      }
      const row = db.prepare(`SELECT signature, note FROM ${OWN_TABLE}`).get()
      const signature = String(row?.signature)
      if (signature !== this.#init.signature) throw new SchemaChanged(path, signature, this.#init.signature)
      return (row?.note as Uint8Array | null) ?? undefined
    } catch (cause) {
      if (cause instanceof StateUnusable || cause instanceof SchemaChanged) throw cause
      throw new StateUnusable(
        `${path} cannot be read: ${asError(cause).message}; remove the folder, and the state comes from other replicas or from the log`,
        { cause },
      )
    }
  }
}
