import {
  checkBytes,
  checkFunction,
  checkInteger,
  checkText,
  OLDER_MAX,
  SIGNATURE_BYTES_MAX,
} from '../../bounds.ts'
import { AlreadyAttached, NotAttached, Refusal } from '../../machine/errors.ts'
import type {
  CommandContext,
  DurableState,
  Installation,
  MachineHost,
  Snapshot,
  StateMachine,
  SubmitOptions,
  Written,
} from '../../machine/machine.ts'
import { asError } from '../../thrown.ts'
import type { CommandDb, SqlParameter, SqlRow } from './command-db.ts'
import { CommandRefused, SqlNotDeterministic } from './errors.ts'
import { Migration } from './migration.ts'
import { Schema } from './schema.ts'
import { SqliteState } from './sqlite-state.ts'
import type { FileCalls } from './state-files.ts'
import { Version, Versions } from './version.ts'

const CACHE_BYTES_DEFAULT = 64 * 1024 * 1024
const NAME_BYTES_MAX = SIGNATURE_BYTES_MAX - 64

const SQLITE_TOOBIG = 18
const SQLITE_CONSTRAINT = 19
const SQLITE_MISMATCH = 20
/** What SQLite refuses by the rows and the command alone, so that every replica's refuses it. */
const REFUSALS = [SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH]

/** A version of a `SqliteMachine` that a newer program speaks until its group goes over. */
export interface OlderSqliteVersion<Result> {
  /** The schema of that version, as it was. */
  readonly schema: string
  /** The name of that version, as it was. Default: none. */
  readonly name?: string
  /** What applied its commands to its tables. Default: what the newest version has. */
  readonly apply?: (db: CommandDb, command: Uint8Array, context: CommandContext) => Result
  /**
   * Makes the tables of the next newer version of these, and keeps their rows: SQL, of one or more
   * statements, or a function that runs some. `ALTER TABLE`, `CREATE TABLE` and `DROP TABLE` are allowed, and
   * what is allowed in `apply`. New tables, and all indexes, views and triggers, are made without it. It runs
   * on every replica, at the same place of the log, in one transaction, with foreign keys checked at its end.
   * When the machine is made it is tried on tables without rows. Default: nothing is to be done.
   */
  readonly upgrade?: string | ((db: CommandDb) => void)
}

/** What a `sqliteMachine` is made of. */
export interface SqliteMachineInit<Result> {
  /**
   * A folder of this machine's own, made if it is not there. It holds the state, in a SQLite file whose name
   * changes with each snapshot that is installed, and belongs to one machine in one process at a time.
   */
  readonly path: string
  /**
   * The tables: `CREATE TABLE`, `CREATE INDEX`, `CREATE VIEW` and `CREATE TRIGGER`. It is part of the signature.
   * Virtual and temporary tables are refused, and defaults such as `CURRENT_TIMESTAMP`.
   */
  readonly schema: string
  /**
   * Apply one command, synchronously and deterministically: what it writes and returns depends on the command,
   * the context and the tables alone. See docs/machines/sqlite.md for what is not deterministic in SQL. Throw
   * `CommandRefused` to undo the command and tell its writer, and `MalformedCommand` for bytes that are no
   * command. Any other error undoes the command and stops the replica.
   */
  readonly apply: (db: CommandDb, command: Uint8Array, context: CommandContext) => Result
  /**
   * Part of the signature: change it with each change of `apply`. Replicas with different names refuse each
   * other, and the state of another name is not opened. Default: none.
   */
  readonly name?: string
  /**
   * Versions that this machine speaks too, at most 16, the newest first. As long as the group speaks one of
   * them, the tables are its tables, and its `apply` has the commands. Default: none.
   */
  readonly older?: readonly OlderSqliteVersion<Result>[]
  /** The memory for pages of the file, in bytes, for writes, and as much again for reads. Default 64 MiB. */
  readonly cacheBytes?: number
  /**
   * True: SQLite's integers are `bigint` in rows. False: numbers, and reading one beyond 2^53 throws. Default
   * false.
   */
  readonly bigints?: boolean
}

/**
 * Tables that every replica of a group holds, on its disk: the state may be larger than memory. Commands change
 * them, in the order of the log, and reads are SQL on what this replica has applied.
 *
 * The state and its place in the log are committed together. So a restart goes on where the process ended,
 * without a checkpoint and without other replicas. `close()` it when its replica has stopped.
 *
 * @example
 * ```ts
 * const accounts = sqliteMachine({
 *   path: 'accounts',
 *   schema: 'CREATE TABLE account (id TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0)) STRICT, WITHOUT ROWID',
 *   apply(db, command) {
 *     const { id, cents } = decode(command) // throws MalformedCommand for bytes that are no command
 *     db.run('INSERT INTO account VALUES (?, ?) ON CONFLICT DO UPDATE SET cents = cents + excluded.cents', id, cents)
 *   },
 * })
 * // once createReplica({ machine: accounts, … }) has taken it over:
 * await accounts.submit(Buffer.from(JSON.stringify({ id: 'a', cents: 500 })))
 * accounts.get('SELECT cents FROM account WHERE id = ?', 'a')
 * ```
 */
export class SqliteMachine<Result = void> implements StateMachine<Result | Refusal>, Disposable {
  readonly signature: string
  readonly older: readonly string[]
  readonly #versions: Versions<Result>
  readonly #state: SqliteState
  #host: MachineHost<Result | Refusal> | undefined

  /**
   * Throws `SchemaRefused`, `SchemaChanged`, `StateInUse` and `StateUnusable`, and `RangeError` for an option out
   * of its range. An `upgrade` that does not make the newer tables is `SchemaRefused`.
   *
   * @param files for tests: the calls by which a new state takes the place of the old one
   */
  constructor(init: SqliteMachineInit<Result>, files?: FileCalls) {
    const { path, cacheBytes = CACHE_BYTES_DEFAULT, bigints = false } = init
    checkText('path', path, Number.MAX_SAFE_INTEGER)
    checkInteger('cacheBytes', cacheBytes, 0)
    this.#versions = versionsOf(init)
    const [signature, ...older] = this.#versions.signatures
    this.signature = signature!
    this.older = older
    const versions = this.#versions
    this.#state = new SqliteState({ path, versions, cacheBytes, bigints, files })
  }

  /** @internal For the replica. */
  get durable(): DurableState {
    return this.#state
  }

  /**
   * The `name` of the version whose tables are read: that of `older` until the group goes over. Undefined for
   * a version that has none.
   */
  get activeName(): string | undefined {
    return this.#state.committed.name
  }

  /**
   * Append a command to the group's log. Resolves when it is applied and committed here, with what `apply`
   * returned. Rejects with `CommandRefused` where that undid the command, with `NotAttached` before a replica has
   * taken the machine over, and as the log does.
   */
  async submit(command: Uint8Array, options?: SubmitOptions): Promise<Written<Result>> {
    checkBytes('command', command)
    if (this.#host === undefined) throw new NotAttached()
    const { result, ...written } = await this.#host.submit(command, options)
    if (result instanceof Refusal) throw result
    return { ...written, result }
  }

  /**
   * All rows of a query, as of the newest commit. Throws `NotReadable` and `StateLost` while there is no state to
   * read, and what SQLite says. A statement that writes is refused.
   */
  all<Row extends object = SqlRow>(sql: string, ...parameters: readonly SqlParameter[]): Row[] {
    return this.#read(sql).all(...parameters) as Row[]
  }

  /** The first row of a query; undefined if there is none. As `all` otherwise. */
  get<Row extends object = SqlRow>(sql: string, ...parameters: readonly SqlParameter[]): Row | undefined {
    return this.#read(sql).get(...parameters) as Row | undefined
  }

  /**
   * The rows of a query one by one, as of its first row. As `all` otherwise. One that is under way when a snapshot
   * replaces the state throws. While one is under way, the file of newest commits grows: do not keep it for long.
   */
  *iterate<Row extends object = SqlRow>(sql: string, ...parameters: readonly SqlParameter[]): Generator<Row> {
    for (const row of this.#read(sql).iterate(...parameters)) yield row as Row
  }

  /**
   * The rows of one SELECT, each as JSON on a line: `SELECT cents FROM account`. Undefined: there are none. Throws
   * `MalformedQuestion` for any other SQL, and for more than 48 MiB.
   */
  query(question: Uint8Array): Uint8Array | undefined {
    this.#host?.assertReadable()
    return this.#state.answer(question)
  }

  apply(command: Uint8Array, context: CommandContext): Result | Refusal {
    const version = this.#versions.of(context.signature)
    try {
      return this.#state.command(version, (db) => {
        const result = version.apply(db, command, context)
        if (result instanceof Promise) {
          result.catch(() => {})
          throw new TypeError('apply() returned a promise: its work must be done when it returns')
        }
        return result
      })
    } catch (error) {
      const refusal = refusalOf(error)
      if (refusal === undefined) throw error
      return refusal
    }
  }

  upgrade(from: string, to: string): void {
    this.#state.upgrade(this.#versions.of(from), this.#versions.of(to))
  }

  /**
   * Called by the replica. The rows as they are now, frozen.
   *
   * @param signature default: the version whose tables there are
   */
  capture(signature = this.#state.committed.signature): Snapshot {
    return this.#state.capture(this.#versions.of(signature))
  }

  /**
   * Called by the replica. Begins to replace the rows with those of a snapshot.
   *
   * @param signature default: the newest version
   */
  install(signature = this.signature): Installation {
    return this.#state.install(this.#versions.of(signature))
  }

  attach(host: MachineHost<Result | Refusal>): void {
    if (this.#host !== undefined) throw new AlreadyAttached()
    this.#host = host
  }

  /** Close the files. Nothing can be read or applied any more. */
  close(): void {
    this.#state[Symbol.dispose]()
  }

  /** The same as `close()`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #read(sql: string) {
    this.#host?.assertReadable()
    return this.#state.read(sql)
  }
}

/** Throws `SchemaRefused` and `RangeError`. */
function versionsOf<Result>(init: SqliteMachineInit<Result>): Versions<Result> {
  const { older = [] } = init
  if (older.length > OLDER_MAX)
    throw new RangeError(`at most ${OLDER_MAX} older versions, not ${older.length}`)
  checkFunction('apply', init.apply)
  const all: readonly OlderSqliteVersion<Result>[] = [{ ...init, upgrade: undefined }, ...older]
  const made = all.map(({ schema, name, apply = init.apply, upgrade }) => {
    checkFunction('apply', apply)
    if (name !== undefined) checkText('name', name, NAME_BYTES_MAX)
    if (typeof upgrade !== 'string' && upgrade !== undefined) checkFunction('upgrade', upgrade)
    return new Version({ schema: new Schema(schema), name, apply, upgrade })
  })
  const versions = new Versions(made)
  for (const [from, to] of versions.steps(made.at(-1)!, made[0]!)) {
    new Migration(from, to).tryOut()
  }
  return versions
}

/** See `SqliteMachine`. */
export function sqliteMachine<Result = void>(init: SqliteMachineInit<Result>): SqliteMachine<Result> {
  return new SqliteMachine(init)
}

/** What every replica refuses alike, as the writer is told of it. */
function refusalOf(thrown: unknown): Refusal | undefined {
  if (thrown instanceof Refusal) return thrown
  const error = asError(thrown)
  const code = (error as { readonly errcode?: unknown }).errcode
  const isOfSqlite = typeof code === 'number' && REFUSALS.includes(code & 0xff)
  if (!isOfSqlite && !(error instanceof SqlNotDeterministic)) return undefined
  return new CommandRefused(`the command was undone: ${error.message}`, { cause: error })
}
