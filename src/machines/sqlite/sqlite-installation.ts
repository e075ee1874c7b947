import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { MalformedItem } from '../../machine/errors.ts'
import type { Items } from '../../machine/items.ts'
import type { Installation } from '../../machine/machine.ts'
import { asError } from '../../thrown.ts'
import type { Draft } from './draft.ts'
import { type Row, RowReader } from './row-codec.ts'
import type { Schema } from './schema.ts'

/** Statements that stay prepared: one for each table and each set of columns that hold text. */
const STATEMENTS_MAX = 256
const SQLITE_CONSTRAINT = 19
const SQLITE_MISMATCH = 20

/** Builds a state in a file of its own from the items of a `SqliteSnapshot`. */
export class SqliteInstallation implements Installation {
  readonly #schema: Schema
  readonly #draft: Draft
  /** The file takes the place of the state's. */
  readonly #promote: (draft: Draft, note: Uint8Array | undefined) => void
  readonly #inserts = new Map<string, StatementSync>()
  readonly #db: DatabaseSync
  #table = -1
  #rowid: bigint | undefined

  constructor(draft: Draft, promote: (draft: Draft, note: Uint8Array | undefined) => void) {
    this.#schema = draft.version.schema
    this.#draft = draft
    this.#promote = promote
    this.#db = draft.db
  }

  add(items: Items): void {
    const reader = new RowReader(this.#schema.tables, items.bytes)
    for (let i = 0; i < items.length; i++) this.#insert(reader.row(items.start(i), items.end(i)))
  }

  async finish(): Promise<void> {
    this.#enter(this.#schema.tables.length)
    await this.#draft.finish()
  }

  commit(note?: Uint8Array): void {
    this.#draft.setNote(note)
    this.#promote(this.#draft, note)
  }

  abandon(): void {
    this.#draft.drop()
  }

  #insert(row: Row): void {
    const { table, cells } = row
    if (table.number !== this.#table) this.#enter(table.number)
    if (table.hasRowid) {
      const rowid = cells[0]
      const isAbove = typeof rowid === 'bigint' && (this.#rowid === undefined || rowid > this.#rowid)
      if (!isAbove) throw new MalformedItem(`a row of ${table.name} is not above the one before`)
      this.#rowid = rowid
    }
    try {
      this.#insertOf(row).run(...cells)
    } catch (cause) {
      const code = ((cause as { errcode?: number }).errcode ?? 0) & 0xff
      if (code !== SQLITE_CONSTRAINT && code !== SQLITE_MISMATCH) throw cause
      throw new MalformedItem(`a row does not fit ${table.name}: ${asError(cause).message}`, { cause })
    }
  }

  #insertOf({ table, isText }: Row): StatementSync {
    const key = `${table.number} ${isText.map(Number).join('')}`
    const known = this.#inserts.get(key)
    if (known !== undefined) return known
    const insert = this.#db.prepare(table.insertSql(isText))
    if (this.#inserts.size >= STATEMENTS_MAX) this.#inserts.delete(this.#inserts.keys().next().value!)
    this.#inserts.set(key, insert)
    return insert
  }

  /** The rows of one table are complete, and those of another one begin. */
  #enter(number: number): void {
    const { tables } = this.#schema
    if (number < this.#table) throw new MalformedItem(`a row of ${tables[number]!.name} comes too late`)
    // Rows that were written to tables with AUTOINCREMENT have moved the counters, which come as rows too.
    for (const { number: passed, name } of tables) {
      if (passed > this.#table && passed <= number && name === 'sqlite_sequence') {
        this.#db.exec('DELETE FROM sqlite_sequence')
      }
    }
    this.#table = number
    this.#rowid = undefined
  }
}
