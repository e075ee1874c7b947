/** The balances of the page about tables on the disk: `node balances.ts`. */
import { rm } from 'node:fs/promises'
import { createReplica, memoryLog, sqliteLog } from 'anchorage'
import { MalformedCommand } from 'anchorage/machine'
import { type CommandDb, sqliteMachine } from 'anchorage/machines'

/** What the machine is, in its first version. */
export const FIRST = {
  name: 'balances/1',
  schema: `CREATE TABLE account (
    id TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0)
  ) STRICT, WITHOUT ROWID`,
  apply(db: CommandDb, command: Uint8Array): number {
    const { id, cents } = decode(command)
    const sql = `INSERT INTO account VALUES (?, ?)
      ON CONFLICT DO UPDATE SET cents = cents + excluded.cents RETURNING cents`
    return Number(db.get(sql, id, cents)?.cents)
  },
}

/** Anybody may have written it. What is no command is skipped, on every replica alike. */
function decode(command: Uint8Array): { readonly id: string; readonly cents: number } {
  try {
    const { id, cents } = JSON.parse(Buffer.from(command).toString())
    if (typeof id === 'string' && Number.isSafeInteger(cents)) return { id, cents }
  } catch {}
  throw new MalformedCommand('a command has an id and cents')
}

/** Returns how much there is in the end. */
export async function pay(path: string, log = sqliteLog({ path: 'log.db' })): Promise<unknown> {
  using balances = sqliteMachine<number>({ path, ...FIRST })
  await using replica = await createReplica({ group: 'bank', machine: balances, log })
  await replica.inSync()
  await balances.submit(Buffer.from(JSON.stringify({ id: 'ann', cents: 500 })))
  return balances.get('SELECT cents FROM account WHERE id = ?', 'ann')?.cents
}

if (import.meta.main) {
  console.log(await pay('balances', memoryLog()))
  await rm('balances', { recursive: true })
}
