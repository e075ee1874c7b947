import { createHash } from 'node:crypto'
import { constants, DatabaseSync } from 'node:sqlite'
import { asError } from '../../thrown.ts'
import { SchemaRefused } from './errors.ts'
import { givesUpTransaction, isRefusedCall } from './refused-sql.ts'
import { quoted, Table } from './table.ts'

/** The machine's own table beside those of the schema. */
export const OWN_TABLE = 'anchorage_state'
export const OWN_TABLE_SQL = `CREATE TABLE ${OWN_TABLE} (
  id INTEGER PRIMARY KEY, signature TEXT NOT NULL, note BLOB
) STRICT`
/** Where SQLite keeps the counters of AUTOINCREMENT. It is state like the rows are. */
const SEQUENCES = 'sqlite_sequence'
/** Names under which a row's number can be read, where no column has that name. */
const ROWID_NAMES = ['_rowid_', 'rowid', 'oid']

/** What `PRAGMA table_xinfo` says of a generated column. */
const GENERATED = [2, 3]
const HIDDEN = 1

interface ColumnInfo {
  readonly name: string
  readonly type: string
  readonly pk: number
  readonly hidden: number
  readonly dflt_value: string | null
}

interface TableInfo {
  readonly name: string
  readonly type: string
  readonly wr: number
}

/**
 * The tables that a machine replicates, in the order of their names' bytes, and how to make them. A table's
 * rows are all there is to know about it: what SQLite computes from them (indexes, generated columns, views) is
 * made anew.
 */
export class Schema {
  readonly tables: readonly Table[]
  /** All that it makes, with the SQL that SQLite keeps of it. */
  readonly made: readonly { readonly type: string; readonly name: string; readonly sql: string }[]
  /** Names the schema: the same for texts that differ in comments and in space between statements only. */
  readonly hash: string
  /** Makes the tables. */
  readonly tableSql: readonly string[]
  /** Makes all else, once the tables have their rows. */
  readonly otherSql: readonly string[]

  /** Throws `SchemaRefused` for what cannot be replicated, and for what is no SQL. */
  constructor(sql: string) {
    using db = new DatabaseSync(':memory:')
    db.setAuthorizer(mayBeInSchema)
    try {
      db.exec(sql)
    } catch (cause) {
      if (cause instanceof SchemaRefused) throw cause
      throw new SchemaRefused(`SQLite does not take the schema: ${asError(cause).message}`, { cause })
    }
    db.setAuthorizer(null)
    const made = db
      .prepare("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
      .all() as unknown as Schema['made']
    this.made = made
    this.tableSql = made.filter(({ type }) => type === 'table').map(({ sql }) => sql)
    this.otherSql = made.filter(({ type }) => type !== 'table').map(({ sql }) => sql)
    for (const { name, sql } of made) checkMade(name, sql)
    this.hash = hashOf(made.map(({ sql }) => sql))
    this.tables = tablesOf(db)
    if (this.tables.length === 0) throw new SchemaRefused('the schema makes no table')
  }
}

function hashOf(statements: readonly string[]): string {
  const hash = createHash('sha256')
  for (const statement of statements) hash.update(`${statement};`)
  return hash.digest('hex').slice(0, 16)
}

/** The schema makes tables, indexes, views and triggers, and does nothing else. */
function mayBeInSchema(code: number, first: string | null, second: string | null): number {
  switch (code) {
    case constants.SQLITE_CREATE_VTABLE:
      throw new SchemaRefused(`the table ${first} is virtual: its rows may be anywhere; use ordinary tables`)
    case constants.SQLITE_CREATE_TEMP_TABLE:
    case constants.SQLITE_CREATE_TEMP_INDEX:
    case constants.SQLITE_CREATE_TEMP_TRIGGER:
    case constants.SQLITE_CREATE_TEMP_VIEW:
      throw new SchemaRefused(`${first} is temporary, and would be on no other replica`)
    case constants.SQLITE_INSERT:
    case constants.SQLITE_UPDATE:
    case constants.SQLITE_DELETE:
      if (first?.startsWith('sqlite_')) return constants.SQLITE_OK
      throw new SchemaRefused(`the schema writes to ${first}; write rows with commands instead`)
    case constants.SQLITE_FUNCTION:
      if (second !== null && isRefusedCall(second)) {
        throw new SchemaRefused(`the schema calls ${second}(), which is another value on each replica`)
      }
      return constants.SQLITE_OK
    case constants.SQLITE_PRAGMA:
    case constants.SQLITE_ATTACH:
    case constants.SQLITE_TRANSACTION:
    case constants.SQLITE_SAVEPOINT:
    case constants.SQLITE_ANALYZE:
    case constants.SQLITE_ALTER_TABLE:
    case constants.SQLITE_DROP_TABLE:
      throw new SchemaRefused('the schema may only create tables, indexes, views and triggers')
    default:
      return constants.SQLITE_OK
  }
}

function checkMade(name: string, sql: string): void {
  if (name.toLowerCase().startsWith('anchorage_')) {
    throw new SchemaRefused(`the name ${name} is kept for the machine; take one without anchorage_`)
  }
  if (givesUpTransaction(sql)) {
    throw new SchemaRefused(`${name} may do a ROLLBACK, which undoes other commands too; use ABORT`)
  }
  // It would fail when a whole batch of commands is committed, and nobody could tell which one was wrong.
  if (/\binitially\s+deferred\b/i.test(sql)) {
    throw new SchemaRefused(`${name} has a constraint that is INITIALLY DEFERRED; check it at once instead`)
  }
}

function tablesOf(db: DatabaseSync): Table[] {
  const infos = (db.prepare('PRAGMA main.table_list').all() as unknown as TableInfo[])
    .filter(({ name, type }) => type === 'table' && (name === SEQUENCES || !name.startsWith('sqlite_')))
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
  return infos.map((info, number) => tableOf(db, info, number))
}

function tableOf(db: DatabaseSync, { name, wr }: TableInfo, number: number): Table {
  const infos = db.prepare(`PRAGMA main.table_xinfo(${quoted(name)})`).all() as unknown as ColumnInfo[]
  for (const info of infos) checkDefault(name, info)
  const stored = infos.filter(({ hidden }) => hidden !== HIDDEN && !GENERATED.includes(hidden))
  const nameOf = (info: ColumnInfo) => info.name
  if (name === SEQUENCES) {
    const [key, ...rest] = stored
    return new Table({ name, number, rowid: undefined, keys: [key!.name], columns: rest.map(nameOf) })
  }
  if (wr) {
    checkKeyOrder(db, name)
    const keys = stored.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk)
    const columns = stored.filter(({ pk }) => pk === 0)
    return new Table({
      name,
      number,
      rowid: undefined,
      keys: keys.map(nameOf),
      columns: columns.map(nameOf),
    })
  }
  const names = new Set(infos.map((info) => info.name.toLowerCase()))
  const alias = rowidAlias(db, name, infos)
  const rowid = alias?.name ?? ROWID_NAMES.find((one) => !names.has(one))
  if (rowid === undefined) {
    throw new SchemaRefused(
      `${name} has columns named ${ROWID_NAMES.join(', ')}, so its row numbers cannot be read; make it WITHOUT ROWID`,
    )
  }
  const columns = stored.filter((info) => info !== alias).map(nameOf)
  return new Table({ name, number, rowid, keys: [], columns })
}

/** The column that is the row's number: the only one of the key, INTEGER, and with no index of its own. */
function rowidAlias(db: DatabaseSync, table: string, infos: readonly ColumnInfo[]): ColumnInfo | undefined {
  const keys = infos.filter(({ pk }) => pk > 0)
  const [key] = keys
  if (keys.length !== 1 || key?.type.toUpperCase() !== 'INTEGER') return undefined
  const indexes = db.prepare(`PRAGMA main.index_list(${quoted(table)})`).all()
  return indexes.some(({ origin }) => origin === 'pk') ? undefined : key
}

/** Rows are read by ascending keys, and from a key on. */
function checkKeyOrder(db: DatabaseSync, table: string): void {
  const indexes = db.prepare(`PRAGMA main.index_list(${quoted(table)})`).all()
  const key = indexes.find(({ origin }) => origin === 'pk')
  const columns = db.prepare(`PRAGMA main.index_xinfo(${quoted(String(key?.name))})`).all()
  if (columns.some((column) => column.key === 1 && column.desc === 1)) {
    throw new SchemaRefused(`the primary key of ${table} is DESC; make it ascending, and read it backwards`)
  }
}

function checkDefault(table: string, { name, dflt_value: value }: ColumnInfo): void {
  const [, called] = /^\(?\s*(\w+)\s*(?:\(|\)?$)/.exec(value ?? '') ?? []
  if (called === undefined || !isRefusedCall(called)) return
  throw new SchemaRefused(
    `the default of ${table}.${name} is ${value}, which is another value on each replica; have commands give it`,
  )
}
