import { isMissing } from './failures.ts'
import { Link } from './link.ts'
import { type PostgresLogOptions, SCHEMA } from './options.ts'

/** How long all rows of a log may take to be deleted, in milliseconds. */
const DELETE_MS_MAX = 600_000

/** Remove a group's log from its tables. The tables stay. It is no error if there are none. */
export async function removeRows(options: PostgresLogOptions, group: string): Promise<void> {
  const { schema: s = SCHEMA, log: name = group } = options
  // It listens to nothing, as behind a pooler.
  const alone = { ...options, pooled: true, statementTimeoutMs: DELETE_MS_MAX }
  const link = new Link(alone, `log ${JSON.stringify(name)} in ${s}`, '')
  try {
    await link.open()
    const parts = ['entries', 'writers', 'presences'].map(
      (table) => `${table}_gone AS (DELETE FROM ${s}.${table} USING gone WHERE ${table}.log = gone.log)`,
    )
    const text = `
      WITH gone AS (DELETE FROM ${s}.logs WHERE name = $1 RETURNING log), ${parts.join(', ')}
      SELECT log FROM gone`
    await link.write((connection) => connection.query({ name: '', text }, [Buffer.from(name)]))
  } catch (error) {
    if (!isMissing((error as Error).cause ?? error)) throw error
  } finally {
    await link.close()
  }
}
