import { checkInteger, checkMs, checkText, GROUP_BYTES_MAX } from '../bounds.ts'
import { checkEntryBytes } from './limits.ts'
import type { LogBackend } from './log.ts'
import { parseHosts } from './postgres/hosts.ts'
import { POLL_MS, type PostgresLogOptions, SCHEMA, STATEMENT_TIMEOUT_MS } from './postgres/options.ts'

export type { PostgresLogOptions }

/** The shortest time that a statement may take, in milliseconds. */
const STATEMENT_TIMEOUT_MS_MIN = 1_000
/** What can name a schema in the SQL file and on the command line of `psql` without quotes. */
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/

/**
 * A log in a PostgreSQL database (12 or newer), for replicas on many machines. The tables of one schema hold any
 * number of logs. Each handle has two connections. Throws `RangeError` for an impossible option.
 *
 * @example
 * ```ts
 * const log = postgresLog({ connectionString: 'postgres://app:secret@db1.example,db2.example/app' })
 * await using replica = await createReplica({ group: 'cities', machine, log })
 * ```
 */
export function postgresLog(options: PostgresLogOptions): LogBackend {
  const { schema = SCHEMA, log, pollMs = POLL_MS, maxEntryBytes } = options
  const { statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options
  parseHosts(options.connectionString)
  if (!SCHEMA_NAME.test(schema)) {
    throw new RangeError(
      `schema is ${JSON.stringify(schema)}; give lower case letters, digits and _, at most 63, not beginning with a digit`,
    )
  }
  if (log !== undefined) checkText('log', log, GROUP_BYTES_MAX)
  checkMs('pollMs', pollMs, 1)
  checkInteger('statementTimeoutMs', statementTimeoutMs, STATEMENT_TIMEOUT_MS_MIN, 2 ** 31 - 1)
  checkEntryBytes(maxEntryBytes)
  return {
    async open(init) {
      // The client takes a while to load. A program with another log need not wait for it.
      const { PostgresLog } = await import('./postgres/postgres-log.ts')
      return await PostgresLog.open(options, init)
    },
  }
}
