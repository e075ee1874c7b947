/** Accounts in SQL: `node accounts.ts`. The balances are on the disk, and may be more than fit into memory. */
import { rm } from 'node:fs/promises'
import { createReplica, memoryLog } from 'anchorage'
import { MalformedCommand } from 'anchorage/machine'
import { CommandRefused, sqliteMachine } from 'anchorage/machines'

type Command =
  | { readonly type: 'open'; readonly id: string; readonly cents: number }
  | { readonly type: 'pay'; readonly from: string; readonly to: string; readonly cents: number }

const SCHEMA = `
  CREATE TABLE account (id TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0)) STRICT, WITHOUT ROWID;
  CREATE TABLE payment (
    n INTEGER PRIMARY KEY AUTOINCREMENT, "from" TEXT NOT NULL, "to" TEXT NOT NULL, cents INTEGER NOT NULL,
    atMs INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX payments_to ON payment ("to");`

export function accountsMachine(path: string) {
  return sqliteMachine<number>({
    path,
    schema: SCHEMA,
    name: 'accounts/1',
    apply(db, bytes, context) {
      const command = decode(bytes)
      if (command.type === 'open')
        return db.run('INSERT INTO account VALUES (?, ?)', command.id, command.cents)
      const { from, to, cents } = command
      const move = 'UPDATE account SET cents = cents + ? WHERE id = ?'
      for (const [amount, id] of [
        [-cents, from],
        [cents, to],
      ] as const) {
        if (db.run(move, amount, id) === 0) throw new CommandRefused(`there is no account ${id}`)
      }
      const insert = 'INSERT INTO payment ("from", "to", cents, atMs) VALUES (?, ?, ?, ?) RETURNING n'
      return Number(db.get(insert, from, to, cents, context.timeMs)?.n)
    },
  })
}

export const encode = (command: Command): Uint8Array => Buffer.from(JSON.stringify(command))

/** What is no command must not stop the group: every replica skips it. */
function decode(bytes: Uint8Array): Command {
  try {
    const { type, id, from, to, cents } = JSON.parse(Buffer.from(bytes).toString())
    if (Number.isSafeInteger(cents)) {
      if (type === 'open' && typeof id === 'string') return { type, id, cents }
      if (type === 'pay' && typeof from === 'string' && typeof to === 'string')
        return { type, from, to, cents }
    }
  } catch {}
  throw new MalformedCommand('a command opens an account, or pays')
}

/** Writes, and reads what became of it. A second life has it again, with nobody to ask. */
export async function main(path: string, say: (line: string) => void = console.log): Promise<void> {
  const log = memoryLog()
  for (const life of ['first', 'second']) {
    using accounts = accountsMachine(path)
    await using replica = await createReplica({ group: 'bank', machine: accounts, log })
    await replica.inSync()
    if (life === 'first') {
      await accounts.submit(encode({ type: 'open', id: 'ann', cents: 500 }))
      await accounts.submit(encode({ type: 'open', id: 'bob', cents: 0 }))
      await accounts.submit(encode({ type: 'pay', from: 'ann', to: 'bob', cents: 200 }))
      const refusal = await accounts
        .submit(encode({ type: 'pay', from: 'bob', to: 'ann', cents: 900 }))
        .catch((error: Error) => error)
      if (refusal instanceof CommandRefused) say(refusal.message)
    }
    say(`${life}: ${JSON.stringify(accounts.all('SELECT id, cents FROM account ORDER BY id'))}`)
  }
}

if (import.meta.main) {
  await main('accounts')
  await rm('accounts', { recursive: true })
}
