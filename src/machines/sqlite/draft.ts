import type { DatabaseSync } from 'node:sqlite'
import { APPLICATION_ID, FORMAT, openDraft } from './connections.ts'
import { makeIndexes } from './index-work.ts'
import { OWN_TABLE, OWN_TABLE_SQL } from './schema.ts'
import type { StateFiles } from './state-files.ts'
import type { Version } from './version.ts'

const KIB = 1024

export interface DraftInit {
  readonly files: StateFiles
  /** The version of the machine that the state is of. */
  readonly version: Version
  readonly cacheBytes: number
}

/** A state that is being built, in a file beside the current one. */
export class Draft {
  readonly path: string
  readonly #init: DraftInit
  #db: DatabaseSync | undefined
  /** It is the state now, or was dropped. */
  #isOver = false

  /** With the schema's tables, empty, and without what else the schema makes. */
  constructor(init: DraftInit) {
    this.#init = init
    this.path = init.files.draft()
    this.#db = openDraft(this.path, init.cacheBytes)
    this.#db.exec(
      `BEGIN; ${OWN_TABLE_SQL};
       PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`,
    )
    this.#db.prepare(`INSERT INTO ${OWN_TABLE} VALUES (1, ?, NULL)`).run(init.version.signature)
    for (const sql of init.version.schema.tableSql) this.#db.exec(sql)
  }

  get version(): Version {
    return this.#init.version
  }

  get db(): DatabaseSync {
    if (this.#db === undefined) throw new Error('this state is not being built any more')
    return this.#db
  }

  /** All rows are written: make the rest, and bring everything to the disk. */
  async finish(): Promise<void> {
    this.#close()
    const { cacheBytes, version } = this.#init
    const statements = version.schema.otherSql
    const cacheKib = Math.ceil(cacheBytes / KIB)
    if (statements.length > 0) await makeIndexes({ path: this.path, statements, cacheKib })
    await this.#init.files.flush(this.path)
  }

  /** As `finish`, at once: for a state without rows. */
  finishEmpty(): void {
    for (const sql of this.#init.version.schema.otherSql) this.db.exec(sql)
    this.#close()
  }

  setNote(note: Uint8Array | undefined): void {
    if (this.#db !== undefined) throw new Error('this state is not finished')
    using db = openDraft(this.path, this.#init.cacheBytes)
    db.prepare(`UPDATE ${OWN_TABLE} SET note = ?`).run(note ?? null)
  }

  /** It is the state now. Returns the path that it has as such. */
  promote(): string {
    const path = this.#init.files.promote(this.path)
    this.#isOver = true
    return path
  }

  drop(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#db?.close()
    this.#db = undefined
    this.#init.files.drop(this.path)
  }

  #close(): void {
    this.db.exec('COMMIT')
    this.db.close()
    this.#db = undefined
  }
}
