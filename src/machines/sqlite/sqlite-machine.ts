import { checkBytes, checkFunction, checkInteger, checkText, SIGNATURE_BYTES_MAX } from '../../bounds.ts'
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
import { Schema } from './schema.ts'
import { SqliteState } from './sqlite-state.ts'
import type { FileCalls } from './state-files.ts'

/** The version of the items and of what is in the file. */
const FORMAT = 'sqlite/1'
const CACHE_BYTES_DEFAULT = 64 * 1024 * 1024
const NAME_BYTES_MAX = SIGNATURE_BYTES_MAX - 64

const SQLITE_TOOBIG = 18
const SQLITE_CONSTRAINT = 19
const SQLITE_MISMATCH = 20
/** What SQLite refuses by the rows and the command alone, so that every replica's refuses it. */
const REFUSALS = [SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH]

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
 *     const { id, cents } = JSON.parse(Buffer.from(command).toString())
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
  readonly #apply: SqliteMachineInit<Result>['apply']
  readonly #state: SqliteState
  #host: MachineHost<Result | Refusal> | undefined

  /**
   * Throws `SchemaRefused`, `SchemaChanged`, `StateInUse` and `StateUnusable`, and `RangeError` for an option out
   * of its range.
   *
   * @param files for tests: the calls by which a new state takes the place of the old one
   */
  constructor(init: SqliteMachineInit<Result>, files?: FileCalls) {
    const { path, name, cacheBytes = CACHE_BYTES_DEFAULT, bigints = false } = init
    checkText('path', path, Number.MAX_SAFE_INTEGER)
    checkFunction('apply', init.apply)
    if (name !== undefined) checkText('name', name, NAME_BYTES_MAX)
    checkInteger('cacheBytes', cacheBytes, 0)
    const schema = new Schema(init.schema)
    this.#apply = init.apply
    this.signature = `${FORMAT} ${JSON.stringify({ schema: schema.hash, ...(name !== undefined && { name }) })}`
    this.#state = new SqliteState({ path, schema, signature: this.signature, cacheBytes, bigints, files })
  }

  /** @internal For the replica. */
  get durable(): DurableState {
    return this.#state
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
    try {
      return this.#state.command((db) => {
        const result = this.#apply(db, command, context)
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

  capture(): Snapshot {
    return this.#state.capture()
  }

  install(): Installation {
    return this.#state.install()
  }

  attach(host: MachineHost<Result | Refusal>): void {
    if (this.#host !== undefined) throw new AlreadyAttached()
    this.#host = host
  }

  /** Close the files. Nothing can be read or applied any more. */
  close(): void {
    this.#state[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #read(sql: string) {
    this.#host?.assertReadable()
    return this.#state.read(sql)
  }
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
