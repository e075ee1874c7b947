import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Tally } from '../../../docs/examples/tally.ts'
import { memoryLog } from '../../../src/log/memory.ts'
import { type CommandContext, MalformedCommand } from '../../../src/machine/machine.ts'
import { compose } from '../../../src/machines/compose/compose.ts'
import { PartCommand } from '../../../src/machines/compose/part-command.ts'
import { ReplicatedList } from '../../../src/machines/list/replicated-list.ts'
import { ReplicatedMap } from '../../../src/machines/map/replicated-map.ts'
import { ReadOnlyState } from '../../../src/machines/projection/errors.ts'
import { type Projection, projection } from '../../../src/machines/projection/projection.ts'
import { sqliteMachine } from '../../../src/machines/sqlite/sqlite-machine.ts'
import { createReplica } from '../../../src/replica/start.ts'
import { checkMachine } from '../../../src/testing/check-machine.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'anchorage-projection-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

interface Order {
  readonly customer: string
  readonly amount: number
}

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

class Totals {
  readonly map = new ReplicatedMap<string, number>()
  readonly machine: Projection<Order> = projection<Order>({
    version: 'totals/1',
    state: this.map,
    on: (order) => this.#on(order),
  })

  get contents(): object {
    return Object.fromEntries(this.map)
  }

  *#on({ customer, amount }: Order) {
    yield this.map.commands.set(customer, (this.map.get(customer) ?? 0) + amount)
    if (amount < 0) throw new MalformedCommand('an order has an amount from 0')
    yield this.map.commands.set('all', (this.map.get('all') ?? 0) + amount)
  }
}

let index = 0
function contextOf({ signature }: Pick<Projection<never>, 'signature'>, more = {}): CommandContext {
  return { position: { epoch: 'e', index: ++index }, timeMs: 1_000, signature, ...more }
}

function apply<T>(machine: Projection<T>, message: Uint8Array, more?: Partial<CommandContext>) {
  return machine.apply(message, contextOf(machine as Projection<never>, more))
}

describe('a projection', () => {
  test('makes a state of messages that are no commands; each reads what the ones before it left', () => {
    const { machine, map } = new Totals()
    apply(machine, bytes({ customer: 'ada', amount: 3 }))
    const results = apply(machine, bytes({ customer: 'ada', amount: 4 }))
    expect(Object.fromEntries(map)).toEqual({ ada: 7, all: 7 })
    expect(results).toEqual([{ replaced: true }, { replaced: true }])
  })

  test.each([
    ['is no JSON', Buffer.from('{')],
    ['has another form', bytes({ client: 'ada' })],
    ['makes no sense after it has changed something', bytes({ customer: 'ada', amount: -1 })],
  ])('keeps nothing of a message that %s', (_why, message) => {
    const totals = new Totals()
    apply(totals.machine, bytes({ customer: 'ada', amount: 3 }))
    const changes: unknown[] = []
    totals.map.addEventListener('change', (event) => changes.push(event.detail))
    expect(() => apply(totals.machine, message)).toThrow(MalformedCommand)
    expect(totals.contents).toEqual({ ada: 3, all: 3 })
    expect(changes).toEqual([])
  })

  test('undoes a message of which the state refuses a command', () => {
    const list = new ReplicatedList<string>()
    const state = compose({ list, map: new ReplicatedMap<string, number>() })
    const machine = projection<number>({
      version: 'v/1',
      state,
      *on(at) {
        yield state.commands.map.set('a', at)
        yield new PartCommand(list, list.commands.insert(at, 'x'))
      },
    })
    expect(apply(machine, bytes(0))).toHaveLength(2)
    expect(apply(machine, bytes(9))).toMatchObject({ name: 'BatchRefused' })
    expect([state.map.get('a'), list.length]).toEqual([0, 1])
  })

  test('does not decode the messages that it does not want', () => {
    const map = new ReplicatedMap<string, number>()
    const machine = projection<Order>({
      version: 'v/1',
      state: map,
      wants: ({ message }) => message!.subject.startsWith('orders.'),
      *on({ customer, amount }) {
        yield map.commands.set(customer, amount)
      },
    })
    const at = (subject: string) => ({ message: { subject, headers: {} } })
    expect(apply(machine, Buffer.from('no JSON'), at('others.a'))).toEqual([])
    expect(() => apply(machine, Buffer.from('no JSON'), at('orders.a'))).toThrow(MalformedCommand)
    expect(apply(machine, bytes({ customer: 'ada', amount: 1 }), at('orders.a'))).toHaveLength(1)
    // What it throws is about the message, too.
    expect(() => apply(machine, bytes({ customer: 'ada', amount: 2 }))).toThrow(MalformedCommand)
    expect(map.get('ada')).toBe(1)
  })

  test('is told the subject, the position and the version', () => {
    const map = new ReplicatedMap<string, unknown>()
    const machine = projection<Order>({
      version: 'v/2',
      older: ['v/1'],
      state: map,
      *on({ customer }, { message, version, position }) {
        yield map.commands.set(customer, [message?.subject, version, position.epoch])
      },
    })
    expect(machine.older).toHaveLength(1)
    const message = { subject: 'orders.new', headers: {} }
    apply(machine, bytes({ customer: 'ada' }), { message })
    apply(machine, bytes({ customer: 'bob' }), { message, signature: machine.older[0]! })
    expect(map.get('ada')).toEqual(['orders.new', 'v/2', 'e'])
    expect(map.get('bob')).toEqual(['orders.new', 'v/1', 'e'])
  })

  test('an error of the state stops the replica, and changes nothing', () => {
    const map = new ReplicatedMap<string, number>()
    const machine = projection<number>({
      version: 'v/1',
      state: map,
      *on(n) {
        yield map.commands.set('a', n)
        map.apply = () => {
          throw new RangeError('a fault of the state')
        }
        yield map.commands.set('b', n)
      },
    })
    expect(() => apply(machine, bytes(1))).toThrow(RangeError)
    expect(map.size).toBe(0)
  })

  const other = new PartCommand(new Tally(), Buffer.from('["a", 1]'))
  test.each([
    ['nothing', undefined],
    ['a text', 'set'],
    ['a promise', Promise.resolve()],
    ['a command for another machine', other],
  ])('a message that becomes %s is undone and skipped, whoever wrote it', (_what, what) => {
    const [map, list] = [new ReplicatedMap<string, number>(), new ReplicatedList<number>()]
    for (const state of [map, compose({ map, list })]) {
      const machine = projection<number>({
        version: 'v/1',
        state,
        *on(n) {
          yield map.commands.set('a', n)
          yield what as PartCommand
        },
      })
      expect(() => apply(machine, bytes(1))).toThrow(MalformedCommand)
      expect(map.size).toBe(0)
    }
  })

  test('a message whose clean-up throws when the state refuses a command is undone and skipped', () => {
    const list = new ReplicatedList<number>()
    const on = (n: number) => {
      const commands = [list.commands.push(n), list.commands.delete(n)].values()
      const end = () => {
        throw new Error('not again')
      }
      return { [Symbol.iterator]: () => ({ next: () => commands.next(), return: end }) }
    }
    const machine = projection<number>({ version: 'v/1', state: list, on })
    expect(() => apply(machine, bytes(9))).toThrow(MalformedCommand)
    expect(list.length).toBe(0)
  })

  test.each([
    ['a machine that cannot undo', () => new Tally()],
    ['a composition with such a part', () => compose({ tally: new Tally(), map: new ReplicatedMap() })],
    [
      'a machine on the disk',
      () =>
        sqliteMachine({
          path: join(dir, 'x'),
          schema: 'CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT',
          apply() {},
        } as never),
    ],
  ])('refuses %s as its state', (_what, make) => {
    expect(() => projection({ version: 'v/1', state: make(), on: () => [] })).toThrow(/cannot undo|path/)
  })

  test('refuses versions that are none', () => {
    const state = new ReplicatedMap()
    for (const version of ['', 'a\nb'])
      expect(() => projection({ version, state, on: () => [] })).toThrow(RangeError)
  })

  test('keeps its contract, as checkMachine looks at it', async () => {
    const commands = Array.from({ length: 200 }, (_, n) => bytes({ customer: `c${n % 7}`, amount: n % 5 }))
    await checkMachine(() => new Totals().machine, commands)
  })
})

test('two replicas project what others publish, and the state cannot be written directly', async () => {
  const log = memoryLog({ messages: true })
  const open = async (totals: Totals) =>
    await createReplica({ group: 'totals', machine: totals.machine, log, volatile: true })
  const [one, two] = [new Totals(), new Totals()]
  await using first = await open(one)
  await first.inSync()
  for (let n = 1; n <= 100; n++)
    log.publish({ subject: 'orders' }, bytes({ customer: `c${n % 3}`, amount: n }))
  log.publish({ subject: 'orders' }, Buffer.from('nonsense'))
  await using second = await open(two)
  await Promise.all([first.barrier(), second.barrier()])
  expect(one.map.get('all')).toBe(5_050)
  expect(two.contents).toEqual(one.contents)
  await expect(one.map.set('all', 0)).rejects.toThrow(ReadOnlyState)
  const { result } = await first.submit(bytes({ customer: 'c0', amount: 1 }), { subject: 'orders' })
  expect(result).toHaveLength(2)
})
