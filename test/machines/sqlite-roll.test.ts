import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FIRST, pay } from '../../docs/examples/balances.ts'
import { balances, totals } from '../../docs/examples/balances-2.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { type SqliteMachine, sqliteMachine } from '../../src/machines/sqlite/sqlite-machine.ts'
import { ApplyFailed } from '../../src/replica/errors.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { checkMachine } from '../../src/testing/index.ts'
import { leads, next, TIMES } from '../replica/cluster.ts'
import { SqliteMachines } from './sqlite-machines.ts'

interface Member {
  readonly machine: SqliteMachine<number>
  readonly replica: Replica<unknown>
  stop(): Promise<void>
}

let machines: SqliteMachines
let log: MemoryLog
let members: Member[]

beforeEach(() => {
  machines = new SqliteMachines()
  log = memoryLog()
  members = []
})
afterEach(async () => {
  await Promise.all(members.map((member) => member.stop()))
  machines[Symbol.dispose]()
})

const first = (path: string) => sqliteMachine<number>({ path, ...FIRST })
const command = (id: string, cents: number, currency?: string) =>
  Buffer.from(JSON.stringify({ id, cents, currency }))

/** A life of a member, which has its state on the disk by its name. */
async function start(
  name: string,
  made: (path: string) => SqliteMachine<number>,
  init: Partial<ReplicaInit<unknown>> = {},
): Promise<Member> {
  const machine = made(machines.path(name))
  const options = { group: 'bank', log, volatile: true, logger: false, upgrade: { afterMs: 200 } } as const
  const replica = await createReplica<unknown>({ ...options, machine, ...TIMES, ...init })
  const stop = async () => {
    members = members.filter((member) => member.machine !== machine)
    await replica.stop()
    machine.close()
  }
  const member = { machine, replica, stop }
  members.push(member)
  await replica.inSync({ signal: AbortSignal.timeout(20_000) })
  return member
}

async function upgraded({ machine, replica }: Member): Promise<void> {
  while (replica.signature !== machine.signature) await next(replica, 'upgraded')
}

async function sameRoots(...all: readonly Member[]): Promise<void> {
  const anchor = await all[0]!.replica.mark()
  const roots = await Promise.all(all.map(({ replica }) => replica.rootAt(anchor)))
  expect(new Set(roots.map((root) => Buffer.from(root).toString('hex'))).size).toBe(1)
}

test('a group rolls from one schema to the next: joiners before and after it have the tables of the one that is active', async () => {
  const a = await start('a', first)
  await leads(a.replica)
  await a.machine.submit(command('ann', 500))
  const b = await start('b', balances, { lead: false })
  await b.machine.submit(command('bob', 100))
  // Version 1 knows no currency: it is version 1 that is spoken.
  await b.machine.submit(command('eve', 100, 'SEK'))
  expect([b.machine.activeName, totals(b.machine)]).toEqual(['balances/1', [{ currency: 'EUR', cents: 700 }]])
  await sameRoots(a, b)

  await a.replica.prune({ keepEntries: 0 })
  const before = await start('before', balances, { lead: false })
  expect(before.replica.counts.get('caught-up')).toBe(1)
  expect([before.machine.activeName, totals(before.machine)]).toEqual(['balances/1', totals(b.machine)])
  await sameRoots(a, b, before)

  await a.stop()
  const again = await start('a', balances)
  await leads(again.replica)
  await Promise.all([again, b, before].map(upgraded))
  await b.machine.submit(command('kim', 300, 'SEK'))
  await expect(b.machine.submit(command('ann', 1, 'SEK'))).rejects.toThrow('ann is not in SEK')
  await Promise.all([again, before].map(({ replica }) => replica.barrier()))
  const sums = [
    { currency: 'EUR', cents: 700 },
    { currency: 'SEK', cents: 300 },
  ]
  for (const { machine } of [again, b, before])
    expect([machine.activeName, totals(machine)]).toEqual(['balances/2', sums])
  await sameRoots(again, b, before)

  await again.replica.prune({ keepEntries: 0 })
  const after = await start('after', balances, { lead: false })
  expect(after.replica.counts.get('caught-up')).toBe(1)
  expect([after.machine.activeName, totals(after.machine)]).toEqual(['balances/2', sums])
  await sameRoots(again, b, before, after)
})

test('who was away goes over in the midst of what it missed, and each command counts once', async () => {
  await log.open({
    group: 'bank',
    signature: signatureOf(() => first(machines.path('unused'))),
    author: 'test',
  })
  const one = await start('one', balances, { upgrade: 'manual' })
  await leads(one.replica)
  const away = await start('away', balances, { lead: false })
  await one.machine.submit(command('ann', 500))
  await away.replica.barrier()
  await away.stop()
  for (let n = 0; n < 50; n++) await one.machine.submit(command('ann', 1))
  await one.replica.upgrade()
  for (let n = 0; n < 50; n++) await one.machine.submit(command(`id ${n}`, 1, 'SEK'))

  const again = await start('away', balances, { lead: false })
  expect([again.machine.activeName, again.replica.counts.get('caught-up')]).toEqual(['balances/2', undefined])
  expect(again.machine.all('SELECT * FROM account ORDER BY id')).toEqual(
    one.machine.all('SELECT * FROM account ORDER BY id'),
  )
  expect(again.machine.get("SELECT cents FROM account WHERE id = 'ann'")).toEqual({ cents: 550 })
  await sameRoots(one, again)
  await again.stop()
  // Its next life begins with the newer tables.
  expect((await start('away', balances, { lead: false })).machine.activeName).toBe('balances/2')
})

test('a replica whose upgrade fails keeps the older state, and goes over when the upgrade is mended', async () => {
  const signature = signatureOf(() => first(machines.path('unused')))
  await log.open({ group: 'bank', signature, author: 'test' })
  const schema = FIRST.schema.replace('cents >= 0', 'cents >= 0), cents_2 INTEGER CHECK (cents_2 > 9')
  const made = (sql: string) => (path: string) =>
    sqliteMachine<number>({
      ...{ path, schema, name: 'x', apply: FIRST.apply },
      older: [
        { ...FIRST, upgrade: `ALTER TABLE account ADD COLUMN cents_2 INTEGER CHECK (cents_2 > 9); ${sql}` },
      ],
    })
  const one = await start('one', made('UPDATE account SET cents_2 = cents'), { upgrade: 'manual' })
  await leads(one.replica)
  await one.machine.submit(command('ann', 5))
  const halted = next(one.replica, 'state')
  await one.replica.upgrade().catch(() => {})
  expect((await halted).reason).toBeInstanceOf(ApplyFailed)
  expect([one.machine.activeName, one.machine.all('SELECT * FROM account')]).toEqual([
    'balances/1',
    [{ id: 'ann', cents: 5 }],
  ])
  await one.stop()
  const mended = await start('one', made('UPDATE account SET cents_2 = cents + 10'))
  expect([mended.machine.activeName, mended.machine.all('SELECT * FROM account')]).toEqual([
    'x',
    [{ id: 'ann', cents: 5, cents_2: 15 }],
  ])
})

test('the balances of the documents pass checkMachine, and are what the page says', async () => {
  const commands = Array.from({ length: 40 }, (_, n) =>
    command(`id ${n % 9}`, n * 3 - 9, ['EUR', 'SEK', undefined][n % 3]),
  )
  const made = () => first(machines.path())
  const firstCommands = commands.map((_, n) => command(`id ${n % 9}`, n * 3 - 9))
  const older = { [signatureOf(made)]: { factory: made, commands: firstCommands } }
  const report = await checkMachine(() => balances(machines.path()), commands, { places: 4, older })
  expect([report.malformed, report.items]).toEqual([0, 9])
  expect(await pay(machines.path(), log)).toBe(500)
})

test('checkMachine looks at each version, and at the way to the newest', async () => {
  const upsert = 'INSERT INTO word VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n'
  const schema = 'CREATE TABLE word (text TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID'
  const newer = (sql: string) => () =>
    machines.make(schema.replace(')', ', length INTEGER NOT NULL DEFAULT 0)'), {
      apply: (db, command) =>
        db.run('INSERT INTO word VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET n = n + 1', ...both(command)),
      older: [
        {
          schema,
          apply: (db, command) => db.run(upsert, both(command)[0], 1),
          upgrade: `ALTER TABLE word ADD COLUMN length INTEGER NOT NULL DEFAULT 0; ${sql}`,
        },
      ],
    })
  const commands = Array.from({ length: 30 }, (_, n) => Buffer.from(`word ${n % 7}${'x'.repeat(n % 3)}`))
  const first = () => machines.make(schema, { apply: (db, command) => db.run(upsert, both(command)[0], 1) })
  const older = { [first().signature]: { factory: first, commands } }
  const report = await checkMachine(newer('UPDATE word SET length = length(text)'), commands, {
    places: 4,
    older,
  })
  expect(report.items).toBeGreaterThan(10)
  const other = {
    [first().signature]: { factory: () => machines.make(schema, { apply: () => 1 }), commands },
  }
  await expect(checkMachine(newer(''), commands, { places: 4, older: other })).rejects.toThrow(
    'the machine of that version and the newest one differ',
  )
})

test('all code of the page is in an example', () => {
  const squeezed = (text: string) => text.replaceAll(/\s+/g, ' ').trim()
  const docs = new URL('../../docs/', import.meta.url)
  const examples = ['balances.ts', 'balances-2.ts'].map((name) =>
    squeezed(readFileSync(new URL(`examples/${name}`, docs), 'utf8')),
  )
  const page = readFileSync(new URL('machines/sqlite.md', docs), 'utf8')
  const blocks = Array.from(page.matchAll(/^```ts\n(.*?)^```$/gms), ([, code = '']) => code)
  expect(blocks.length).toBeGreaterThan(1)
  for (const part of blocks.flatMap((code) => code.split('\n\n'))) {
    expect(
      examples.some((example) => example.includes(squeezed(part))),
      part,
    ).toBe(true)
  }
})

function signatureOf(make: () => SqliteMachine<number>): string {
  using machine = make()
  return machine.signature
}

function both(command: Uint8Array): [text: string, length: number] {
  const text = Buffer.from(command).toString('latin1')
  return [text, text.length]
}
