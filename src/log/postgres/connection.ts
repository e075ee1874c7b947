import { Client, type ClientConfig, types } from 'pg'
import type { Clock } from '../../time/clock.ts'
import { LogUnavailable } from '../errors.ts'
import { CopyOut } from './copy-out.ts'
import type { Host } from './hosts.ts'

/** A statement of the log. */
export interface Statement {
  /** The server keeps the plan under this name, if it keeps anything. */
  readonly name: string
  readonly text: string
}

/** A value of a statement. */
export type Value = number | string | bigint | Uint8Array

export interface ConnectionOptions {
  readonly config: ClientConfig
  readonly pooled: boolean
  readonly statementTimeoutMs: number
  /** Statements are sent before the earlier ones are answered. */
  readonly pipeline: boolean
  readonly clock: Clock
}

/** How long a connection may take to be made, in milliseconds. */
const CONNECT_MS = 5_000
/** After this time without a word the system asks whether the other side is still there, in milliseconds. */
const KEEP_ALIVE_MS = 10_000
/** How long a connection may take to be closed, in milliseconds. */
const CLOSE_MS = 1_000
/** The type `bigint`. Ours are below 2^53, except for `writer`, which is never read this way. */
const INT8 = 20
/** The server's routine that waits for its standbys. */
const SYNC_REP_ROUTINE = 'SyncRepWaitForLSN'

/** Columns as the log reads them: `bigint` as a number. */
const TYPES = {
  getTypeParser: ((oid: number, format?: 'text') =>
    oid === INT8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
}

/** How long a statement waits for a lock, in milliseconds. */
export function lockTimeoutMs(statementTimeoutMs: number): number {
  return Math.ceil(statementTimeoutMs / 2)
}

/** One connection to one server, until it is lost. */
export class Connection {
  readonly host: Host
  /** The history of the server's database: each promotion of a standby begins a later one. */
  timeline = 0
  /** The database that primary and standbys are copies of. Timelines of two databases cannot be compared. */
  system = ''
  readonly #client: Client
  readonly #pooled: boolean
  readonly #isPipelined: boolean
  readonly #silenceMs: number
  readonly #clock: Clock
  readonly #lost = new AbortController()
  #heardMs: number
  #underWay = 0
  #last: Promise<unknown> = Promise.resolve()
  #localCommits = 0

  /** Rejects with an error of the client, or of the server; also when the signal aborts. */
  static async open(host: Host, options: ConnectionOptions, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted()
    const client = new Client({
      fallback_application_name: 'anchorage',
      ...options.config,
      connectionString: host.connectionString,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      connectionTimeoutMillis: CONNECT_MS,
      pipeline: options.pipeline,
      types: TYPES,
    })
    const connection = new Connection(host, client, options)
    const onAbort = () => connection.drop('it is not wanted any more')
    signal.addEventListener('abort', onAbort)
    try {
      await client.connect()
      await connection.#begin()
      return connection
    } catch (error) {
      connection.drop('it could not be made')
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  private constructor(host: Host, client: Client, options: ConnectionOptions) {
    const { clock } = options
    this.host = host
    this.#client = client
    this.#pooled = options.pooled
    this.#isPipelined = options.pipeline
    this.#silenceMs = options.statementTimeoutMs
    this.#clock = clock
    this.#heardMs = clock.now()
    client.on('error', (error) => this.#end(error.message, error))
    client.on('end', () => this.#end('it was closed'))
    client.on('notice', ({ routine }) => {
      if (routine === SYNC_REP_ROUTINE) this.#localCommits++
    })
    client.connection.stream.on('data', () => {
      this.#heardMs = clock.now()
    })
  }

  /** Aborts when the connection is lost, with a `LogUnavailable`. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  get isIdle(): boolean {
    return this.#underWay === 0
  }

  /**
   * How many commits were cut short while they waited for a standby. They are on this server alone, although
   * it reports success.
   */
  get localCommits(): number {
    return this.#localCommits
  }

  onNotification(listener: (payload: string) => void): void {
    this.#client.on('notification', ({ payload }) => listener(payload ?? ''))
  }

  /** The rows that a statement returns. */
  async query<Row>({ name, text }: Statement, values: readonly Value[] = []): Promise<Row[]> {
    const config = { text, values: [...values], types: TYPES, ...(!this.#pooled && { name }) }
    const { rows } = await this.#inTurn(() => this.#client.query(config))
    return rows as Row[]
  }

  /** Run several statements, without values. */
  async run(text: string): Promise<void> {
    await this.#inTurn(() => this.#client.query(text))
  }

  /** The rows of `COPY … TO STDOUT (FORMAT binary)`, as the server sends them. */
  async copy(text: string): Promise<readonly Buffer[]> {
    return await this.#inTurn(() => this.#client.query(new CopyOut(text)).rows)
  }

  /** Give the connection up. What is under way on it rejects. */
  drop(why: string): void {
    this.#end(why)
    this.#client.connection.stream.destroy()
  }

  /** Close it, after what is under way. */
  async close(): Promise<void> {
    const late = this.#clock.schedule(CLOSE_MS, () => this.drop('it did not close in time'))
    if (!this.#lost.signal.aborted) await this.#client.end().catch(() => {})
    late.cancel()
    this.drop('it was closed')
  }

  /** Settings of the session, and what kind of server it is. Rejects if the server takes no writes. */
  async #begin(): Promise<void> {
    if (!this.#pooled) await this.run(sessionSettings(this.#silenceMs))
    const [server] = await this.query<Hello>(HELLO)
    if (server!.standby) throw new LogUnavailable('the server is a standby, or takes no writes')
    this.timeline = Number.parseInt(server!.timeline!, 16)
    this.system = server!.system
  }

  /** Ask when what was asked before is answered, or at once if statements are pipelined. */
  async #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    this.#underWay++
    try {
      if (this.#isPipelined) return await this.#answered(ask())
      const answer = this.#last.then(() => this.#answered(ask()))
      this.#last = answer.catch(() => {})
      return await answer
    } finally {
      this.#underWay--
    }
  }

  /** The answer. A server that is silent for too long is given up, and the client then rejects. */
  async #answered<T>(answer: Promise<T>): Promise<T> {
    const sinceMs = this.#clock.now()
    const watch = (afterMs: number) =>
      this.#clock.schedule(afterMs, () => {
        const silentMs = this.#clock.now() - Math.max(this.#heardMs, sinceMs)
        if (silentMs < this.#silenceMs) timer = watch(this.#silenceMs - silentMs)
        else this.drop(`the server said nothing for ${this.#silenceMs} ms`)
      })
    let timer = watch(this.#silenceMs)
    try {
      return await answer
    } finally {
      timer.cancel()
    }
  }

  #end(why: string, cause?: Error): void {
    if (!this.#lost.signal.aborted) this.#lost.abort(new LogUnavailable(why, { cause }))
  }
}

/**
 * A session commits durably, reads what was committed before each statement, and keeps no lock for the sake of a
 * client that is gone.
 */
function sessionSettings(statementTimeoutMs: number): string {
  return `
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET statement_timeout = ${statementTimeoutMs};
    SET lock_timeout = ${lockTimeoutMs(statementTimeoutMs)};
    SET idle_in_transaction_session_timeout = ${statementTimeoutMs};
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'`
}

interface Hello {
  readonly standby: boolean
  readonly timeline: string | null
  readonly system: string
}

/** A standby has no timeline of its own. */
const HELLO: Statement = {
  name: 'anchorage_hello',
  text: `
    SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS standby,
      CASE WHEN pg_is_in_recovery() THEN NULL
      ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline,
      (SELECT system_identifier::text FROM pg_control_system()) AS system`,
}
