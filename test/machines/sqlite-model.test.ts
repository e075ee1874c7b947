import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { SqliteMachine } from '../../src/machines/sqlite/sqlite-machine.ts'
import { install, itemsIn, run, SqliteMachines } from './sqlite-machines.ts'

const SCHEMA = `
  CREATE TABLE entry (key TEXT PRIMARY KEY, value INTEGER) STRICT;
  CREATE INDEX by_value ON entry (value);`

/** A plain Map, and what was committed of it with which note. */
class Model {
  entries = new Map<string, number>()
  committed = { entries: new Map<string, number>(), note: 0 }
}

interface World {
  machine: SqliteMachine<unknown>
  readonly path: string
  readonly machines: SqliteMachines
}

type Step = (world: World, model: Model) => void | Promise<void>

const key = fc.constantFrom('', 'a', 'B', 'ä', '\u{1F600}', 'a\0b', 'longer key', '0')

const set: fc.Arbitrary<Step> = fc.tuple(key, fc.integer()).map(([k, v]) => ({ machine }, model) => {
  const sql = 'INSERT INTO entry VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value'
  expect(run(machine, sql, k, v)).toBe(1)
  model.entries.set(k, v)
})
const insert: fc.Arbitrary<Step> = key.map((k) => ({ machine }, model) => {
  const result = run(machine, 'INSERT INTO entry VALUES (?, 0)', k)
  if (model.entries.has(k)) expect(result).toMatchObject({ name: 'CommandRefused' })
  else model.entries.set(k, 0)
})
const remove: fc.Arbitrary<Step> = key.map((k) => ({ machine }, model) => {
  expect(run(machine, 'DELETE FROM entry WHERE key = ?', k)).toBe(Number(model.entries.delete(k)))
})
const commit: fc.Arbitrary<Step> = fc.boolean().map((flush) => ({ machine }, model) => {
  model.committed = { entries: new Map(model.entries), note: model.committed.note + 1 }
  machine.durable.commit(Buffer.of(model.committed.note), { flush })
})
/** The process ends, however it ends, and begins again. */
const restart: fc.Arbitrary<Step> = fc.constant((world, model) => {
  world.machine.close()
  world.machine = world.machines.make(SCHEMA, { path: world.path })
  if (model.committed.note === 0) model.committed.entries.clear()
  model.entries = new Map(model.committed.entries)
  expect(world.machine.durable.note?.[0] ?? 0).toBe(model.committed.note)
})
/** It gets the state of another machine, which has these entries. */
const replace: fc.Arbitrary<Step> = fc.uniqueArray(key).map((keys) => async (world, model) => {
  const other = world.machines.make(SCHEMA)
  for (const [n, k] of keys.entries()) run(other, 'INSERT INTO entry VALUES (?, ?)', k, n)
  model.entries = new Map(keys.map((k, n) => [k, n]))
  model.committed = { entries: new Map(model.entries), note: model.committed.note + 1 }
  await install(world.machine, itemsIn(other), Buffer.of(model.committed.note))
})

test('it is a Map, through commits, ends of its process and installs', async () => {
  const steps = fc.array(fc.oneof(set, set, insert, remove, commit, commit, restart, replace), {
    maxLength: 40,
  })
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      using machines = new SqliteMachines()
      const path = machines.path()
      const world = { machines, path, machine: machines.make(SCHEMA, { path }) }
      const model = new Model()
      for (const step of taken) {
        await step(world, model)
        const rows = run(world.machine, 'SELECT key, value FROM entry ORDER BY key')
        const sorted = [...model.entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        expect(rows).toEqual(sorted.map(([k, value]) => ({ key: k, value })))
        const seen = world.machine.all('SELECT key, value FROM entry WHERE value >= -2147483648')
        expect(new Map(seen.map(({ key: k, value }) => [k, value]))).toEqual(model.committed.entries)
      }
    }),
    { numRuns: 60 },
  )
})
