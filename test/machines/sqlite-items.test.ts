import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MalformedItem } from '../../src/machine/errors.ts'
import { Items } from '../../src/machine/items.ts'
import { copied, install, itemsIn, run, SqliteMachines } from './sqlite-machines.ts'

let machines: SqliteMachines
beforeEach(() => {
  machines = new SqliteMachines()
})
afterEach(() => machines[Symbol.dispose]())

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
/** Every value that SQLite holds. It has no NaN. */
const value = fc.oneof(
  fc.constant(null),
  fc.bigInt(INT64),
  fc.constantFrom(0n, -1n, 2n ** 48n, 2n ** 48n - 1n, -(2n ** 48n), -(2n ** 48n) - 1n, INT64.min, INT64.max),
  fc.double({ noNaN: true }),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.toWellFormed()),
  fc.uint8Array({ maxLength: 20 }),
)

const SCHEMA = `
  CREATE TABLE plain (a, b INTEGER, c TEXT, d REAL, e BLOB);
  CREATE TABLE strict (id INTEGER PRIMARY KEY, a ANY, b TEXT, doubled INT AS (id * 2) STORED) STRICT;
  CREATE TABLE keyed (k ANY, l ANY, v ANY, PRIMARY KEY (k, l)) STRICT, WITHOUT ROWID;
  CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v);
  CREATE INDEX by_value ON keyed (v);
  CREATE VIEW both AS SELECT v FROM keyed UNION ALL SELECT v FROM counted;
  CREATE TRIGGER copies AFTER INSERT ON counted BEGIN INSERT INTO plain (a) VALUES (new.v); END;`

test('every row of every type is in its place in another machine, and is captured there as here', async () => {
  const row = fc.record({ table: fc.nat(3), cells: fc.tuple(value, value, value, value, value) })
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 40 }), async (rows) => {
      using own = new SqliteMachines()
      const one = own.make(SCHEMA, { bigints: true })
      for (const { table, cells } of rows) {
        const [a, b, c, d, e] = cells
        if (table === 0) run(one, 'INSERT INTO plain VALUES (?, ?, ?, ?, ?)', a, b, c, d, e)
        // What does not fit a column's type, or is there already, is refused.
        if (table === 1) run(one, 'INSERT INTO strict (a, b) VALUES (?, ?)', a, b)
        if (table === 2) run(one, 'INSERT INTO keyed VALUES (?, ?, ?)', a, b, c)
        if (table === 3) run(one, 'INSERT INTO counted (v) VALUES (?)', a)
      }
      run(one, 'DELETE FROM counted WHERE id % 2 = 0')
      const items = itemsIn(one)
      const other = own.make(SCHEMA, { bigints: true })
      await install(other, items)
      expect(itemsIn(other)).toEqual(items)
      for (const sql of ['plain', 'strict', 'keyed', 'counted', 'sqlite_sequence', 'both'].map(selectAll))
        expect(other.all(sql)).toEqual(one.all(sql))
      const next = 'INSERT INTO counted (v) VALUES (1)'
      expect([run(one, next), itemsIn(one)]).toEqual([run(other, next), itemsIn(other)])
    }),
    { numRuns: 60 },
  )
})

const selectAll = (table: string) => `SELECT * FROM ${table}`

test('the order of items is that of keys, however the rows came, and a snapshot is read on from any item', () => {
  const keys = fc.uniqueArray(fc.tuple(value, value), {
    selector: (key) => key.map((cell) => `${typeof cell} ${cell}`).join(),
    maxLength: 30,
  })
  fc.assert(
    fc.property(keys, (pairs) => {
      using own = new SqliteMachines()
      const insert = 'INSERT INTO keyed VALUES (?, ?, 0)'
      const [one, other] = [own.make(SCHEMA), own.make(SCHEMA)]
      for (const pair of pairs) run(one, insert, ...pair)
      // The first of two keys that SQLite takes for one is the one that stays.
      const kept = one.all('SELECT k FROM keyed').length
      if (kept === pairs.filter(([k, l]) => k !== null && l !== null).length) {
        for (const pair of pairs.toReversed()) run(other, insert, ...pair)
        expect(itemsIn(other)).toEqual(itemsIn(one))
      }
      const snapshot = one.capture()
      const items = copied(snapshot.items())
      for (const [n, item] of items.entries()) {
        const place = snapshot.places!.of(item)
        expect(copied(snapshot.places!.from(place))).toEqual(items.slice(n))
      }
      snapshot.release()
    }),
    { numRuns: 60 },
  )
})

test('negative numbers come before others, text after numbers, in the order of its bytes', () => {
  const machine = machines.make(
    'CREATE TABLE keyed (k ANY PRIMARY KEY) STRICT, WITHOUT ROWID; CREATE TABLE t (id INTEGER PRIMARY KEY, v)',
  )
  const keys = [-5n, -1.5, 0n, 3n, 'B', 'a', 'é', Buffer.of(0)]
  for (const key of keys.toReversed()) run(machine, 'INSERT INTO keyed VALUES (?)', key)
  for (const id of [7, -2, 0]) run(machine, 'INSERT INTO t VALUES (?, NULL)', id)
  expect(itemsIn(machine).map((item) => item.toString('hex'))).toEqual(
    [
      '000204',
      '0004bff8000000000000',
      '000100',
      '000103',
      '00050142',
      '00050161',
      '000502c3a9',
      '00060100',
    ].concat(['01020100', '01010000', '01010700']),
  )
})

test('rows of a table without a primary key are replicated with their numbers', async () => {
  const [one, other] = [machines.make('CREATE TABLE t (v)'), machines.make('CREATE TABLE t (v)')]
  for (const v of [1, 2, 3]) run(one, 'INSERT INTO t VALUES (?)', v)
  run(one, 'DELETE FROM t WHERE v = 2')
  await install(other, itemsIn(one))
  expect(other.all('SELECT rowid, v FROM t')).toEqual([
    { rowid: 1, v: 1 },
    { rowid: 3, v: 3 },
  ])
})

test('text that is no UTF-8 may be anywhere, in keys and values, in many rows', async () => {
  const schema =
    'CREATE TABLE t (k ANY, l ANY, v ANY, PRIMARY KEY (k, l)) STRICT, WITHOUT ROWID; CREATE TABLE u (v)'
  const cell = fc.oneof(
    fc.constantFrom(
      "'\ufffd'",
      "CAST(x'ff' AS TEXT)",
      "CAST(x'eda080' AS TEXT)",
      "x'ff'",
      "'a'",
      "'b'",
      '1',
      '2.5',
    ),
    fc.nat(9).map(String),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(cell, cell, cell), { maxLength: 30 }), async (rows) => {
      using own = new SqliteMachines()
      const [one, other] = [own.make(schema), own.make(schema)]
      for (const [k, l, v] of rows) {
        run(one, `INSERT OR IGNORE INTO t VALUES (${k}, ${l}, ${v})`)
        run(one, `INSERT INTO u VALUES (${v})`)
      }
      const items = itemsIn(one)
      await install(other, items)
      expect(itemsIn(other)).toEqual(items)
      const hex = 'SELECT typeof(k), hex(k), typeof(l), hex(l), typeof(v), hex(v) FROM t ORDER BY k, l'
      expect(other.all(hex)).toEqual(one.all(hex))
      const snapshot = one.capture()
      for (const [n, item] of items.entries()) {
        expect(copied(snapshot.places!.from(snapshot.places!.of(item)))).toEqual(items.slice(n))
      }
      snapshot.release()
    }),
    { numRuns: 60 },
  )
})

test('bytes that SQLite takes for text, and no text is, come through as they are', async () => {
  const schema = 'CREATE TABLE t (v)'
  const [one, other] = [machines.make(schema), machines.make(schema)]
  run(one, "INSERT INTO t VALUES (CAST(x'ff00fe' AS TEXT)), (x'ff00fe')")
  await install(other, itemsIn(one))
  expect(other.all('SELECT typeof(v) AS type, hex(v) AS hex FROM t')).toEqual([
    { type: 'text', hex: 'FF00FE' },
    { type: 'blob', hex: 'FF00FE' },
  ])
})

test.each<[what: string, items: readonly string[]]>([
  ['an empty item', ['']],
  ['an unknown table', ['05010100']],
  ['an unknown type', ['00010109']],
  ['a row that ends too early', ['000101']],
  ['a row that goes on', ['0001010000']],
  ['text that ends too early', ['0001010505c3']],
  ['a number in a longer form', ['0001810000']],
  ['a small number in eight bytes', ['0001010300000000000000ff']],
  ['a real that is no number', ['000101047ff8000000000000']],
  ['a row number that is text', ['0005013100']],
  ['a row twice', ['00010100', '00010100']],
  ['rows in the wrong order', ['00010200', '00010100']],
  ['tables in the wrong order', ['01010101', '00010100']],
  ['a key twice', ['010101', '010101']],
  ['a key that is NULL', ['0100']],
])('%s is no snapshot', (_what, items) => {
  const machine = machines.make(
    'CREATE TABLE a (id INTEGER PRIMARY KEY, v); CREATE TABLE b (k INTEGER NOT NULL PRIMARY KEY) WITHOUT ROWID',
  )
  const installation = machine.install()
  const bytes = items.map((item) => Buffer.from(item, 'hex'))
  expect(() => installation.add(Items.of(...bytes))).toThrow(MalformedItem)
  installation.abandon!()
})
