import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

/** What a `?` in SQL is given. */
export type SqlParameter = SQLInputValue
/** A row as SQLite gives it: its columns by their names. */
export type SqlRow = Record<string, null | number | bigint | string | Uint8Array>

/** Statements that stay prepared. A program has fewer; one that writes values into its SQL has any number. */
const STATEMENTS_MAX = 256

/** Prepares each SQL text once. */
export class Statements {
  readonly #db: DatabaseSync
  readonly #check: (sql: string) => void
  readonly #bySql = new Map<string, StatementSync>()

  /** @param check throws for SQL that is not to be prepared */
  constructor(db: DatabaseSync, check: (sql: string) => void = () => {}) {
    this.#db = db
    this.#check = check
  }

  of(sql: string): StatementSync {
    const known = this.#bySql.get(sql)
    if (known !== undefined) return known
    this.#check(sql)
    const statement = this.#db.prepare(sql)
    if (this.#bySql.size >= STATEMENTS_MAX) this.#bySql.delete(this.#bySql.keys().next().value!)
    this.#bySql.set(sql, statement)
    return statement
  }
}

/**
 * The tables, for one command. All of its SQL is in the transaction of the batch, and undone when `apply`
 * throws. A statement that replicas would not agree on throws `SqlNotDeterministic`.
 */
export class CommandDb {
  readonly #statements: Statements
  #isOver = false

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** Run a statement. Returns how many rows it wrote, without those that triggers and foreign keys wrote. */
  run(sql: string, ...parameters: readonly SqlParameter[]): number {
    return Number(this.#statement(sql).run(...parameters).changes)
  }

  /** The first row; undefined if there is none. */
  get<Row extends object = SqlRow>(sql: string, ...parameters: readonly SqlParameter[]): Row | undefined {
    return this.#statement(sql).get(...parameters) as Row | undefined
  }

  /** All rows. */
  all<Row extends object = SqlRow>(sql: string, ...parameters: readonly SqlParameter[]): Row[] {
    return this.#statement(sql).all(...parameters) as Row[]
  }

  /** @internal The command was applied. */
  end(): void {
    this.#isOver = true
  }

  #statement(sql: string): StatementSync {
    if (this.#isOver)
      throw new TypeError('the command was applied already: use db within apply() only, at once')
    return this.#statements.of(sql)
  }
}
