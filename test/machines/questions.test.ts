import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encode, Inventory } from '../../docs/examples/inventory.ts'
import type { StateMachine } from '../../src/machine/machine.ts'
import {
  compose,
  ReplicatedList,
  ReplicatedOnce,
  ReplicatedPriorityQueue,
  ReplicatedRegister,
  ReplicatedSet,
  type SqliteMachine,
  sqliteMachine,
} from '../../src/machines/index.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'

const CONTEXT = { position: { epoch: 'e', index: 1 }, timeMs: 1_000, signature: '' }

/** As the command line asks. */
function ask(machine: StateMachine, question: string): string | undefined {
  const answer = machine.query?.(Buffer.from(question))
  return answer && Buffer.from(answer).toString()
}

const MALFORMED = expect.objectContaining({ code: 'MALFORMED_QUESTION' })

test('a map tells the value of a key, as long as it lives', () => {
  const map = new ReplicatedMap()
  map.apply(map.commands.set('CH/Bern', { population: 134_794 }, { ttlMs: 500 }), CONTEXT)
  expect(ask(map, 'CH/Bern')).toBe('{"population":134794}')
  expect(ask(map, 'CH/Basel')).toBeUndefined()
  map.advance(1_500)
  expect(ask(map, 'CH/Bern')).toBeUndefined()
})

test('an answer is a copy: later commands do not change it', () => {
  const map = new ReplicatedMap()
  map.apply(map.commands.set('a', 'first'), CONTEXT)
  const answer = map.query(Buffer.from('a'))!
  map.apply(map.commands.set('a', 'other'), CONTEXT)
  expect(Buffer.from(answer).toString()).toBe('"first"')
})

test('a set tells what is in it', () => {
  const set = new ReplicatedSet()
  set.apply(set.commands.add('ann'), CONTEXT)
  expect([ask(set, 'ann'), ask(set, 'bob')]).toEqual(['true', undefined])
})

test('a register and a once tell their value, whatever is asked', () => {
  const register = new ReplicatedRegister()
  const once = new ReplicatedOnce()
  expect([ask(register, ''), ask(once, '')]).toEqual([undefined, undefined])
  register.apply(register.commands.set([1, 2]), CONTEXT)
  once.apply(once.commands.set('x'), CONTEXT)
  expect([ask(register, ''), ask(once, 'anything')]).toEqual(['[1,2]', '"x"'])
})

test('a queue tells the value of a key', () => {
  const queue = new ReplicatedPriorityQueue()
  queue.apply(queue.commands.insert(3, 'job', { url: '/' }), CONTEXT)
  expect([ask(queue, 'job'), ask(queue, 'other')]).toEqual(['{"url":"/"}', undefined])
})

test('a list tells the item at an index, from either end', () => {
  const list = new ReplicatedList()
  list.apply(list.commands.pushMany(['a', 'b', 'c']), CONTEXT)
  expect(['0', '-1', '3'].map((index) => ask(list, index))).toEqual(['"a"', '"c"', undefined])
  for (const index of ['', 'a', '1.5', '0x1', ' 1']) expect(() => ask(list, index)).toThrow(MALFORMED)
})

test('a composition passes a question on to the part that it names', () => {
  const state = compose({ users: new ReplicatedMap(), tags: new ReplicatedSet(), mute: silent() })
  const command = state.encodeAll([state.commands.users.set('a:b', 1)])
  state.apply(command, { ...CONTEXT, signature: state.signature })
  expect([ask(state, 'users:a:b'), ask(state, 'users:a'), ask(state, 'tags:x')]).toEqual([
    '1',
    undefined,
    undefined,
  ])
  for (const question of ['a:b', 'users', 'mute:', ':a', ''])
    expect(() => ask(state, question)).toThrow('these answer: tags, users')
})

/** A machine that answers no questions. */
function silent(): StateMachine {
  const { signature, apply, capture, install } = new ReplicatedSet()
  return { signature, apply, capture, install }
}

test('the inventory of the docs', () => {
  const inventory = new Inventory()
  const move = (article: string, count: number) => inventory.apply(encode({ article, count }))
  expect(move('bolts', 3)).toEqual({ done: true, stock: 3 })
  expect(move('bolts', -5)).toEqual({ done: false, stock: 3 })
  expect(['bolts', 'nuts', ''].map((article) => ask(inventory, article))).toEqual(['3', undefined, '1'])
  expect(() => inventory.apply(Buffer.from('{"article": 1}'))).toThrow(
    expect.objectContaining({ code: 'MALFORMED_COMMAND' }),
  )
  expect(move('bolts', -3)).toEqual({ done: true, stock: 0 })
  expect(ask(inventory, '')).toBe('0')
})

describe('SQL', () => {
  let dir: string
  let machine: SqliteMachine
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'anchorage-questions-'))
    machine = sqliteMachine({
      path: join(dir, 'state'),
      schema: 'CREATE TABLE account (id TEXT PRIMARY KEY, cents INTEGER, seal BLOB) STRICT, WITHOUT ROWID',
      bigints: true,
      apply(db, command) {
        const { id, cents } = JSON.parse(Buffer.from(command).toString())
        db.run('INSERT INTO account VALUES (?, ?, ?)', id, BigInt(cents), Buffer.of(1, 255))
      },
    })
    machine.apply(Buffer.from('{"id": "ann", "cents": "5"}'), CONTEXT)
    machine.apply(Buffer.from('{"id": "bob", "cents": "9007199254740993"}'), CONTEXT)
    machine.durable.commit(undefined)
  })
  afterEach(() => {
    machine.close()
    rmSync(dir, { recursive: true })
  })

  test('rows come as JSON, each on a line', () => {
    expect(ask(machine, 'SELECT * FROM account ORDER BY id')).toBe(
      '{"id":"ann","cents":5,"seal":"01ff"}\n{"id":"bob","cents":"9007199254740993","seal":"01ff"}',
    )
    expect(ask(machine, 'SELECT count(*) AS n FROM account;')).toBe('{"n":2}')
    expect(ask(machine, "SELECT * FROM account WHERE id = 'eve'")).toBeUndefined()
  })

  test.each([
    [''],
    ['SELECT * FROM other'],
    ["INSERT INTO account VALUES ('eve', 1, NULL)"],
    ['DELETE FROM account'],
    ["ATTACH DATABASE 'other.db' AS other"],
    ['PRAGMA journal_mode = DELETE'],
    ['WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n'],
    ['SELECT note FROM anchorage_state'],
  ])('%j is no question, and changes nothing', (sql) => {
    expect(() => ask(machine, sql)).toThrow(MALFORMED)
    expect(ask(machine, 'SELECT count(*) AS n FROM account')).toBe('{"n":2}')
  })
})
