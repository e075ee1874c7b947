import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { type PostgresLogOptions, postgresLog } from '../../src/log/postgres.ts'
import type { LogHarness } from '../../src/testing/log/harness.ts'
import { NatsProxy } from './nats-proxy.ts'

const run = promisify(execFile)
/** Small, so that a test can exceed it. */
const MAX_ENTRY_BYTES = 100_000
/** The most that a dump may have, in bytes. */
const DUMP_BYTES_MAX = 2 ** 30

/**
 * Logs in schemas of their own.
 *
 * @param urlOf the database, which may move to another server
 * @param bin the folder of `psql` and `pg_dump`
 */
export function postgresHarness(
  urlOf: () => string,
  bin: string,
  options: Partial<PostgresLogOptions> = {},
): LogHarness {
  return {
    async make() {
      const schema = newSchema()
      const proxy = await NatsProxy.to(urlOf())
      const through = new URL(urlOf())
      through.port = new URL(proxy.url).port
      const reopen = () =>
        postgresLog({
          connectionString: through.href,
          schema,
          log: 'a log',
          pollMs: 50,
          maxEntryBytes: MAX_ENTRY_BYTES,
          ...options,
        })
      return {
        backend: reopen(),
        reopen,
        recreate: async () => {
          await sql(urlOf(), `DELETE FROM ${schema}.logs`)
        },
        async save() {
          const args = ['--schema', schema, '--clean', '--dbname', urlOf()]
          const { stdout: dump } = await run(`${bin}/pg_dump`, args, { maxBuffer: DUMP_BYTES_MAX })
          return async () => {
            const psql = run(`${bin}/psql`, ['-qv', 'ON_ERROR_STOP=1', '--single-transaction', urlOf()])
            psql.child.stdin!.end(dump)
            await psql
          }
        },
        cutOff: async () => {
          const restore = proxy.block()
          return async () => restore()
        },
        async dispose() {
          await proxy[Symbol.asyncDispose]()
          await sql(urlOf(), `DROP SCHEMA IF EXISTS ${schema} CASCADE`)
        },
      }
    },
  }
}

export function newSchema(): string {
  return `test_${randomUUID().replaceAll('-', '')}`
}

/** The rows of a statement, on a connection of its own. */
export async function sql(url: string, text: string): Promise<unknown[]> {
  const client = new Client(url)
  await client.connect()
  try {
    const { rows } = await client.query(text)
    return rows
  } finally {
    await client.end()
  }
}
