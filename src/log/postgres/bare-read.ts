import { Client } from 'pg'
import { sleep, systemClock } from '../../time/clock.ts'
import { Dialer } from './dialer.ts'
import { parseHosts } from './hosts.ts'
import { type PostgresLogOptions, SCHEMA, STATEMENT_TIMEOUT_MS } from './options.ts'

/** Rows that the client asks for at a time. */
const BATCH_ENTRIES = 1_000
const COMMAND = 0
/** Time between two look-ups of the oldest row, in milliseconds. Each is one look-up by the primary key. */
const POLL_INTERVAL_MS = 50

/** Read a group's commands with PostgreSQL's own client, as fast as a loop can. */
export async function eachCommandOfTable(
  options: PostgresLogOptions,
  group: string,
  onCommand: (bytes: Uint8Array, start: number) => void,
): Promise<void> {
  const { schema = SCHEMA } = options
  const text = `
    SELECT index, kind, payload FROM ${schema}.entries
    WHERE log = $1 AND index > $2 ORDER BY index LIMIT ${BATCH_ENTRIES}`
  await onTheLog(options, group, async (client, log) => {
    const query = { name: 'next', text, rowMode: 'array' as const }
    for (let after = '0'; ; ) {
      const { rows } = await client.query<[string, number, Buffer]>({ ...query, values: [log, after] })
      for (const [, kind, payload] of rows) if (kind === COMMAND) onCommand(payload, 0)
      const last = rows.at(-1)
      if (last === undefined) return
      after = last[0]
    }
  })
}

/** Resolves when no row before `first` is left. Pruned rows are deleted in the background. */
export async function rowsSwept(
  options: PostgresLogOptions,
  group: string,
  first: number,
  signal: AbortSignal,
): Promise<void> {
  const { schema = SCHEMA } = options
  const text = `SELECT FROM ${schema}.entries WHERE log = $1 AND index < $2 LIMIT 1`
  await onTheLog(options, group, async (client, log) => {
    while ((await client.query(text, [log, first])).rowCount !== 0)
      await sleep(systemClock, POLL_INTERVAL_MS, signal)
  })
}

/** Use a client that is connected to the server that takes writes, and the log's number in its schema. */
async function onTheLog(
  { connectionString, schema = SCHEMA, log: name, ssl }: PostgresLogOptions,
  group: string,
  use: (client: Client, log: number) => Promise<void>,
): Promise<void> {
  const config = ssl === undefined ? {} : { ssl }
  const common = { config, pooled: true, pipeline: false, statementTimeoutMs: STATEMENT_TIMEOUT_MS }
  const found = await new Dialer(parseHosts(connectionString), { ...common, clock: systemClock }).dial()
  await found.close()
  const client = new Client({ ...config, connectionString: found.host.connectionString })
  await client.connect()
  try {
    const { rows } = await client.query<{ log: number }>(`SELECT log FROM ${schema}.logs WHERE name = $1`, [
      Buffer.from(name ?? group),
    ])
    if (rows[0] !== undefined) await use(client, rows[0].log)
  } finally {
    await client.end()
  }
}
