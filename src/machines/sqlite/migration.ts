import { DatabaseSync } from 'node:sqlite'
import { asError } from '../../thrown.ts'
import { CommandDb, Statements } from './command-db.ts'
import { SchemaRefused } from './errors.ts'
import { assertSettled, SqlJudge } from './refused-sql.ts'
import { OWN_TABLE, OWN_TABLE_SQL, type Schema } from './schema.ts'
import { wordsOf } from './sql-words.ts'
import { quoted } from './table.ts'
import type { Version } from './version.ts'

/** Triggers and views go first: they may stand in the way of a change of the tables that they name. */
const KINDS = ['trigger', 'view', 'index']

interface Made {
  readonly type: string
  readonly name: string
  readonly sql: string
}

/** Makes the tables of one version of those of the version before. */
export class Migration {
  readonly #from: Version
  readonly #to: Version

  constructor(from: Version, to: Version) {
    this.#from = from
    this.#to = to
  }

  /**
   * Try it on tables without rows. Throws `SchemaRefused` if it fails, or makes something else than the newer
   * schema has: so a mistake comes to light before a group depends on it.
   */
  tryOut(): void {
    using db = new DatabaseSync(':memory:', { enableForeignKeyConstraints: false })
    const { schema } = this.#from
    for (const sql of [OWN_TABLE_SQL, ...schema.tableSql, ...schema.otherSql]) db.exec(sql)
    try {
      this.run(db, new SqlJudge(db))
    } catch (cause) {
      if (cause instanceof SchemaRefused) throw cause
      throw new SchemaRefused(`${this.#what} fails: ${asError(cause).message}`, { cause })
    }
  }

  /**
   * Within a transaction, on a connection that does not enforce foreign keys. Throws what fails; the
   * transaction is to be undone then.
   */
  run(db: DatabaseSync, judge: SqlJudge): void {
    judge.own(() => this.#dropRest(db))
    judge.upgrade(() => this.#change(db))
    judge.own(() => {
      this.#makeMissing(db, ({ type }) => type === 'table')
      this.#assertMade(db)
      this.#makeMissing(db)
      const orphan = db.prepare('PRAGMA foreign_key_check').get()
      if (orphan === undefined) return
      throw new Error(
        `${this.#what} leaves a row of ${orphan.table} that refers to no row of ${orphan.parent}`,
      )
    })
  }

  get #what(): string {
    return `the upgrade from ${nameOf(this.#from)} to ${nameOf(this.#to)}`
  }

  /** The newer schema makes triggers, views and indexes anew; an index that stays as it is need not be. */
  #dropRest(db: DatabaseSync): void {
    const stays = wordsByName(this.#to.schema.made)
    for (const kind of KINDS) {
      for (const { type, name, sql } of madeIn(db)) {
        if (type !== kind || (kind === 'index' && stays.get(name) === wordsOf(sql))) continue
        db.exec(`DROP ${kind} ${quoted(name)}`)
      }
    }
  }

  #change(db: DatabaseSync): void {
    const { upgrade } = this.#from
    if (upgrade === undefined) return
    if (typeof upgrade === 'string') {
      assertSettled(upgrade)
      return db.exec(upgrade)
    }
    const tables = new CommandDb(new Statements(db, assertSettled))
    try {
      const result: unknown = upgrade(tables)
      if (!(result instanceof Promise)) return
      result.catch(() => {})
      throw new TypeError('upgrade() returned a promise: its work must be done when it returns')
    } finally {
      tables.end()
    }
  }

  /** Tables that are new have no rows, unless the upgrade made them, and gave them some. */
  #makeMissing(db: DatabaseSync, isWanted: (made: Made) => boolean = () => true): void {
    const there = wordsByName(madeIn(db))
    for (const made of this.#to.schema.made) if (isWanted(made) && !there.has(made.name)) db.exec(made.sql)
  }

  /** What is there is of the newer schema. */
  #assertMade(db: DatabaseSync): void {
    const there = madeIn(db)
    const wanted = wordsByName(this.#to.schema.made)
    for (const { type, name, sql } of there) {
      const words = wanted.get(name)
      if (words === wordsOf(sql)) continue
      if (words === undefined) {
        throw new SchemaRefused(
          `${this.#what} leaves the ${type} ${name}, which the newer schema does not have: drop it there`,
        )
      }
      const expected = this.#to.schema.made.find((made) => made.name === name)?.sql
      throw new SchemaRefused(
        `${this.#what} makes of ${name}: ${sql}; the newer schema has: ${expected}; both must be the same but for space, quotes and case (ALTER TABLE ADD COLUMN makes the last column)`,
      )
    }
  }
}

function nameOf({ name, signature }: Version): string {
  return name ?? signature
}

function madeIn(db: DatabaseSync): readonly Made[] {
  const sql = `SELECT type, name, sql FROM sqlite_schema
    WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> '${OWN_TABLE}'`
  return db.prepare(sql).all() as unknown as Made[]
}

function wordsByName(made: Schema['made']): ReadonlyMap<string, string> {
  return new Map(made.map(({ name, sql }) => [name, wordsOf(sql)]))
}
