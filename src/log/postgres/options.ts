import type { ConnectionOptions } from 'node:tls'

/** Options of `postgresLog`. */
export interface PostgresLogOptions {
  /**
   * The servers and the database: `postgres://user:password@host:5432/database`. Several hosts have commas
   * between them: `postgres://user:password@h1:5432,h2:5432/database`. Of these the log uses the one that
   * takes writes, and looks for it again when the connection is lost. What is missing comes from the
   * variables of libpq: `PGUSER`, `PGPASSWORD`, `PGDATABASE`, or from `~/.pgpass`.
   */
  readonly connectionString: string
  /**
   * The schema that holds the tables: lower case letters, digits and `_`, at most 63, not beginning with a digit. Many
   * logs share it. Default: `anchorage`.
   */
  readonly schema?: string
  /** The log's name in the schema, of 1 to 512 bytes. Default: the group's name. */
  readonly log?: string
  /**
   * If false, opening rejects with `LogMissing` when there is no such log, and with `LogUnusable` when there
   * are no tables. Default: true, which makes both.
   */
  readonly create?: boolean
  /**
   * How often a reader that waits for its next entry looks, if nobody tells it of one, in milliseconds from
   * 1. A deleted or restored log is noticed that late. Default: 1,000.
   */
  readonly pollMs?: number
  /**
   * The largest payload of an entry, and the largest presence, in bytes: 4 KiB to 31 MiB. Default: 16 MiB.
   */
  readonly maxEntryBytes?: number
  /**
   * The connection string leads to a pooler in transaction mode, as PgBouncer has it: nothing is then kept in
   * the server's session. Readers poll instead of listening, statements are planned each time, and the server
   * knows of no timeouts. Default: false.
   */
  readonly pooled?: boolean
  /**
   * How long a statement may take, in milliseconds from 1,000. The connection to a server that has not
   * answered by then is given up, and another is looked for. A lock is waited for at most half of it. Default:
   * 30,000.
   */
  readonly statementTimeoutMs?: number
  /**
   * TLS, as `tls.connect` has its options: `{ ca, cert, key }`; true demands TLS with the system's
   * authorities. Default: what `sslmode` in the connection string says.
   */
  readonly ssl?: boolean | ConnectionOptions
}

/** The schema by default. */
export const SCHEMA = 'anchorage'
/** How often a waiting reader looks by default, in milliseconds. */
export const POLL_MS = 1_000
/** How long a statement may take by default, in milliseconds. */
export const STATEMENT_TIMEOUT_MS = 30_000
