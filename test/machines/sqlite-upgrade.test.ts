import { mkdirSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CommandDb } from '../../src/machines/sqlite/command-db.ts'
import type { OlderSqliteVersion, SqliteMachine } from '../../src/machines/sqlite/sqlite-machine.ts'
import { Child } from '../log/child.ts'
import { copied, install, runSql, SqliteMachines, sqlCommand } from './sqlite-machines.ts'

let machines: SqliteMachines
beforeEach(() => {
  machines = new SqliteMachines()
})
afterEach(() => machines[Symbol.dispose]())

const note = (text: string) => Buffer.from(text)
const noteIn = ({ durable }: SqliteMachine<unknown>) => durable.note && Buffer.from(durable.note).toString()
const OLD = `
  CREATE TABLE parent (id INTEGER PRIMARY KEY, v TEXT);
  CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent ON DELETE CASCADE);
  CREATE TABLE old (v);
  CREATE INDEX by_v ON parent (v);
  CREATE VIEW names AS SELECT v FROM parent;
  CREATE TRIGGER watch AFTER DELETE ON parent BEGIN INSERT INTO old VALUES ('deleted'); END;`
const NEW = `
  CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT, n INTEGER NOT NULL CHECK (n > 0));
  CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent ON DELETE CASCADE,
    note TEXT DEFAULT 'none' CHECK (note <> ''));
  CREATE TABLE added (v TEXT);
  CREATE INDEX by_n ON parent (n);
  CREATE VIEW names AS SELECT v, n FROM parent;`

/** A table is built anew to which another one refers: with foreign keys enforced, that one would lose its rows. */
function rebuild(db: CommandDb): void {
  db.run(
    `create table "parent_2" (id integer primary key autoincrement, v text, n integer not null check (n > 0))`,
  )
  db.run('INSERT INTO parent_2 SELECT id, v, length(v) FROM parent ORDER BY id')
  db.run('DROP TABLE parent')
  db.run('ALTER TABLE parent_2 RENAME TO parent')
  db.run("ALTER TABLE child ADD COLUMN note TEXT DEFAULT 'none' CHECK (note <> '')")
  db.run('DROP TABLE old')
}

function versioned(older: Partial<OlderSqliteVersion<unknown>> = {}, path = machines.path()) {
  return machines.make(NEW, { path, name: 'new', older: [{ schema: OLD, upgrade: rebuild, ...older }] })
}

/** As the version that is given. */
function run(
  machine: SqliteMachine<unknown>,
  signature: string,
  ...sql: Parameters<typeof sqlCommand>
): unknown {
  return machine.apply(sqlCommand(...sql), { position: { epoch: 'e', index: 1 }, timeMs: 0, signature })
}

function itemsIn(machine: SqliteMachine<unknown>, signature: string): Buffer[] {
  const snapshot = machine.capture(signature)
  const items = copied(snapshot.items())
  snapshot.release()
  return items
}

/** Two parents, each with a child. */
function fill(machine: SqliteMachine<unknown>, signature: string): void {
  run(machine, signature, "INSERT INTO parent VALUES (1, 'a'), (7, 'bb')")
  run(machine, signature, 'INSERT INTO child VALUES (1, 7), (2, 1)')
}

function upgrade(machine: SqliteMachine<unknown>): void {
  machine.durable.commit(note('before'))
  machine.upgrade(machine.older[0]!, machine.signature)
  machine.durable.commit(note('after'))
}

test('without older versions the signature is what it was', () => {
  const alone = machines.make('CREATE TABLE t (v)', { name: 'x' })
  expect(alone.signature).toBe('sqlite/1 {"schema":"54ae786a4cd2b63a","name":"x"}')
  expect(alone.older).toEqual([])
})

test('while the older version is active, the machine is that one: its tables, its apply, its items', async () => {
  const first = machines.make(OLD)
  const both = versioned({ apply: (db, command) => ['older', runSql(db, command, undefined as never)] })
  const [older] = both.older
  expect(older).toBe(first.signature)
  // Nobody has told it yet.
  expect([both.activeName, both.all('SELECT * FROM added')]).toEqual(['new', []])
  fill(first, first.signature)
  fill(both, older!)
  expect(both.activeName).toBeUndefined()
  expect(run(both, older!, 'SELECT count(*) AS n FROM child')).toEqual(['older', [{ n: 2 }]])
  for (const machine of [first, both]) machine.durable.commit(note('1'))
  expect(itemsIn(both, older!)).toEqual(itemsIn(first, first.signature))
  expect(both.get('SELECT * FROM names')).toEqual({ v: 'a' })

  const joiner = versioned()
  await install(
    { install: () => joiner.install(older!) } as SqliteMachine<unknown>,
    itemsIn(first, older!),
    note('2'),
  )
  expect(itemsIn(joiner, older!)).toEqual(itemsIn(first, older!))
  upgrade(joiner)
  upgrade(both)
  expect(itemsIn(joiner, joiner.signature)).toEqual(itemsIn(both, both.signature))
})

test('an upgrade builds tables anew, keeps all rows and their relations, and makes the rest of the schema', async () => {
  const machine = versioned()
  fill(machine, machine.older[0]!)
  machine.durable.commit(note('1'))
  const before = machine.capture(machine.older[0]!)
  const reading = machine.iterate('SELECT id, v FROM parent ORDER BY id')
  reading.next()
  upgrade(machine)
  expect(machine.activeName).toBe('new')
  expect(reading.next().value).toEqual({ id: 7, v: 'bb' })
  expect([...before.items()]).toHaveLength(4)
  before.release()
  expect(machine.all('SELECT v, n FROM names ORDER BY n')).toEqual([
    { v: 'a', n: 1 },
    { v: 'bb', n: 2 },
  ])
  expect(machine.all('SELECT id, parent, note FROM child ORDER BY id')).toEqual([
    { id: 1, parent: 7, note: 'none' },
    { id: 2, parent: 1, note: 'none' },
  ])
  expect(machine.all("SELECT name FROM sqlite_schema WHERE type = 'index'")).toEqual([{ name: 'by_n' }])
  // Foreign keys are enforced again, triggers are gone, and counters are there.
  const { signature } = machine
  expect(run(machine, signature, 'INSERT INTO child (parent) VALUES (99)')).toMatchObject({
    name: 'CommandRefused',
  })
  run(machine, signature, "INSERT INTO parent (v, n) VALUES ('c', 3)")
  run(machine, signature, 'DELETE FROM parent WHERE id = 7')
  machine.durable.commit(note('3'))
  expect(machine.all('SELECT id FROM child')).toEqual([{ id: 2 }])
  expect(machine.all('SELECT id FROM parent ORDER BY id')).toEqual([{ id: 1 }, { id: 8 }])

  const joiner = machines.make(NEW, { name: 'new' })
  await install(joiner, itemsIn(machine, signature), note('3'))
  expect(itemsIn(joiner, signature)).toEqual(itemsIn(machine, signature))
  run(joiner, signature, "INSERT INTO parent (v, n) VALUES ('d', 4)")
  run(machine, signature, "INSERT INTO parent (v, n) VALUES ('d', 4)")
  for (const one of [joiner, machine]) one.durable.commit(note('4'))
  expect(itemsIn(joiner, signature)).toEqual(itemsIn(machine, signature))
})

test('a machine that was restarted goes on with the version that its file is of', () => {
  const path = machines.path()
  const first = machines.make(OLD, { path })
  fill(first, first.signature)
  first.durable.commit(note('1'))
  first.close()
  const both = versioned({}, path)
  expect([both.activeName, noteIn(both)]).toEqual([undefined, '1'])
  both.close()
  // The way back is open until the upgrade.
  const back = machines.make(OLD, { path })
  expect(back.all('SELECT id FROM child')).toHaveLength(2)
  back.close()
  const again = versioned({}, path)
  upgrade(again)
  again.close()
  expect(versioned({}, path).activeName).toBe('new')
})

test('tables without rows become those of whichever version is active, also in a later life', () => {
  const path = machines.path()
  const one = versioned({}, path)
  one.durable.commit(note('only control entries'))
  one.close()
  const two = versioned({}, path)
  expect([two.activeName, noteIn(two)]).toEqual(['new', 'only control entries'])
  expect(itemsIn(two, two.older[0]!)).toEqual([])
  expect([two.activeName, noteIn(two)]).toEqual([undefined, 'only control entries'])
  fill(two, two.older[0]!)
  two.durable.commit(note('2'))
  expect(() => run(two, two.signature, 'SELECT 1')).toThrow('the group speaks')
  const empty = versioned()
  upgrade(empty)
  // SQLite begins a counter even where no row was inserted.
  expect([empty.activeName, itemsIn(empty, empty.signature).length]).toEqual(['new', 1])
})

test('a file of a version that is not spoken is left as it is', () => {
  const path = machines.path()
  const newer = versioned({}, path)
  fill(newer, newer.older[0]!)
  upgrade(newer)
  newer.close()
  expect(() => machines.make(OLD, { path })).toThrow(
    /SchemaChanged|holds the state of .*"new".* speaks .*in older/,
  )
  const again = versioned({}, path)
  expect(again.all('SELECT id FROM child')).toHaveLength(2)
})

test('an upgrade that was not committed is as if it had not begun', () => {
  const path = machines.path()
  const one = versioned({}, path)
  fill(one, one.older[0]!)
  one.durable.commit(note('before'))
  one.upgrade(one.older[0]!, one.signature)
  expect(one.get('SELECT count(*) AS n FROM old')).toEqual({ n: 0 })
  one.close()
  const again = versioned({}, path)
  expect([again.activeName, noteIn(again)]).toEqual([undefined, 'before'])
  upgrade(again)
  expect(noteIn(again)).toBe('after')
})

test('a process that is killed in the midst of an upgrade has the older version in its next life, and then goes over', async () => {
  const folder = machines.path()
  mkdirSync(folder)
  for (const [how, begins, ends] of [
    ['old', 'old', 'ends with old, 1000 rows'],
    ['kill', 'old', 'in the midst'],
    ['kill', 'old', 'in the midst'],
    ['both', 'old', 'ends with new, 1001 rows'],
    ['both', 'new', 'ends with new, 1002 rows'],
  ] as const) {
    using child = new Child('../machines/sqlite-upgrade-process.ts', folder, how)
    expect([await child.line(), await child.line()]).toEqual([`begins with ${begins}`, ends])
    await child.exitCode()
  }
})

test('what goes wrong with rows undoes the upgrade, and foreign keys are looked at in the end', () => {
  const machine = versioned()
  fill(machine, machine.older[0]!)
  run(machine, machine.older[0]!, "INSERT INTO parent VALUES (9, '')")
  machine.durable.commit(note('1'))
  const items = itemsIn(machine, machine.older[0]!)
  expect(() => machine.upgrade(machine.older[0]!, machine.signature)).toThrow('CHECK constraint failed')
  expect(itemsIn(machine, machine.older[0]!)).toEqual(items)
  expect(run(machine, machine.older[0]!, 'INSERT INTO child VALUES (5, 99)')).toMatchObject({
    name: 'CommandRefused',
  })

  const orphans = machines.make(OLD, {
    name: 'orphans',
    older: [{ schema: OLD, upgrade: 'DELETE FROM parent WHERE id = 7' }],
  })
  fill(orphans, orphans.older[0]!)
  orphans.durable.commit(note('1'))
  expect(() => orphans.upgrade(orphans.older[0]!, orphans.signature)).toThrow(
    'a row of child that refers to no row',
  )
})

test('versions come one after the other, each with its own way to the next', () => {
  const machine = machines.make('CREATE TABLE t (v, w, x)', {
    older: [
      { schema: 'CREATE TABLE t (v, w)', upgrade: "ALTER TABLE t ADD COLUMN x; UPDATE t SET x = w || '!'" },
      { schema: 'CREATE TABLE t (v)', upgrade: (db) => void db.run('ALTER TABLE t ADD COLUMN w') },
      { schema: 'CREATE TABLE t (v)', name: 'only apply differs' },
    ],
  })
  const [second, , first] = machine.older
  run(machine, first!, 'INSERT INTO t VALUES (?)', 'a')
  machine.durable.commit(note('1'))
  machine.upgrade(first!, second!)
  machine.durable.commit(note('2'))
  run(machine, second!, "UPDATE t SET w = 'b'")
  machine.durable.commit(note('3'))
  machine.upgrade(second!, machine.signature)
  machine.durable.commit(note('4'))
  expect(machine.all('SELECT * FROM t')).toEqual([{ v: 'a', w: 'b', x: 'b!' }])
})

test('rows of before a column was there have what a row has that was written, or installed, after it', async () => {
  const columns = [
    `r REAL DEFAULT 1`,
    `num NUMERIC DEFAULT '5'`,
    `"any one" DEFAULT 2.5`,
    `t TEXT DEFAULT 7`,
    `B BLOB DEFAULT x'00'`,
  ]
  const schema = `CREATE TABLE t (id INTEGER PRIMARY KEY, ${columns.join(', ')}, twice AS (r * 2))`
  const added = [...columns, 'twice AS (r * 2)'].map((column) => `ALTER TABLE t ADD COLUMN ${column};`)
  const sql = `ALTER TABLE "old one" RENAME TO t; ${added.join(' ')}`
  const older = [{ schema: 'create table [old one] (id INTEGER PRIMARY KEY) -- only a key', upgrade: sql }]
  const [machine, installed] = [machines.make(schema, { older }), machines.make(schema)]
  run(machine, machine.older[0]!, 'INSERT INTO [old one] VALUES (1), (2)')
  upgrade(machine)
  const { signature } = machine
  await install(installed, itemsIn(machine, signature), note('1'))
  for (const one of [machine, installed]) {
    run(one, signature, 'INSERT INTO t (id) VALUES (3)')
    run(one, signature, 'UPDATE t SET num = num WHERE id = 2')
    one.durable.commit(note('2'))
  }
  const rows = machine.all(
    'SELECT typeof(r) || typeof(num) || typeof("any one") || typeof(t) AS types, twice FROM t',
  )
  expect(rows).toEqual(Array(3).fill({ types: 'realintegerrealtext', twice: 2 }))
  expect(itemsIn(installed, signature)).toEqual(itemsIn(machine, signature))
})

test('new tables, indexes, views and triggers need no upgrade', () => {
  const machine = machines.make(`${OLD} CREATE TABLE more (v); CREATE INDEX by_parent ON child (parent)`, {
    older: [{ schema: OLD }],
  })
  fill(machine, machine.older[0]!)
  upgrade(machine)
  expect(machine.all('SELECT v FROM more')).toEqual([])
  expect(machine.all("SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name")).toHaveLength(2)
})

describe('a machine is not made with an upgrade that', () => {
  test.each<[what: string, upgrade: OlderSqliteVersion<unknown>['upgrade'], message: string]>([
    ['is not there', undefined, 'makes of parent'],
    ['makes something else', 'ALTER TABLE parent ADD COLUMN n TEXT', 'makes of parent'],
    [
      'leaves a table',
      (db) =>
        rebuild({ ...db, run: (sql: string) => (sql === 'DROP TABLE old' ? 0 : db.run(sql)) } as CommandDb),
      'leaves the table old',
    ],
    ['is no SQL', 'ALTER TABEL', 'syntax error'],
    ['asks the time', "UPDATE parent SET v = datetime('now')", 'a time of now'],
    [
      'asks the time by another word',
      'UPDATE parent SET v = current_timestamp',
      'current_timestamp() is refused',
    ],
    ['rolls dice', 'UPDATE parent SET id = random()', 'random() is refused'],
    ['commits', 'COMMIT', 'a transaction is refused'],
    ['sets the connection', 'PRAGMA foreign_keys = ON', 'PRAGMA foreign_keys is refused'],
    ['touches the note', 'DROP TABLE anchorage_state', 'anchorage_state is refused'],
    ['reads the note', 'INSERT INTO old SELECT note FROM anchorage_state', 'anchorage_state is refused'],
    ['has a temporary table', 'CREATE TEMP TABLE t (v)', 'refused'],
    ['writes to the schema', 'DELETE FROM sqlite_schema', 'may not be modified'],
    ['takes its time', async () => {}, 'returned a promise'],
  ])('%s', (_what, upgrade, message) => {
    expect(() => versioned({ upgrade })).toThrow(
      expect.objectContaining({ name: 'SchemaRefused', message: expect.stringContaining(message) }),
    )
  })

  test('is of a version that is there twice, or one too many', () => {
    expect(() => machines.make(OLD, { older: [{ schema: OLD }] })).toThrow(RangeError)
    const older = Array.from({ length: 17 }, (_, n) => ({ schema: OLD, name: `v${n}` }))
    expect(() => machines.make(OLD, { older })).toThrow('at most 16')
  })
})
