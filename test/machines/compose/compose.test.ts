import { describe, expect, expectTypeOf, test } from 'vitest'
import type { Refusal } from '../../../src/machine/errors.ts'
import { Items } from '../../../src/machine/items.ts'
import {
  type Installation,
  MalformedCommand,
  type Snapshot,
  type StateMachine,
  type Written,
} from '../../../src/machine/machine.ts'
import { type Run, singleRuns } from '../../../src/machine/run.ts'
import { type Composition, compose } from '../../../src/machines/compose/compose.ts'
import { ComposedMachine } from '../../../src/machines/compose/composed-machine.ts'
import { BatchRefused, NotTransactional } from '../../../src/machines/compose/errors.ts'
import { PartCommand } from '../../../src/machines/compose/part-command.ts'
import { IndexOutOfRange } from '../../../src/machines/list/errors.ts'
import { ReplicatedList } from '../../../src/machines/list/replicated-list.ts'
import { ReplicatedMap } from '../../../src/machines/map/replicated-map.ts'
import { Counters } from '../../../src/testing/simulation/workloads/counters.ts'
import { at, attach, install, itemsNow } from './attached-composition.ts'

const named = (name: string) => expect.objectContaining({ name })
const newMap = (name?: string) => new ReplicatedMap<string, number>(name === undefined ? {} : { name })
const newState = () => compose({ users: newMap(), jobs: new ReplicatedList<string>() })
const counted = (name: string) => Buffer.from(name)

/** As a program without types gives parts. */
const loosely = (parts: object) => new ComposedMachine(parts as Record<string, StateMachine>)

/** What the machines told, in order. */
function listen(machines: Record<string, ReplicatedMap<string, number> | ReplicatedList<string>>): string[] {
  const told: string[] = []
  for (const [name, machine] of Object.entries(machines)) {
    const tell = (event: CustomEvent) => told.push(`${name} ${event.type}`)
    machine.addEventListener('change', tell)
    machine.addEventListener('reset', tell)
  }
  return told
}

describe('the parts', () => {
  test('are the very machines that were given, and are used as if each were alone', async () => {
    const users = newMap()
    const jobs = new ReplicatedList<string>()
    const state = attach(compose({ users, jobs }))
    expect([state.users, state.jobs]).toEqual([users, jobs])
    expect(state.parts).toEqual({ users, jobs })
    const told = listen({ users, jobs })
    expect((await state.users.set('a', 1)).result).toEqual({ replaced: false })
    expect((await state.jobs.push('x')).result).toBe(1)
    expect([users.get('a'), jobs.at(0)]).toEqual([1, 'x'])
    await expect(state.jobs.set(1, 'y')).rejects.toEqual(named('IndexOutOfRange'))
    expect(told).toEqual(['users change', 'jobs change'])
  })

  test('die by one clock', async () => {
    const state = compose({ first: newMap(), second: newMap('2'), counters: new Counters() })
    const set = (ttlMs: number) => newMap().commands.set('a', 1, { ttlMs })
    expect(state.dueMs).toBeUndefined()
    state.apply(Uint8Array.of(2, ...set(100)), at(1_000, state))
    state.apply(Uint8Array.of(3, ...set(50)), at(1_000, state))
    expect(state.dueMs).toBeLessThanOrEqual(1_050)
    expect(state.dueMs).toBe(state.second.dueMs)
    state.apply(Uint8Array.of(1, 65), at(1_050, state))
    expect([state.first.has('a'), state.second.has('a')]).toEqual([true, false])
    state.advance(1_100)
    expect(state.first.has('a')).toBe(false)
  })

  test('cannot be written or composed again before and after they are attached', async () => {
    const state = newState()
    await expect(state.submitAll([])).rejects.toEqual(named('NotAttached'))
    await expect(state.users.set('a', 1)).rejects.toEqual(named('NotAttached'))
    attach(state)
    expect(() => attach(state)).toThrow(named('AlreadyAttached'))
    expect(() => attach(compose({ users: state.users }))).toThrow(named('AlreadyAttached'))
  })

  test.each<[what: string, make: () => unknown, message: RegExp]>([
    ['no part', () => compose({}), /no parts/],
    ['a name that is no identifier', () => compose({ 'a-b': newMap() }), /"a-b" is no name/],
    ['an empty name', () => compose({ '': newMap() }), /"" is no name/],
    ['a name of its own', () => loosely({ apply: newMap() }), /named apply/],
    ['a name of every object', () => loosely({ toString: newMap() }), /named toString/],
    ['a name of promises', () => loosely(Object.fromEntries([['then', newMap()]])), /named then/],
    ['what is no machine', () => loosely({ a: {} }), /a is no machine/],
    [
      'one machine twice',
      () => {
        const map = newMap()
        return compose({ a: map, b: map })
      },
      /a and b are the same machine/,
    ],
    [
      'one machine twice, the second time inside',
      () => {
        const map = newMap()
        return compose({ a: map, b: compose({ c: compose({ d: map }) }) })
      },
      /a and b\.c\.d are the same machine/,
    ],
    [
      'a machine that is on the disk',
      () => loosely({ a: Object.assign(new Counters(), { durable: {} }) }),
      /a keeps its state on the disk/,
    ],
  ])('%s is refused', (_what, make, message) => {
    expect(make).toThrow(
      expect.objectContaining({ name: 'BadComposition', message: expect.stringMatching(message) }),
    )
  })
})

describe('the signature', () => {
  test('has all names and signatures, whatever the order of the parts', () => {
    const { signature } = compose({ b: newMap('x;y'), a: new Counters() })
    expect(signature).toBe('compose/1;a:10:counters/1;b:38:map/2;keys=utf8;values=json;name=x%3By')
    expect(compose({ a: new Counters(), b: newMap('x;y') }).signature).toBe(signature)
  })

  test('is another one for other parts, however they are named', () => {
    const signed = (signature: string) => Object.assign(new Counters(), { signature })
    const signatures = [
      compose({ a: signed('x'), b: signed('y') }),
      compose({ a: signed('y'), b: signed('x') }),
      compose({ a: signed('x;b:1:y') }),
      compose({ a: signed('x'), b: signed('y;') }),
      compose({ a: signed('x'), c: signed('y') }),
      compose({ a: compose({ a: signed('x'), b: signed('y') }) }),
      compose({ a: compose({ a: signed('x') }), b: signed('y') }),
    ].map(({ signature }) => signature)
    expect(new Set(signatures).size).toBe(signatures.length)
  })

  test('is a hash if it would be too long', () => {
    const many = (last: string) =>
      compose(
        Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`part${n}`, newMap(n < 39 ? 'x' : last)])),
      ).signature
    expect(many('x')).toMatch(/^compose\/1;sha256=[0-9a-f]{64}$/)
    expect(many('x')).toBe(many('x'))
    expect(many('x')).not.toBe(many('y'))
  })
})

describe('several commands as one', () => {
  test('give the result of each, with its type', async () => {
    const state = attach(newState())
    const { users, jobs } = state.commands
    const written = await state.submitAll([users.set('a', 1), jobs.push('x'), users.delete('a'), jobs.pop()])
    expectTypeOf(written).toEqualTypeOf<
      Written<[{ readonly replaced: boolean }, number, boolean, { readonly value: string } | undefined]>
    >()
    expect(written.result).toEqual([{ replaced: false }, 1, true, { value: 'x' }])
    expect([state.users.size, state.jobs.length]).toEqual([0, 0])
  })

  test('can be none, or a list of any length', async () => {
    const state = attach(newState())
    expect((await state.submitAll([])).result).toEqual([])
    const sets = Array.from({ length: 200 }, (_, n) => state.commands.users.set(`key ${n}`, n))
    const { result } = await state.submitAll(sets)
    expectTypeOf(result).toEqualTypeOf<{ readonly replaced: boolean }[] | undefined>()
    expect(result?.length).toBe(200)
    expect(state.users.size).toBe(200)
  })

  test('tell their changes when all of them are there', async () => {
    const state = attach(newState())
    const seen: unknown[] = []
    state.users.addEventListener('change', () => seen.push([state.users.size, state.jobs.length]))
    state.jobs.addEventListener('change', () => seen.push([state.users.size, state.jobs.length]))
    const { users, jobs } = state.commands
    await state.submitAll([users.set('a', 1), jobs.push('x'), users.set('b', 2)])
    expect(seen).toEqual([
      [2, 1],
      [2, 1],
      [2, 1],
    ])
  })

  test('are refused as a whole, and the writer learns which one it was', async () => {
    const state = attach(newState())
    const { users, jobs } = state.commands
    await state.submitAll([users.set('a', 1), users.set('b', 2, { ttlMs: 50 }), jobs.push('x')])
    const before = itemsNow(state)
    const told = listen({ users: state.users, jobs: state.jobs })
    const refused = state.submitAll([
      users.clear(),
      users.set('c', 3),
      jobs.set(0, 'y'),
      jobs.set(1, 'z'),
      jobs.pop(),
    ])
    await expect(refused).rejects.toEqual(named('BatchRefused'))
    await expect(refused).rejects.toMatchObject({
      code: 'BATCH_REFUSED',
      at: 3,
      part: 'jobs',
      cause: new IndexOutOfRange(1, 1),
      message: expect.stringContaining('command 3, for jobs, was refused'),
    })
    expect([itemsNow(state), told]).toEqual([before, []])
    state.apply(Uint8Array.of(1, ...state.jobs.commands.push('y')), at(50, state))
    expect([state.users.has('a'), state.users.has('b')]).toEqual([true, false])
  })

  test('are refused as a whole if one is malformed', () => {
    const state = newState()
    const { users, jobs } = state.commands
    const commands = [users.set('a', 1), new PartCommand(state.jobs, Uint8Array.of(99)), jobs.push('x')]
    const before = itemsNow(state)
    const result = state.apply(state.encodeAll(commands), at(0, state))
    expect(result).toMatchObject({
      name: 'BatchRefused',
      at: 1,
      part: 'jobs',
      cause: named('MalformedCommand'),
    })
    expect(itemsNow(state)).toEqual(before)
  })

  test('are undone, and the replica is told, if a machine throws', () => {
    class Broken extends Counters {
      readonly transaction = { begin() {}, commit() {}, rollback() {} }
      override apply(): never {
        throw new Error('it broke')
      }
    }
    const state = compose({ users: newMap(), broken: new Broken() })
    const before = itemsNow(state)
    const commands = [state.commands.users.set('a', 1), new PartCommand(state.broken, counted('a'))]
    expect(() => state.apply(state.encodeAll(commands), at(0, state))).toThrow('it broke')
    expect(itemsNow(state)).toEqual(before)
    expect(state.apply(state.encodeAll(commands.slice(0, 1)), at(0, state))).toEqual([{ replaced: false }])
  })

  test('cannot be for another machine', async () => {
    const state = attach(newState())
    const other = newState()
    const commands = [state.commands.users.set('a', 1), other.commands.users.set('a', 1)]
    await expect(state.submitAll(commands)).rejects.toMatchObject({ name: 'UnknownPart', at: 1 })
    expect(state.users.size).toBe(0)
  })

  test('cannot be for a machine that cannot undo them: the writer is told, and so is the log', async () => {
    const state = attach(compose({ users: newMap(), inner: compose({ counters: new Counters() }) }))
    const { users } = state.commands
    const count = new PartCommand(state.inner.counters, counted('a'))
    await expect(state.submitAll([users.set('a', 1), count])).rejects.toMatchObject({
      name: 'NotTransactional',
      part: 'inner.counters',
    })
    // Another program may append what this one refuses to.
    const set = users.set('a', 1).command
    const result = state.apply(
      Uint8Array.of(0, set.length + 1, 2, ...set, 3, 1, 1, ...counted('a')),
      at(0, state),
    )
    expect(result).toBeInstanceOf(BatchRefused)
    expect((result as BatchRefused).cause).toBeInstanceOf(NotTransactional)
    expect(state.users.size).toBe(0)
    expect(state.apply(Uint8Array.of(1, 1, ...counted('a')), at(0, state))).toBe(1)
  })

  test('can be for parts of a part, and stay one in it', async () => {
    const state = attach(compose({ inner: newState(), names: newMap('names') }))
    const { inner, names } = state.commands
    expect((await state.inner.users.set('a', 1)).result).toEqual({ replaced: false })
    const { result } = await state.submitAll([names.set('a', 1), inner.jobs.push('x')])
    expectTypeOf(result).toEqualTypeOf<[{ readonly replaced: boolean }, number] | undefined>()
    expect(result).toEqual([{ replaced: false }, 1])
    expect((await state.inner.submitAll([inner.users.delete('a'), inner.jobs.push('y')])).result).toEqual([
      true,
      2,
    ])
    const before = itemsNow(state)
    const refused = state.submitAll([names.clear(), inner.users.set('b', 1), inner.jobs.delete(7)])
    await expect(refused).rejects.toMatchObject({
      at: 2,
      part: 'inner.jobs',
      cause: named('IndexOutOfRange'),
    })
    await expect(state.inner.submitAll([inner.jobs.clear(), inner.jobs.delete(0)])).rejects.toMatchObject({
      at: 1,
      part: 'jobs',
    })
    // Several commands of the inner one, among several of the outer one.
    const several = new PartCommand(
      state.inner,
      state.inner.encodeAll([inner.jobs.clear(), inner.jobs.delete(0)]),
    )
    await expect(state.submitAll([names.clear(), several])).rejects.toMatchObject({
      at: 1,
      part: 'inner',
      cause: { name: 'BatchRefused', at: 1, part: 'jobs' },
    })
    expect(itemsNow(state)).toEqual(before)
  })

  test('that the types forbid are no commands of a part', () => {
    const state = compose({ users: newMap(), counters: new Counters() })
    expectTypeOf(state.commands).toHaveProperty('users')
    expectTypeOf(state.commands).not.toHaveProperty('counters')
    expect(Object.keys(state.commands)).toEqual(['users'])
    expectTypeOf(new PartCommand(state.counters, counted('a'))).toEqualTypeOf<PartCommand<number>>()
    expectTypeOf<typeof state>().toExtend<StateMachine>()
    // @ts-expect-error: the value is no number
    state.commands.users.set('a', 'b')
    // @ts-expect-error: a part cannot have a name of the composition's own
    expect(() => compose({ capture: newMap() })).toThrow()
  })
})

test.each<[what: string, bytes: readonly number[]]>([
  ['nothing', []],
  ['a part that is not there', [3, 1]],
  ['several, one for a part that is not there', [0, 2, 3, 1]],
  ['several inside several', [0, 2, 0, 0]],
  ['several, the last one cut off', [0, 2, 1]],
  ['several, one without a part', [0, 0]],
])('%s is no command', (_what, bytes) => {
  const state = newState()
  expect(() => state.apply(Uint8Array.from(bytes), at(0, state))).toThrow(MalformedCommand)
})

describe('a snapshot', () => {
  const filled = () => {
    const state = attach(
      compose({ users: newMap(), jobs: new ReplicatedList<string>(), counters: new Counters() }),
    )
    for (let n = 0; n < 7; n++)
      state.apply(Uint8Array.of(3, ...state.users.commands.set(`user ${n}`, n)), at(0, state))
    for (let n = 0; n < 5; n++)
      state.apply(Uint8Array.of(2, ...state.jobs.commands.push(`job ${n}`)), at(0, state))
    for (let n = 0; n < 3; n++) state.apply(Uint8Array.of(1, ...counted(`counter ${n}`)), at(0, state))
    return state
  }

  test('has a header, and then the items of each part', () => {
    const state = filled()
    const items = itemsNow(state)
    expect(items).toEqual([
      '030507',
      ...itemsNow(state.counters),
      ...itemsNow(state.jobs),
      ...itemsNow(state.users),
    ])
    const snapshot = state.capture()
    expect(snapshot.size).toBe(16)
    snapshot.release()
    snapshot.release()
    expect(() => snapshot.items()).toThrow(named('SnapshotReleased'))
  })

  test.each([1, 2, 3, 16])('is installed in pieces of %i items, in all parts at once', (step) => {
    const items = itemsNow(filled())
    const state = compose({ users: newMap(), jobs: new ReplicatedList<string>(), counters: new Counters() })
    const seen: unknown[] = []
    for (const machine of [state.users, state.jobs])
      machine.addEventListener('reset', () => seen.push([state.users.size, state.jobs.length]))
    install(state, items, step)
    expect(itemsNow(state)).toEqual(items)
    expect(seen).toEqual([
      [7, 5],
      [7, 5],
    ])
  })

  test.each<[what: string, alter: (items: string[]) => string[], message: RegExp]>([
    ['without items', () => [], /no header/],
    ['with a header that is too short', ([, ...items]) => ['0305', ...items], /too early/],
    ['with a header that is too long', ([, ...items]) => ['03050700', ...items], /follow its end/],
    ['with an item too few', (items) => items.slice(0, -1), /1 items of the part users are missing/],
    ['with the first part alone', (items) => items.slice(0, 4), /5 items of the part jobs are missing/],
    ['with an item too many', (items) => [...items, items.at(-1)!], /follows those of all parts/],
    ['with a header that gives a part those of another', ([, ...items]) => ['030408', ...items], /./],
  ])('%s is refused, and nothing is changed', async (_what, alter, message) => {
    const source = filled()
    const malformed = expect.objectContaining({
      name: 'MalformedItem',
      message: expect.stringMatching(message),
    })
    const state = newFilled()
    const before = itemsNow(state)
    expect(() => install(state, alter(itemsNow(source)))).toThrow(malformed)
    expect(itemsNow(state)).toEqual(before)
  })

  const newFilled = () => {
    const state = compose({ users: newMap(), jobs: new ReplicatedList<string>(), counters: new Counters() })
    state.apply(Uint8Array.of(3, ...state.users.commands.set('me', 1)), at(0, state))
    return state
  }

  test('that is incomplete fails before it is committed', async () => {
    const installation = newFilled().install()
    await expect(installation.finish?.()).rejects.toEqual(named('MalformedItem'))
  })

  test('of parts that are not packed has no runs', () => {
    const state = compose({ counters: new Counters(), more: new Counters() })
    expect('runs' in state.capture()).toBe(false)
    expect(itemsNow(state)).toEqual(['0000'])
  })

  test('is in runs as it is in items, also of a part that is not packed', () => {
    const state = compose({ a: new ReplicatedList<string>(), b: newMap(), c: new Counters() })
    for (let n = 0; n < 500; n++) {
      state.apply(Uint8Array.of(3, ...counted(`counter ${n} ${'x'.repeat(n % 200)}`)), at(0, state))
      state.apply(Uint8Array.of(2, ...state.b.commands.set(`user ${n}`, n)), at(0, state))
    }
    const snapshot = state.capture()
    expect(itemsIn([...singleRuns(snapshot.runs!())])).toEqual(itemsNow(state))
    snapshot.release()
    expect(() => snapshot.runs!()).toThrow(named('SnapshotReleased'))
  })

  test('of packed parts is in runs as it is in items', () => {
    const state = newState()
    for (let n = 0; n < 500; n++) {
      state.apply(
        Uint8Array.of(2, ...state.users.commands.set(`user ${n}`, n, { ttlMs: 100 + n })),
        at(0, state),
      )
      state.apply(Uint8Array.of(1, ...state.jobs.commands.push(`job ${n}`)), at(0, state))
    }
    state.advance(200)
    const snapshot = state.capture()
    const runs = [...singleRuns(snapshot.runs!())]
    expect(itemsIn(runs)).toEqual(itemsNow(state))
    expect(new Set(runs.map(({ version }) => version)).size).toBe(runs.length)
    snapshot.release()
    // As long as each part has as many items, the header is the same run.
    state.apply(Uint8Array.of(1, ...state.jobs.commands.set(499, 'another')), at(200, state))
    const later = [...state.capture().runs!()]
    expect(later[0]).toBe(runs[0])
    state.apply(Uint8Array.of(1, ...state.jobs.commands.push('one more')), at(200, state))
    expect([...state.capture().runs!()][0]!.version).not.toBe(runs[0]!.version)
  })

  test('of a part that miscounts, or does not count, is refused where it is made', () => {
    const sized = (size: number | undefined) =>
      compose({
        a: Object.assign(new Counters(), {
          capture: (): Snapshot => ({ size, items: () => [counted('x')], release() {} }),
        }),
      })
    expect(() => sized(undefined).capture()).toThrow(named('BadComposition'))
    expect(() => itemsNow(sized(2))).toThrow(/said that it has 2 items, and gave 1/)
    expect(itemsNow(sized(1))).toHaveLength(2)
  })

  test('is released, and an installation abandoned, in each part', async () => {
    const calls: string[] = []
    const watched = (name: string) =>
      Object.assign(new Counters(), {
        capture: (): Snapshot => ({ size: 0, items: () => [], release: () => calls.push(`release ${name}`) }),
        install: (): Installation => ({
          add() {},
          finish: async () => {
            calls.push(`finish ${name}`)
          },
          commit: () => calls.push(`commit ${name}`),
          abandon: () => calls.push(`abandon ${name}`),
        }),
      })
    const state = compose({ a: watched('a'), b: watched('b') })
    state.capture().release()
    const installation = state.install()
    installation.add(Items.of(Uint8Array.of(0, 0)))
    await installation.finish?.()
    installation.commit()
    installation.abandon?.()
    const words = ['release', 'finish', 'commit', 'abandon']
    expect(calls).toEqual(words.flatMap((word) => [`${word} a`, `${word} b`]))
  })

  test('of which a part cannot be captured leaves none of the others captured', () => {
    let released = 0
    const a = Object.assign(new Counters(), {
      capture: (): Snapshot => ({ size: 0, items: () => [], release: () => released++ }),
    })
    const b = Object.assign(new Counters(), {
      capture: (): Snapshot => {
        throw new Error('not now')
      },
    })
    expect(() => compose({ a, b }).capture()).toThrow('not now')
    expect(released).toBe(1)
  })
})

/** The items of runs, as hexadecimal digits. */
function itemsIn(runs: readonly Run[]): string[] {
  return runs.flatMap(({ bytes, start, end }) => {
    const items: string[] = []
    for (let from = start; from < end; ) {
      let length = 0
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[from++]!
        length += (byte & 0x7f) * scale
        if (byte < 0x80) break
      }
      items.push(Buffer.from(bytes.subarray(from, from + length)).toString('hex'))
      from += length
    }
    return items
  })
}

test('results have no refusal among their types', () => {
  const command = {} as PartCommand<number | Refusal>
  type State = Composition<{ readonly users: ReplicatedMap<string, number> }>
  expectTypeOf<State['submitAll']>().parameter(0).toExtend<readonly PartCommand[]>()
  const submit = async (state: State) => await state.submitAll([command])
  expectTypeOf(submit).returns.resolves.toEqualTypeOf<Written<[number]>>()
})
