import { constants, DatabaseSync, type StatementSync } from 'node:sqlite'
import { SqlNotDeterministic } from './errors.ts'

/** Functions whose value is not that of their arguments and the tables, and what to use instead. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['random', 'take a seed from the command'],
  ['randomblob', 'take the bytes from the command'],
  ['current_timestamp', 'use context.timeMs'],
  ['current_date', 'use context.timeMs'],
  ['current_time', 'use context.timeMs'],
  ['last_insert_rowid', 'use RETURNING'],
  ['changes', 'use what run() returns'],
  ['total_changes', 'use what run() returns'],
  ['sqlite_version', 'replicas may differ in it'],
  ['sqlite_source_id', 'replicas may differ in it'],
  ['sqlite_compileoption_get', 'replicas may differ in it'],
  ['sqlite_compileoption_used', 'replicas may differ in it'],
  ['load_extension', 'replicas may differ in it'],
])

/** SQLite's functions of time, each with the number of arguments before the time. */
const TIME_FUNCTIONS: ReadonlyMap<string, number> = new Map([
  ['date', 0],
  ['time', 0],
  ['datetime', 0],
  ['julianday', 0],
  ['unixepoch', 0],
  ['strftime', 1],
  ['timediff', 0],
])
/** Words that make a time depend on the clock or the zone of the machine. */
const UNSETTLED = /^\s*(now|localtime|utc)\s*$/i

const CALLS_TIME = new RegExp(`\\b(${[...TIME_FUNCTIONS.keys()].join('|')})\\s*\\(`, 'i')
const SAYS_NOW = /'\s*(now|localtime|utc)\s*'|\b(date|time|datetime|julianday|unixepoch)\s*\(\s*\)/i

/** Where SQLite writes what a CREATE, ALTER or DROP does. */
const SCHEMA_TABLES = /^sqlite_(temp_)?(master|schema)$/i
const SCHEMA_CHANGE = ['a change of the schema or of the connection', 'only rows are replicated'] as const

/** Tables that tell of SQLite itself, or of one replica's file. */
const INNER_TABLES = /^(sqlite_|pragma_|anchorage_|dbstat$|bytecode$|tables_used$)/i

/**
 * Gives up the transaction of the whole batch, and what other commands wrote in it. The same words in a literal
 * are refused with it.
 */
const GIVES_UP = /\b(or|conflict)\s+rollback\b|\braise\s*\(\s*rollback\b/i

/** Whether a statement, or a trigger or constraint of the schema, may undo more than its own command. */
export function givesUpTransaction(sql: string): boolean {
  return GIVES_UP.test(sql)
}

/** Throws `SqlNotDeterministic` for a statement that may undo more than its own command. */
export function assertKeepsTransaction(sql: string): void {
  if (givesUpTransaction(sql)) throw refused('ROLLBACK', 'it undoes other commands too: use ABORT')
}

/** Throws `SqlNotDeterministic` for a statement of an upgrade that is not the same on every replica. */
export function assertSettled(sql: string): void {
  assertKeepsTransaction(sql)
  // An upgrade is tried on tables without rows, for which SQLite calls no function.
  if (CALLS_TIME.test(sql) && SAYS_NOW.test(sql)) {
    throw refused('a time of now, or of a time zone,', 'have commands give it')
  }
}

/** Whether a call of this function is refused, whatever its arguments are. */
export function isRefusedCall(name: string): boolean {
  return REFUSED.has(name.toLowerCase())
}

/**
 * Lets a connection run only SQL that does the same on every replica, as far as that can be told: reads and
 * writes of the schema's tables. All else is refused with `SqlNotDeterministic`, when the statement is prepared
 * or, for functions of time, when it runs.
 */
export class SqlJudge {
  #judge = judge

  constructor(db: DatabaseSync) {
    const times = new TimeFunctions()
    for (const [name, before] of TIME_FUNCTIONS) {
      const options = { varargs: true, deterministic: true, useBigIntArguments: true }
      db.function(name, options, (...values) => times.call(name, before, values))
    }
    for (const [name, instead] of REFUSED) {
      // The authorizer is not asked about the default of a column.
      db.function(name, { varargs: true }, () => {
        throw refused(`${name}()`, instead)
      })
    }
    db.setAuthorizer((code, first, second) => this.#judge(code, first, second))
  }

  /** Run statements of the machine's own, which may do anything. */
  own<T>(work: () => T): T {
    return this.#by(() => constants.SQLITE_OK, work)
  }

  /** Run statements that may change the tables, too. */
  upgrade<T>(work: () => T): T {
    return this.#by(judgeUpgrade, work)
  }

  #by<T>(rule: typeof judge, work: () => T): T {
    this.#judge = rule
    try {
      return work()
    } finally {
      this.#judge = judge
    }
  }
}

/** What changes tables, indexes, views and triggers. */
const CHANGES: ReadonlySet<number> = new Set([
  constants.SQLITE_CREATE_TABLE,
  constants.SQLITE_CREATE_INDEX,
  constants.SQLITE_CREATE_VIEW,
  constants.SQLITE_CREATE_TRIGGER,
  constants.SQLITE_DROP_TABLE,
  constants.SQLITE_DROP_INDEX,
  constants.SQLITE_DROP_VIEW,
  constants.SQLITE_DROP_TRIGGER,
  constants.SQLITE_ALTER_TABLE,
  constants.SQLITE_REINDEX,
])
/** Tables that SQLite itself reads and writes for such a change. The counters of AUTOINCREMENT are state. */
const OF_CHANGES = /^(sqlite_sequence|pragma_quick_check)$/i
const OWN_NAMES = /^anchorage_/i

function judgeUpgrade(code: number, first: string | null, second: string | null): number {
  if (CHANGES.has(code)) {
    const own = [first, second].find((name) => name !== null && OWN_NAMES.test(name))
    if (own === undefined) return constants.SQLITE_OK
    throw refused(`the table ${own}`, 'it is not one of the schema')
  }
  const isOfChanges = first !== null && (SCHEMA_TABLES.test(first) || OF_CHANGES.test(first))
  switch (code) {
    case constants.SQLITE_READ:
    case constants.SQLITE_INSERT:
    case constants.SQLITE_UPDATE:
    case constants.SQLITE_DELETE:
      return isOfChanges ? constants.SQLITE_OK : judge(code, first, second)
    case constants.SQLITE_PRAGMA:
      return first === 'quick_check' ? constants.SQLITE_OK : judge(code, first, second)
    default:
      return judge(code, first, second)
  }
}

function judge(code: number, first: string | null, second: string | null): number {
  switch (code) {
    case constants.SQLITE_SELECT:
    case constants.SQLITE_RECURSIVE:
      return constants.SQLITE_OK
    case constants.SQLITE_READ:
    case constants.SQLITE_INSERT:
    case constants.SQLITE_UPDATE:
    case constants.SQLITE_DELETE:
      if (first === null || !INNER_TABLES.test(first)) return constants.SQLITE_OK
      if (code !== constants.SQLITE_READ && SCHEMA_TABLES.test(first)) throw refused(...SCHEMA_CHANGE)
      throw refused(`the table ${first}`, 'it is not one of the schema')
    case constants.SQLITE_FUNCTION: {
      const instead = REFUSED.get(second?.toLowerCase() ?? '')
      if (instead === undefined) return constants.SQLITE_OK
      throw refused(`${second}()`, instead)
    }
    case constants.SQLITE_TRANSACTION:
    case constants.SQLITE_SAVEPOINT:
      throw refused(
        'a transaction',
        'each command is one already, and so is an upgrade: throw CommandRefused to undo a command',
      )
    case constants.SQLITE_PRAGMA:
      throw refused(`PRAGMA ${first}`, 'it is of this connection, and not of the state')
    default:
      throw refused(...SCHEMA_CHANGE)
  }
}

function refused(what: string, instead: string): SqlNotDeterministic {
  return new SqlNotDeterministic(`${what} is refused: ${instead}`)
}

/** SQLite's own functions of time, on a connection of their own, for times that do not depend on the machine. */
class TimeFunctions {
  readonly #db = new DatabaseSync(':memory:')
  readonly #calls = new Map<string, StatementSync>()

  call(name: string, before: number, values: readonly SqlValue[]): SqlValue {
    const isUnsettled = values.length <= before || values.some((value) => UNSETTLED.test(String(value)))
    if (isUnsettled) throw refused(`${name}() of now, or of a time zone`, 'use context.timeMs')
    const sql = `SELECT ${name}(${values.map(() => '?').join(', ')}) AS value`
    let call = this.#calls.get(sql)
    if (call === undefined) {
      call = this.#db.prepare(sql)
      this.#calls.set(sql, call)
    }
    return call.get(...values)?.value ?? null
  }
}

/** What SQLite holds in a cell. */
type SqlValue = null | number | bigint | string | NodeJS.NonSharedUint8Array
