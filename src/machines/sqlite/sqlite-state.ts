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
import { Migration } from './migration.ts'
import { rowsOf } from './question.ts'
import { assertKeepsTransaction, SqlJudge } from './refused-sql.ts'
import { OWN_TABLE } from './schema.ts'
import { SqliteInstallation } from './sqlite-installation.ts'
import { SqliteSnapshot } from './sqlite-snapshot.ts'
import { type FileCalls, StateFiles } from './state-files.ts'
import { quoted } from './table.ts'
import type { Version, Versions } from './version.ts'

export interface SqliteStateInit extends ConnectionOptions {
  readonly path: string
  readonly versions: Versions
  /** Default: the system's. */
  readonly files?: FileCalls | undefined
}

/** What is open of the current file. */
interface Open {
  readonly path: string
  /** The version whose tables are in it. */
  readonly version: Version
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
  rollback: 'ROLLBACK',
  setNote: `UPDATE ${OWN_TABLE} SET note = ?`,
  setSignature: `UPDATE ${OWN_TABLE} SET signature = ?`,
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
  /** Connections that only reads go on with that were under way when the tables changed. */
  readonly #retired: DatabaseSync[] = []
  #reader: { readonly db: DatabaseSync; readonly statements: Statements } | undefined
  #note: Uint8Array | undefined
  /** The version whose tables are in the newest commit. */
  #committed: Version

  /** Throws `StateInUse`, `StateUnusable` and `SchemaChanged`. */
  constructor(init: SqliteStateInit) {
    this.#init = init
    this.#files = new StateFiles(init.path, init.files)
    try {
      const { newest } = init.versions
      const { current } = this.#files
      const found = current === undefined ? undefined : this.#inspect(current)
      this.#note = found?.note
      // Without a note nobody knows which commands are in the state.
      this.#open =
        found?.note === undefined ? this.#openEmpty(newest) : this.#openFile(current!, found.version)
      this.#committed = this.#open.version
    } catch (error) {
      this.#files[Symbol.dispose]()
      throw error
    }
  }

  get note(): Uint8Array | undefined {
    return this.#note
  }

  /** The version whose tables are read. */
  get committed(): Version {
    return this.#committed
  }

  /**
   * Do one command's work within the transaction, and undo all of it if it throws.
   * @param version the active one
   */
  command<T>(version: Version, work: (db: CommandDb) => T): T {
    this.#be(version)
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
    if (this.#committed === this.#open.version) return
    this.#committed = this.#open.version
    if (this.#reader !== undefined) this.#retired.push(this.#reader.db)
    this.#reader = undefined
    judge.own(() => db.exec('PRAGMA foreign_keys = ON'))
  }

  /**
   * Change the tables, in one transaction with the next commit. Everything before must be committed: how
   * foreign keys are enforced cannot be said within a transaction.
   */
  upgrade(from: Version, to: Version): void {
    this.#be(from)
    this.#settle()
    const { db, own, judge } = this.#open
    judge.own(() => {
      db.exec('PRAGMA foreign_keys = OFF')
      own.begin.run()
    })
    try {
      for (const [older, newer] of this.#init.versions.steps(from, to))
        new Migration(older, newer).run(db, judge)
      judge.own(() => own.setSignature.run(to.signature))
      this.#open = { ...this.#open, version: to, statements: new Statements(db, assertKeepsTransaction) }
    } catch (error) {
      judge.own(() => {
        if (db.isTransaction) own.rollback.run()
        db.exec('PRAGMA foreign_keys = ON')
      })
      throw error
    }
  }

  discard(): void {
    this.#close()
    this.#files.setAside()
    this.#open = this.#openEmpty(this.#init.versions.newest)
    this.#committed = this.#open.version
    this.#note = undefined
  }

  /**
   * The newest commit. A state that no replica gives notes to has none: what was applied is committed then, as a
   * state of no known place.
   */
  capture(version: Version): SqliteSnapshot {
    this.#be(version)
    const { path, db } = this.#open
    if (db.isTransaction && this.#note === undefined) this.commit(undefined)
    return new SqliteSnapshot(openFrozen(path, OWN_TABLE), version.schema.tables)
  }

  install(version: Version): SqliteInstallation {
    return new SqliteInstallation(this.#draft(version), (draft, note) => this.#promote(draft, note))
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
    for (const db of this.#retired.splice(0)) db.close()
    this.#reader?.db.close()
    this.#reader = undefined
    if (this.#open.db.isOpen) this.#open.db.close()
  }

  /**
   * The tables are to be of this version. Those of a state without rows are made anew: until the first
   * command, nobody has told which version is active.
   */
  #be(version: Version): void {
    if (this.#open.version === version) return
    if (!this.#isEmpty()) {
      throw new StateUnusable(
        `${this.#open.path} has tables of ${this.#open.version.signature}, and the group speaks ${version.signature}: give another path, or remove the folder, and the state comes from other replicas or from the log`,
      )
    }
    this.#settle()
    const draft = this.#draft(version)
    draft.finishEmpty()
    draft.setNote(this.#note)
    this.#promote(draft, this.#note)
  }

  #isEmpty(): boolean {
    const { db, judge, version } = this.#open
    return judge.own(() =>
      version.schema.tables.every(
        ({ name }) => db.prepare(`SELECT 1 FROM ${quoted(name)} LIMIT 1`).get() === undefined,
      ),
    )
  }

  /** A state that no replica gives notes to is committed whenever it must be. */
  #settle(): void {
    if (!this.#open.db.isTransaction) return
    if (this.#note !== undefined) throw new TypeError('commit what was applied before the version changes')
    this.commit(undefined)
  }

  #draft(version: Version): Draft {
    return new Draft({ files: this.#files, version, cacheBytes: this.#init.cacheBytes })
  }

  /** A state that was built takes the place of the current one. */
  #promote(draft: Draft, note: Uint8Array | undefined): void {
    const old = this.#open
    const path = draft.promote()
    // Removed before it is closed: SQLite would write what is left in its -wal into a file that nobody needs.
    this.#files.removeOld()
    this.#reader?.db.close()
    this.#reader = undefined
    this.#open = this.#openFile(path, draft.version)
    this.#committed = draft.version
    this.#note = note
    old.db.close()
  }

  /** A state without rows, in the place of whatever is there. */
  #openEmpty(version: Version): Open {
    const draft = this.#draft(version)
    draft.finishEmpty()
    const path = draft.promote()
    this.#files.removeOld()
    return this.#openFile(path, version)
  }

  #openFile(path: string, version: Version): Open {
    const db = openToWrite(path, this.#init)
    const own = Object.fromEntries(Object.entries(OWN_SQL).map(([name, sql]) => [name, db.prepare(sql)]))
    const judge = new SqlJudge(db)
    return {
      path,
      version,
      db,
      judge,
      statements: new Statements(db, assertKeepsTransaction),
      own: own as Open['own'],
    }
  }

  /** What a state is of that was found. Nothing is written before it is known to be this machine's. */
  #inspect(path: string): { readonly version: Version; readonly note: Uint8Array | undefined } {
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
      const { versions } = this.#init
      const signature = String(row?.signature)
      const version = versions.find(signature)
      if (version === undefined) throw new SchemaChanged(path, signature, versions.signatures)
      return { version, note: (row?.note as Uint8Array | null) ?? undefined }
    } catch (cause) {
      if (cause instanceof StateUnusable || cause instanceof SchemaChanged) throw cause
      throw new StateUnusable(
        `${path} cannot be read: ${asError(cause).message}; remove the folder, and the state comes from other replicas or from the log`,
        { cause },
      )
    }
  }
}
