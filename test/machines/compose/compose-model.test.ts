import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Refusal } from '../../../src/machine/errors.ts'
import { compose } from '../../../src/machines/compose/compose.ts'
import { BatchRefused } from '../../../src/machines/compose/errors.ts'
import type { PartCommand } from '../../../src/machines/compose/part-command.ts'
import { ReplicatedList } from '../../../src/machines/list/replicated-list.ts'
import { ReplicatedMap } from '../../../src/machines/map/replicated-map.ts'
import { at, install, itemsNow } from './attached-composition.ts'

const newState = () =>
  compose({
    users: new ReplicatedMap<string, string>(),
    inner: compose({ names: new ReplicatedMap<string, string>(), order: new ReplicatedList<string>() }),
    jobs: new ReplicatedList<string>(),
  })
type State = ReturnType<typeof newState>

/** A plain map of values and deadlines, and a plain array: what each part holds. */
interface Model {
  readonly users: Map<string, [string, number]>
  readonly names: Map<string, [string, number]>
  readonly order: string[]
  readonly jobs: string[]
}

const newModel = (): Model => ({ users: new Map(), names: new Map(), order: [], jobs: [] })

function copied({ users, names, order, jobs }: Model): Model {
  return { users: new Map(users), names: new Map(names), order: [...order], jobs: [...jobs] }
}

const REFUSED = Symbol('refused')

/** One command for one part, and what it does to the model: `REFUSED` if it cannot be obeyed. */
interface Step {
  command(state: State): PartCommand
  apply(model: Model, timeMs: number): unknown
}

const keys = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'ü', '')
const values = fc.oneof(fc.constantFrom('x', 'y'), fc.constant('long '.repeat(300)))
const indexes = fc.nat(6)

type MapName = 'users' | 'names'
type ListName = 'jobs' | 'order'
const mapOf = (state: State, name: MapName) =>
  name === 'users' ? state.commands.users : state.commands.inner.names
const listOf = (state: State, name: ListName) =>
  name === 'jobs' ? state.commands.jobs : state.commands.inner.order

function living(map: Map<string, [string, number]>, timeMs: number): Map<string, [string, number]> {
  for (const [key, [, deadlineMs]] of map) if (deadlineMs <= timeMs) map.delete(key)
  return map
}

const maps = fc.constantFrom<MapName>('users', 'names')
const lists = fc.constantFrom<ListName>('jobs', 'order')

const set: fc.Arbitrary<Step> = fc
  .record({ name: maps, key: keys, value: values, ttlMs: fc.option(fc.integer({ min: 1, max: 40 })) })
  .map(({ name, key, value, ttlMs }) => ({
    command: (state) => mapOf(state, name).set(key, value, { ttlMs: ttlMs ?? undefined }),
    apply(model, timeMs) {
      const map = living(model[name], timeMs)
      const replaced = map.has(key)
      map.set(key, [value, ttlMs === null ? Number.POSITIVE_INFINITY : timeMs + ttlMs])
      return { replaced }
    },
  }))

const remove: fc.Arbitrary<Step> = fc.record({ name: maps, key: keys }).map(({ name, key }) => ({
  command: (state) => mapOf(state, name).delete(key),
  apply: (model, timeMs) => living(model[name], timeMs).delete(key),
}))

const persist: fc.Arbitrary<Step> = fc.record({ name: maps, key: keys }).map(({ name, key }) => ({
  command: (state) => mapOf(state, name).persist(key),
  apply(model, timeMs) {
    const held = living(model[name], timeMs).get(key)
    if (held === undefined || held[1] === Number.POSITIVE_INFINITY) return false
    model[name].set(key, [held[0], Number.POSITIVE_INFINITY])
    return true
  },
}))

const clear: fc.Arbitrary<Step> = maps.map((name) => ({
  command: (state) => mapOf(state, name).clear(),
  apply(model, timeMs) {
    const { size } = living(model[name], timeMs)
    model[name].clear()
    return size
  },
}))

const push: fc.Arbitrary<Step> = fc.record({ name: lists, value: values }).map(({ name, value }) => ({
  command: (state) => listOf(state, name).push(value),
  apply: (model) => model[name].push(value),
}))

const insert: fc.Arbitrary<Step> = fc
  .record({ name: lists, index: indexes, value: values })
  .map(({ name, index, value }) => ({
    command: (state) => listOf(state, name).insert(index, value),
    apply(model) {
      if (index > model[name].length) return REFUSED
      model[name].splice(index, 0, value)
      return model[name].length
    },
  }))

const setAt: fc.Arbitrary<Step> = fc
  .record({ name: lists, index: indexes, value: values })
  .map(({ name, index, value }) => ({
    command: (state) => listOf(state, name).set(index, value),
    apply(model) {
      if (index >= model[name].length) return REFUSED
      return { value: model[name].splice(index, 1, value)[0] }
    },
  }))

const truncate: fc.Arbitrary<Step> = fc.record({ name: lists, length: indexes }).map(({ name, length }) => ({
  command: (state) => listOf(state, name).truncate(length),
  apply: (model) => model[name].splice(length).length,
}))

const step = fc.oneof(
  { weight: 8, arbitrary: set },
  { weight: 4, arbitrary: remove },
  { weight: 3, arbitrary: persist },
  { weight: 1, arbitrary: clear },
  { weight: 6, arbitrary: push },
  { weight: 4, arbitrary: insert },
  { weight: 4, arbitrary: setAt },
  { weight: 1, arbitrary: truncate },
)

/** Some commands as one, and how much time has passed before. */
interface Round {
  readonly steps: readonly Step[]
  readonly isOne: boolean
  readonly byMs: number
}

const rounds: fc.Arbitrary<Round[]> = fc.array(
  fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 8 }),
    isOne: fc.integer({ min: 0, max: 3 }).map((n) => n > 0),
    byMs: fc.oneof(fc.constant(0), fc.nat(15)),
  }),
  { maxLength: 40, size: 'max' },
)

/** What applying a round must give. The model is changed unless the round is refused. */
function expectedOf(model: Model, round: Round, timeMs: number): { results: unknown[]; refused?: number } {
  const trial = copied(model)
  const results: unknown[] = []
  for (const [i, one] of round.steps.entries()) {
    const result = one.apply(trial, timeMs)
    if (result === REFUSED) return { results: [], refused: i }
    results.push(result)
  }
  for (const name of ['users', 'names'] as const) {
    model[name].clear()
    for (const [key, value] of trial[name]) model[name].set(key, value)
  }
  for (const name of ['jobs', 'order'] as const)
    model[name].splice(0, Number.POSITIVE_INFINITY, ...trial[name])
  return { results }
}

function contentsOf(state: State): unknown {
  const held = (map: ReplicatedMap<string, string>) =>
    Array.from(map, ([key, value]) => [key, value, map.ttl(key)])
  const { users, jobs, inner } = state
  return [held(users), users.size, held(inner.names), inner.names.size, [...inner.order], [...jobs]]
}

function contentsOfModel(model: Model, timeMs: number): unknown {
  const held = (map: Map<string, [string, number]>) =>
    [...living(map, timeMs)]
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .map(([key, [value, deadlineMs]]) => [key, value, deadlineMs - timeMs])
  const { users, names, order, jobs } = model
  return [held(users), users.size, held(names), names.size, order, jobs]
}

/** A copy of what events said, as text. */
function listen(state: State, told: string[]): void {
  const machines = {
    users: state.users,
    jobs: state.jobs,
    names: state.inner.names,
    order: state.inner.order,
  }
  for (const [name, machine] of Object.entries(machines))
    machine.addEventListener('change', ({ detail }: CustomEvent<{ readonly type: string }>) => {
      if (detail.type !== 'expire') told.push(`${name} ${JSON.stringify(detail)}`)
    })
}

test('commands of several parts are applied as the model applies them, or not at all', () => {
  fc.assert(
    fc.property(rounds, (run) => {
      const [state, witness] = [newState(), newState()]
      const joiners: State[] = []
      const model = newModel()
      const told: string[] = []
      listen(state, told)
      let timeMs = 0
      for (const [nth, round] of run.entries()) {
        timeMs += round.byMs
        for (const one of round.isOne ? [round] : round.steps.map((only) => ({ ...round, steps: [only] }))) {
          const expected = expectedOf(model, one, timeMs)
          const before = told.length
          for (const each of [state, witness, ...joiners]) {
            const result = each.apply(each.encodeAll(one.steps.map((s) => s.command(each))), at(timeMs, each))
            if (expected.refused === undefined) expect(result).toEqual(expected.results)
            else {
              expect(result).toBeInstanceOf(BatchRefused)
              expect((result as BatchRefused).at).toBe(expected.refused)
              expect((result as BatchRefused).cause).toBeInstanceOf(Refusal)
              expect(told.length).toBe(before)
            }
          }
        }
        for (const each of [state, witness, ...joiners])
          expect(contentsOf(each)).toEqual(contentsOfModel(model, timeMs))
        const items = itemsNow(state)
        for (const each of [witness, ...joiners]) expect(itemsNow(each)).toEqual(items)
        if (nth % 8 === 3) {
          const joiner = newState()
          joiner.advance(timeMs)
          install(joiner, items)
          joiners.push(joiner)
        }
      }
    }),
    { numRuns: 150 },
  )
})
