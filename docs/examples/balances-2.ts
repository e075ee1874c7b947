import { MalformedCommand } from 'anchorage/machine'
import { CommandRefused, type SqliteMachine, sqliteMachine } from 'anchorage/machines'
import { FIRST } from './balances.ts'

/** Version 2: an account is in a currency. Until the group goes over, it is version 1. */
export function balances(path: string): SqliteMachine<number> {
  return sqliteMachine<number>({
    path,
    name: 'balances/2',
    schema: `CREATE TABLE account (
      id TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0), currency TEXT NOT NULL DEFAULT 'EUR'
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX by_currency ON account (currency);`,
    apply(db, command) {
      const { id, cents, currency } = decode(command)
      const sql = `INSERT INTO account VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET cents = cents + excluded.cents WHERE currency = excluded.currency
        RETURNING cents`
      const row = db.get(sql, id, cents, currency)
      if (row === undefined) throw new CommandRefused(`${id} is not in ${currency}`)
      return Number(row.cents)
    },
    older: [{ ...FIRST, upgrade: "ALTER TABLE account ADD COLUMN currency TEXT NOT NULL DEFAULT 'EUR'" }],
  })
}

/** Reads while either version may be active. */
export function totals(balances: SqliteMachine<number>): Record<string, unknown>[] {
  return balances.activeName === 'balances/1'
    ? balances.all("SELECT 'EUR' AS currency, sum(cents) AS cents FROM account")
    : balances.all('SELECT currency, sum(cents) AS cents FROM account GROUP BY currency ORDER BY currency')
}

/** A command of version 1 says no currency. */
function decode(command: Uint8Array) {
  try {
    const { id, cents, currency = 'EUR' } = JSON.parse(Buffer.from(command).toString())
    const isCommand = typeof id === 'string' && Number.isSafeInteger(cents) && typeof currency === 'string'
    if (isCommand) return { id, cents, currency } as { id: string; cents: number; currency: string }
  } catch {}
  throw new MalformedCommand('a command has an id and cents, and may have a currency')
}
