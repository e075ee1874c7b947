import { readFile } from 'node:fs/promises'
import { asError } from '../../thrown.ts'
import { LogMissing, LogUnusable } from '../errors.ts'
import type { Connection } from './connection.ts'
import { isDuplicate, isMissing, sqlstate } from './failures.ts'
import { SCHEMA } from './options.ts'
import type { Statements } from './statements.ts'

/** The version of the tables that this version of Anchorage knows. */
const VERSION = 1
/** Keeps two programs from making the same tables at once. Any number that nobody else takes. */
const LOCK = 4_710_623_158

/** The tables of a schema. */
export class Layout {
  readonly #schema: string
  readonly #statements: Statements
  readonly #place: string

  constructor(schema: string, statements: Statements, place: string) {
    this.#schema = schema
    this.#statements = statements
    this.#place = place
  }

  /**
   * Make the tables if there are none and `create` is true. Rejects with `LogUnusable` if there are none that can
   * be used. Whoever wants no new log gets `LogMissing` where there are no tables.
   */
  async prepare(
    connection: Connection,
    { create, isWanted }: { readonly create: boolean; readonly isWanted: boolean },
  ): Promise<void> {
    const found = await this.#version(connection)
    if (found === undefined) {
      if (!isWanted) throw new LogMissing(this.#place)
      if (!create) throw this.#unusable('there are no tables, and it must not make any')
      await this.#make(connection)
    }
    const version = found ?? (await this.#version(connection))
    if (version === VERSION) return
    throw this.#unusable(`its tables are of version ${version}, and this program knows ${VERSION}`)
  }

  async #version(connection: Connection): Promise<number | undefined> {
    try {
      const [row] = await connection.query<{ version: number }>(this.#statements.layout)
      return row?.version
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async #make(connection: Connection): Promise<void> {
    const sql = await this.#sql()
    try {
      await connection.run(`BEGIN; SELECT pg_advisory_xact_lock(${LOCK}); ${sql}; COMMIT`)
    } catch (error) {
      await connection.run('ROLLBACK')
      if (isDuplicate(error)) return
      if (sqlstate(error) !== '42501') throw error
      throw this.#unusable(
        `there are no tables, and this user may not make them (${asError(error).message})`,
        error,
      )
    }
  }

  async #sql(): Promise<string> {
    try {
      const sql = await readFile(new URL('./schema.sql', import.meta.url), 'utf8')
      return sql.replaceAll(new RegExp(`\\b${SCHEMA}\\b`, 'g'), this.#schema)
    } catch (cause) {
      throw this.#unusable(
        'there are no tables, and the file that makes them is not beside this program',
        cause,
      )
    }
  }

  #unusable(why: string, cause?: unknown): LogUnusable {
    const advice = `let their owner run dist/log/postgres/schema.sql of the package anchorage for the schema ${this.#schema}`
    return new LogUnusable(`${why}: ${advice}`, { place: this.#place, cause })
  }
}
