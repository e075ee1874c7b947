import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NotAttached, SnapshotReleased } from '../../src/machine/errors.ts'
import { MalformedCommand } from '../../src/machine/machine.ts'
import { CommandRefused, SqlNotDeterministic } from '../../src/machines/sqlite/errors.ts'
import { copied, install, itemsIn, run, SqliteMachines, sqlCommand } from './sqlite-machines.ts'

const SCHEMA = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'x' CHECK (v <> 'bad') UNIQUE);
  CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES t);`
const note = (text: string) => Buffer.from(text)
const CONTEXT = { position: { epoch: 'e', index: 1 }, timeMs: 5, signature: 's' }

let machines: SqliteMachines
beforeEach(() => {
  machines = new SqliteMachines()
})
afterEach(() => machines[Symbol.dispose]())

describe('what is refused in apply, for all replicas alike', () => {
  test.each([
    'SELECT random()',
    'SELECT RANDOM ()',
    'SELECT id FROM t ORDER BY random()',
    'SELECT hex(randomblob(4))',
    'SELECT current_timestamp',
    'INSERT INTO t (v) VALUES (CURRENT_DATE)',
    'SELECT current_time',
    "SELECT datetime('now')",
    "SELECT date('NOW', '+1 day')",
    'SELECT time()',
    "SELECT strftime('%s', 'now')",
    "SELECT strftime('%s')",
    "SELECT unixepoch('now', 'subsec')",
    "SELECT julianday('2020-01-01', 'localtime')",
    "SELECT datetime('2020-01-01', 'utc')",
    "SELECT timediff('now', '2020-01-01')",
    'SELECT last_insert_rowid()',
    'SELECT changes()',
    'SELECT total_changes()',
    'SELECT sqlite_version()',
    'PRAGMA foreign_keys = OFF',
    'PRAGMA user_version',
    'SELECT * FROM pragma_table_list',
    'SELECT * FROM sqlite_schema',
    'SELECT * FROM anchorage_state',
    'UPDATE anchorage_state SET note = NULL',
    'CREATE TABLE other (a)',
    'CREATE TEMP TABLE other (a)',
    'CREATE INDEX i ON t (v)',
    'DROP TABLE child',
    'ALTER TABLE t ADD COLUMN w',
    'ANALYZE',
    'REINDEX',
    "ATTACH ':memory:' AS other",
    'BEGIN',
    'COMMIT',
    'ROLLBACK',
    'SAVEPOINT mine',
    'RELEASE command',
    "INSERT OR ROLLBACK INTO t VALUES (1, 'bad')",
  ])('%s', (sql) => {
    const machine = machines.make(SCHEMA)
    run(machine, "INSERT INTO t VALUES (1, 'before')")
    const result = run(machine, sql) as CommandRefused
    expect(result).toBeInstanceOf(CommandRefused)
    expect(result.cause).toBeInstanceOf(SqlNotDeterministic)
    machine.durable.commit(note('n'))
    expect(machine.all('SELECT v FROM t')).toEqual([{ v: 'before' }])
  })

  test('a constraint that a row breaks, a row that is too large', () => {
    const machine = machines.make(SCHEMA)
    expect(run(machine, "INSERT INTO t (v) VALUES ('bad')")).toMatchObject({ name: 'CommandRefused' })
    expect(run(machine, 'INSERT INTO child VALUES (1, 5)')).toMatchObject({ name: 'CommandRefused' })
    const row = run(machine, 'INSERT INTO t (v) VALUES (?)', 'x'.repeat(32 * 1024 * 1024))
    expect(row).toMatchObject({ name: 'CommandRefused', message: expect.stringContaining('too big') })
  })

  test('times that depend on nothing else are as SQLite has them', () => {
    const sql = `SELECT datetime(0, 'unixepoch') AS a, date('2024-02-28', '+1 day') AS b,
      strftime('%Y', '2020-01-01') AS c, unixepoch('1970-01-02') AS d, julianday('2000-01-01 12:00') AS e`
    using db = new DatabaseSync(':memory:')
    expect(run(machines.make(SCHEMA), sql)).toEqual(db.prepare(sql).all())
  })
})

test('what a trigger of the schema does is looked at like what apply does', () => {
  const machine = machines.make(`
    CREATE TABLE t (v);
    CREATE TABLE log (v, at DEFAULT 'then');
    CREATE TRIGGER audit AFTER INSERT ON t BEGIN INSERT INTO log (v, at) VALUES (new.v, datetime('now')); END;
    CREATE TRIGGER lots AFTER DELETE ON t BEGIN INSERT INTO log (v) VALUES (random()); END;`)
  for (const sql of ['INSERT INTO t VALUES (1)', 'DELETE FROM t']) {
    expect(run(machine, sql)).toMatchObject({ cause: expect.any(SqlNotDeterministic) })
  }
})

test('times may be in an index, in a check, and as far away as SQLite allows', async () => {
  const schema = `
    CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER CHECK (date(at, 'unixepoch') IS NOT NULL), day AS (date(at, 'unixepoch')));
    CREATE INDEX by_day ON t (date(at, 'unixepoch'));`
  const [one, other] = [machines.make(schema), machines.make(schema)]
  expect(run(one, 'INSERT INTO t (at) VALUES (0), (86400)')).toBe(2)
  expect(run(one, 'INSERT INTO t (at) VALUES (9223372036854775807)')).toBeInstanceOf(CommandRefused)
  await install(other, itemsIn(one))
  for (const machine of [one, other]) {
    expect(run(machine, "SELECT id FROM t WHERE date(at, 'unixepoch') = '1970-01-02'")).toEqual([{ id: 2 }])
    expect(run(machine, "UPDATE t SET at = at + 86400 WHERE day = '1970-01-01'")).toBe(1)
    machine.durable.commit(note('1'))
    expect(machine.all("SELECT id FROM t WHERE date(at, 'unixepoch') = '1970-01-02'")).toEqual([
      { id: 1 },
      { id: 2 },
    ])
    expect(machine.get('PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' })
  }
})

test('a command that throws is undone, and what other commands of the batch wrote is not', () => {
  let error: Error = new MalformedCommand('no')
  const machine = machines.open({
    path: machines.path(),
    schema: SCHEMA,
    apply(db, command) {
      db.run('INSERT INTO t (v) VALUES (?)', Buffer.from(command).toString())
      if (command.length > 1) throw error
      return db.get('SELECT count(*) AS count FROM t')?.count
    },
  })
  const apply = (text: string) => machine.apply(Buffer.from(text), CONTEXT)
  expect(apply('a')).toBe(1)
  expect(() => apply('bb')).toThrow(MalformedCommand)
  error = new Error('torn')
  expect(() => apply('bb')).toThrow('torn')
  error = new CommandRefused('not today')
  expect(apply('bb')).toBe(error)
  expect(apply('c')).toBe(2)
})

test('apply must be done when it returns', async () => {
  const machine = machines.open({
    path: machines.path(),
    schema: SCHEMA,
    async apply(db) {
      db.run("INSERT INTO t (v) VALUES ('a')")
      await null
      db.run("INSERT INTO t (v) VALUES ('b')")
    },
  })
  expect(() => machine.apply(Buffer.of(1), CONTEXT)).toThrow('promise')
  machine.durable.commit(note('n'))
  expect(machine.all('SELECT v FROM t')).toEqual([])
})

test('a snapshot is the state at its capture, while commands and other snapshots come', () => {
  const machine = machines.make(SCHEMA)
  run(machine, "INSERT INTO t (v) VALUES ('a'), ('b')")
  machine.durable.commit(note('1'))
  const first = machine.capture()
  const items = first.items()[Symbol.iterator]()
  const begun = Buffer.from(items.next().value!)
  run(machine, "UPDATE t SET v = v || '!'")
  machine.durable.commit(note('2'))
  const before = [begun, ...copied({ [Symbol.iterator]: () => items })]
  expect(before).toEqual(copied(first.items()))
  expect(itemsIn(machine)).not.toEqual(before)
  first.release()
  expect(() => first.items()[Symbol.iterator]().next()).toThrow(SnapshotReleased)
})

test('reads see what is committed, and do not write', async () => {
  const machine = machines.make(SCHEMA)
  run(machine, "INSERT INTO t (v) VALUES ('a')")
  expect(machine.get('SELECT v FROM t')).toBeUndefined()
  machine.durable.commit(note('1'))
  expect(machine.get('SELECT v FROM t WHERE id = ?', 1)).toEqual({ v: 'a' })
  expect([...machine.iterate('SELECT id FROM t')]).toEqual([{ id: 1 }])
  expect(() => machine.all('DELETE FROM t')).toThrow('readonly')
  await expect(machine.submit(sqlCommand('SELECT 1'))).rejects.toThrow(NotAttached)
})

describe('on the disk', () => {
  test('a state is there again with the note of its newest commit, and nothing of what came after', () => {
    const path = machines.path()
    const first = machines.make(SCHEMA, { path })
    run(first, "INSERT INTO t (v) VALUES ('a')")
    first.durable.commit(note('1'))
    run(first, "INSERT INTO t (v) VALUES ('b')")
    first.close()
    const second = machines.make(SCHEMA, { path })
    expect(second.durable.note).toEqual(new Uint8Array(note('1')))
    expect(second.all('SELECT v FROM t')).toEqual([{ v: 'a' }])
  })

  test('a state of no known place is not begun with', () => {
    const path = machines.path()
    const first = machines.make(SCHEMA, { path })
    run(first, "INSERT INTO t (v) VALUES ('a')")
    first.durable.commit(note('1'))
    first.durable.commit(undefined, { flush: true })
    first.close()
    const second = machines.make(SCHEMA, { path })
    expect(second.durable.note).toBeUndefined()
    expect(second.all('SELECT v FROM t')).toEqual([])
  })

  test('a state of another log is set aside, whole', () => {
    const path = machines.path()
    const machine = machines.make(SCHEMA, { path })
    run(machine, "INSERT INTO t (v) VALUES ('a')")
    machine.durable.commit(note('1'))
    machine.durable.discard()
    expect(machine.durable.note).toBeUndefined()
    expect(machine.all('SELECT v FROM t')).toEqual([])
    using db = new DatabaseSync(join(path, 'aside.1.db'), { readOnly: true })
    expect(db.prepare('SELECT v FROM t').all()).toEqual([{ v: 'a' }])
  })

  test('an install takes the place of the old state at once, and its snapshots are read to their end', async () => {
    const other = machines.make(SCHEMA)
    run(other, "INSERT INTO t (v) VALUES ('new')")
    const items = itemsIn(other)
    const path = machines.path()
    const machine = machines.make(SCHEMA, { path })
    run(machine, "INSERT INTO t (v) VALUES ('old')")
    machine.durable.commit(note('1'))
    const old = machine.capture()
    const installation = install(machine, items, note('2'))
    expect(machine.all('SELECT v FROM t')).toEqual([{ v: 'old' }])
    await installation
    expect(machine.all('SELECT v FROM t')).toEqual([{ v: 'new' }])
    expect(copied(old.items())[0]!.toString()).toContain('old')
    old.release()
    run(machine, "INSERT INTO t (v) VALUES ('newer')")
    machine.durable.commit(note('3'))
    machine.close()
    expect(readdirSync(path).filter((name) => name.endsWith('.db'))).toEqual(['state.2.db'])
    const again = machines.make(SCHEMA, { path })
    expect(again.durable.note).toEqual(new Uint8Array(note('3')))
    expect(again.all('SELECT v FROM t')).toEqual([{ v: 'new' }, { v: 'newer' }])
  })

  test('an install that is abandoned leaves nothing', () => {
    const path = machines.path()
    const machine = machines.make(SCHEMA, { path })
    const before = readdirSync(path)
    const installation = machine.install()
    expect(readdirSync(path)).not.toEqual(before)
    installation.abandon!()
    installation.abandon!()
    expect(readdirSync(path)).toEqual(before)
  })

  test('one folder is for one machine at a time, with one schema and name', () => {
    const path = machines.path()
    const machine = machines.make(SCHEMA, { path, name: 'one' })
    expect(() => machines.make(SCHEMA, { path, name: 'one' })).toThrow(
      expect.objectContaining({ code: 'STATE_IN_USE' }),
    )
    machine.durable.commit(note('1'))
    machine.close()
    const changed = expect.objectContaining({ code: 'SCHEMA_CHANGED' })
    expect(() => machines.make(SCHEMA, { path, name: 'two' })).toThrow(changed)
    expect(() => machines.make(`${SCHEMA} CREATE INDEX i ON t (v)`, { path, name: 'one' })).toThrow(changed)
    expect(machines.make(`-- the same\n${SCHEMA}`, { path, name: 'one' }).durable.note).toEqual(
      new Uint8Array(note('1')),
    )
  })

  test.each([
    ['no database', Buffer.from('hello')],
    ['nothing', Buffer.of()],
  ])('a file that is %s is not taken for a state', (_what, bytes) => {
    const path = machines.path()
    machines.make(SCHEMA, { path }).close()
    writeFileSync(join(path, 'state.1.db'), bytes)
    expect(() => machines.make(SCHEMA, { path })).toThrow(expect.objectContaining({ code: 'STATE_UNUSABLE' }))
  })
})

describe('what cannot be replicated is refused in a schema', () => {
  test.each([
    ['', 'no table'],
    ['CREATE TABLE t (a', 'SQLite does not take'],
    ['CREATE VIRTUAL TABLE t USING fts5 (a)', 'virtual'],
    ['CREATE TEMP TABLE t (a)', 'temporary'],
    ['CREATE TABLE t (a); INSERT INTO t VALUES (1)', 'writes'],
    ['CREATE TABLE t (a); PRAGMA user_version = 5', 'only create'],
    ['CREATE TABLE t (a); DROP TABLE t', 'only create'],
    ['CREATE TABLE t (a DEFAULT CURRENT_TIMESTAMP)', 'default'],
    ['CREATE TABLE t (a DEFAULT (random()))', 'default'],
    ['CREATE TABLE t (a); CREATE VIEW v AS SELECT random() FROM t', undefined],
    ['CREATE TABLE t (a); CREATE INDEX i ON t (random())', 'random'],
    ['CREATE TABLE t (a, PRIMARY KEY (a DESC)) WITHOUT ROWID', 'DESC'],
    ['CREATE TABLE t (rowid, oid, _rowid_)', 'row numbers'],
    ['CREATE TABLE anchorage_t (a)', 'kept for the machine'],
    ['CREATE TABLE t (a REFERENCES t DEFERRABLE INITIALLY DEFERRED)', 'DEFERRED'],
    ['CREATE TABLE t (a UNIQUE ON CONFLICT ROLLBACK)', 'ROLLBACK'],
  ])('%s', (schema, why) => {
    if (why === undefined) return void machines.make(schema)
    expect(() => machines.make(schema)).toThrow(
      expect.objectContaining({ code: 'SCHEMA_REFUSED', message: expect.stringContaining(why) }),
    )
  })
})
