import type { Written } from '../../../machine/machine.ts'
import { compose } from '../../../machines/compose/compose.ts'
import type { PartCommand } from '../../../machines/compose/part-command.ts'
import { ReplicatedList } from '../../../machines/list/replicated-list.ts'
import { ReplicatedMap } from '../../../machines/map/replicated-map.ts'
import type { Chance } from '../chance.ts'
import { ComposeModel } from '../oracle/compose-model.ts'
import { ListModel } from '../oracle/list-model.ts'
import { MapModel } from '../oracle/map-model.ts'
import type { Workload } from '../workload.ts'

/** Few, so that writers meet at the same key. */
const KEYS = 12

function newWork() {
  return compose({ jobs: new ReplicatedList<string>(), claims: new ReplicatedMap<string, string>() })
}

function newState() {
  return compose({
    users: new ReplicatedMap<string, string>(),
    work: newWork(),
    notes: new ReplicatedList<string>(),
  })
}

type State = ReturnType<typeof newState>

/** A map and lists, one of each in a composition of their own: written alone, and several at once. */
export const composeWorkload: Workload<State> = {
  name: 'compose',
  machine: newState,
  model: () =>
    new ComposeModel(() => ({
      users: new MapModel<string, string>(),
      work: new ComposeModel(() => ({
        jobs: new ListModel<string>(),
        claims: new MapModel<string, string>(),
      })),
      notes: new ListModel<string>(),
    })),
  chunkBytes: 64,
  async write({ machine: state, chance, tag }) {
    const deed = chance.weighted({ alone: 30, together: 40, inside: 15, clear: 1 })
    switch (deed) {
      case 'alone':
        return await alone(state, chance, tag)
      case 'together':
        return plain(await state.submitAll(some(chance, () => oneOf(state, chance, tag))))
      case 'inside':
        return plain(await state.work.submitAll(some(chance, () => oneInside(state, chance, tag))))
      case 'clear':
        return plain(await state.submitAll([state.commands.users.clear(), state.commands.work.jobs.clear()]))
      default:
        return deed satisfies never
    }
  },
}

async function alone(state: State, chance: Chance, tag: string): Promise<Written<unknown>> {
  const part = chance.weighted({ users: 4, claims: 3, notes: 3, jobs: 3 })
  switch (part) {
    case 'users':
      return await state.users.set(keyOf(chance), tag, ttlOf(chance))
    case 'claims':
      return await state.work.claims.delete(keyOf(chance))
    case 'notes':
      return await state.notes.push(tag)
    case 'jobs':
      return await state.work.jobs.shift()
    default:
      return part satisfies never
  }
}

function oneOf(state: State, chance: Chance, tag: string): PartCommand {
  const { users, notes } = state.commands
  const deed = chance.weighted({ set: 8, delete: 3, persist: 2, push: 6, pop: 1, replace: 3, inside: 10 })
  switch (deed) {
    case 'set':
      return users.set(keyOf(chance), tag, ttlOf(chance))
    case 'delete':
      return users.delete(keyOf(chance))
    case 'persist':
      return users.persist(keyOf(chance))
    case 'push':
      return notes.push(tag)
    case 'pop':
      return notes.pop()
    case 'replace':
      return notes.set(indexIn(state.notes, chance), tag)
    case 'inside':
      return oneInside(state, chance, tag)
    default:
      return deed satisfies never
  }
}

function oneInside(state: State, chance: Chance, tag: string): PartCommand {
  const { jobs, claims } = state.commands.work
  const deed = chance.weighted({ push: 8, delete: 4, insert: 3, truncate: 1, claim: 8, give: 3 })
  switch (deed) {
    case 'push':
      return jobs.push(tag)
    case 'delete':
      return jobs.delete(indexIn(state.work.jobs, chance))
    case 'insert':
      return jobs.insert(indexIn(state.work.jobs, chance), tag)
    case 'truncate':
      return jobs.truncate(chance.integer(0, 8))
    case 'claim':
      return claims.set(keyOf(chance), tag, ttlOf(chance))
    case 'give':
      return claims.delete(keyOf(chance))
    default:
      return deed satisfies never
  }
}

function some(chance: Chance, make: () => PartCommand): PartCommand[] {
  return Array.from({ length: chance.integer(1, 6) }, make)
}

function keyOf(chance: Chance): string {
  return `key-${chance.integer(0, KEYS - 1)}`
}

/** Some die within the time that a catch-up takes. */
function ttlOf(chance: Chance): { readonly ttlMs?: number } {
  return chance.happens(0.3) ? { ttlMs: chance.pick([1, 100, 1_000, 5_000]) } : {}
}

/** Now and then one at its end, so that the command, and all others with it, are refused. */
function indexIn(list: ReplicatedList<string>, chance: Chance): number {
  return chance.integer(0, lengthOf(list) - (chance.happens(0.8) ? 1 : 0))
}

/** 1, too, on a replica that cannot be read yet. */
function lengthOf(list: ReplicatedList<string>): number {
  try {
    return Math.max(1, list.length)
  } catch {
    return 1
  }
}

/** With values that a list gave back as such. */
function plain({ position, result }: Written<readonly unknown[]>): Written<unknown> {
  const isTaken = (one: unknown): one is { readonly value: unknown } =>
    typeof one === 'object' && one !== null && 'value' in one
  return { position, result: result?.map((one) => (isTaken(one) ? one.value : one)) }
}
