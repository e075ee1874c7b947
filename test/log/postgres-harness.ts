import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { type PostgresLogOptions, postgresLog } from '../../src/log/postgres.ts'
import { findPostgres, type Postgres } from '../../src/processes/postgres-server.ts'
import type { LogHarness } from '../../src/testing/log/harness.ts'
import { TcpProxy } from './tcp-proxy.ts'

const run = promisify(execFile)
const bin = findPostgres() ?? ''
/** Small, so that a test can exceed it. */
const MAX_ENTRY_BYTES = 100_000
/** The most that a dump may have, in bytes. */
const DUMP_BYTES_MAX = 2 ** 30

/**
 * Logs in schemas of their own.
 *
 * @param hostOf the host and port through which the logs are reached. Default: each server itself.
 */
export function postgresHarness(
  postgresOf: () => Postgres,
  options: Partial<PostgresLogOptions> = {},
  hostOf?: () => string,
): LogHarness {
  return {
    async make() {
      const postgres = postgresOf()
      const url = postgres.urlOf(postgres.primary)
      const schema = newSchema()
      const behind = hostOf ? [`tcp://${hostOf()}`] : postgres.servers.map((server) => postgres.urlOf(server))
      const proxies = await Promise.all(behind.map((each) => TcpProxy.to(each)))
      const through = proxies.map((proxy) => new URL(proxy.url).host).join(',')
      const { host } = new URL(url)
      const connectionString = url.replace(host, through)
      const reopen = () =>
        postgresLog({
          connectionString,
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
          await sql(url, `DELETE FROM ${schema}.logs`)
        },
        async save() {
          const args = ['--schema', schema, '--clean', '--dbname', url]
          const { stdout: dump } = await run(join(bin, 'pg_dump'), args, { maxBuffer: DUMP_BYTES_MAX })
          return async () => {
            const psql = run(join(bin, 'psql'), ['-qv', 'ON_ERROR_STOP=1', '--single-transaction', url])
            psql.child.stdin!.end(dump)
            await psql
          }
        },
        cutOff: async () => {
          const restore = proxies.map((proxy) => proxy.block())
          return async () => {
            for (const each of restore) each()
          }
        },
        async dispose() {
          await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()))
          await sql(url, `DROP SCHEMA IF EXISTS ${schema} CASCADE`)
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
