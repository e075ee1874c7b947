import { expect, test } from 'vitest'
import { accountsMachine, encode as encodeAccount } from '../../docs/examples/accounts.ts'
import { encode, Tally } from '../../docs/examples/tally.ts'
import { MalformedCommand, type StateMachine } from '../../src/machine/machine.ts'
import { compose } from '../../src/machines/compose/compose.ts'
import { ReplicatedList } from '../../src/machines/list/replicated-list.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { ReplicatedOnce } from '../../src/machines/once/replicated-once.ts'
import { ReplicatedPriorityQueue } from '../../src/machines/queue/replicated-priority-queue.ts'
import { ReplicatedRegister } from '../../src/machines/register/replicated-register.ts'
import { ReplicatedSet } from '../../src/machines/set/replicated-set.ts'
import { checkMachine, type TimedCommand } from '../../src/testing/index.ts'
import { SqliteMachines } from '../machines/sqlite-machines.ts'
import {
  commandsOf,
  composedCommand,
  listCommand,
  mapCommand,
  queueCommand,
  registerCommand,
  setCommand,
} from './own-commands.ts'

const newMap = () => new ReplicatedMap<string, unknown>()
const newSet = () => new ReplicatedSet<string>()
const newList = () => new ReplicatedList<string>()
const newQueue = () => new ReplicatedPriorityQueue<number, string, unknown>()
const newRegister = () => new ReplicatedRegister<unknown>()
const newOnce = () => new ReplicatedOnce<unknown>()
const newComposed = () => compose({ a: newMap(), b: newList(), c: newSet(), d: newRegister() })

const composed = composedCommand([
  mapCommand(newMap().commands),
  listCommand(newList().commands),
  setCommand(newSet().commands),
  registerCommand(newRegister().commands),
])

const MACHINES: readonly {
  readonly name: string
  readonly factory: () => StateMachine
  readonly commands: readonly (Uint8Array | TimedCommand)[]
}[] = [
  { name: 'a map', factory: newMap, commands: commandsOf(300, mapCommand(newMap().commands)) },
  { name: 'a set', factory: newSet, commands: commandsOf(300, setCommand(newSet().commands)) },
  { name: 'a list', factory: newList, commands: commandsOf(300, listCommand(newList().commands)) },
  { name: 'a queue', factory: newQueue, commands: commandsOf(300, queueCommand(newQueue().commands)) },
  {
    name: 'a register',
    factory: newRegister,
    commands: commandsOf(100, registerCommand(newRegister().commands)),
  },
  {
    name: 'what is set once',
    factory: newOnce,
    commands: commandsOf(20, (chance) => newOnce().commands.set({ n: chance.integer(0, 9) })),
  },
  { name: 'a composition', factory: newComposed, commands: commandsOf(200, composed) },
  {
    name: 'the tally of the documents',
    factory: () => new Tally(),
    commands: commandsOf(100, (chance) => encode([`name ${chance.integer(0, 20)}`, chance.integer(-9, 9)])),
  },
]

/** Some of them are none, of one machine or another. */
const QUESTIONS = ['', 'key-1', 'a:key-1', 'b:0', '0', '-', 'd:', '?'].map((text) => Buffer.from(text))

test.each(MACHINES)('$name passes', async ({ factory, commands }) => {
  const report = await checkMachine(factory, commands, { questions: QUESTIONS })
  expect(report).toMatchObject({ commands: commands.length, malformed: 0 })
  expect([report.itemsMost > 0, report.mutants.malformed > 50]).toEqual([true, true])
})

test('tables in SQLite pass', async () => {
  using machines = new SqliteMachines()
  const upsert = 'INSERT INTO word VALUES (?, ?) ON CONFLICT DO UPDATE SET n = excluded.n RETURNING n'
  const factory = () =>
    machines.make('CREATE TABLE word (text TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID', {
      apply: (db, command) => db.all(upsert, ...wordIn(command)),
    })
  const commands = commandsOf(40, (chance) =>
    Buffer.from(`${chance.integer(0, 99)} word ${chance.integer(0, 20)}`),
  )
  const report = await checkMachine(factory, commands, { places: 8 })
  expect(report).toMatchObject({ commands: 40, malformed: 0 })
  expect([report.items > 5, report.mutants.malformed > 50]).toEqual([true, true])
})

test('the accounts of the documents pass', async () => {
  using machines = new SqliteMachines()
  const commands = Array.from({ length: 40 }, (_, n) =>
    encodeAccount(
      n < 6
        ? { type: 'open', id: `id-${n}`, cents: 100 * n }
        : { type: 'pay', from: `id-${n % 6}`, to: `id-${(n * 5) % 7}`, cents: 3 * n },
    ),
  )
  const report = await checkMachine(() => accountsMachine(machines.path()), commands, { places: 6 })
  expect([report.malformed, report.items > 10]).toEqual([0, true])
})

function wordIn(command: Uint8Array): [text: string, n: number] {
  const [, n, text] = /^(\d{1,9}) (word \d+)$/.exec(Buffer.from(command).toString()) ?? []
  if (n === undefined || text === undefined) throw new MalformedCommand('a command is a number and a word')
  return [text, Number(n)]
}
