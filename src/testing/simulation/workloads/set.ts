import { ReplicatedSet } from '../../../machines/set/replicated-set.ts'
import type { Chance } from '../chance.ts'
import { SetModel } from '../oracle/set-model.ts'
import type { Workload } from '../workload.ts'

/** Few, so that writers meet at the same element. */
const ELEMENTS = 24
const elementOf = (chance: Chance) => `element-${chance.integer(0, ELEMENTS - 1)}`
const elementsOf = (chance: Chance) => Array.from({ length: chance.integer(1, 6) }, () => elementOf(chance))
/** Mostly over within the run, some within the time that a catch-up takes. */
const ttlOf = (chance: Chance) => chance.pick([1, 100, 1_000, 5_000, 60_000])

/** A set with everything that it can do. Some elements nobody else adds. */
export const setWorkload: Workload<ReplicatedSet> = {
  name: 'set',
  machine: () => new ReplicatedSet(),
  model: () => new SetModel(),
  chunkBytes: 64,
  write({ machine: set, chance, tag }) {
    const element = chance.happens(0.3) ? tag : elementOf(chance)
    const deed = chance.weighted({
      add: 35,
      ttl: 25,
      addMany: 10,
      delete: 12,
      deleteMany: 6,
      persist: 6,
      clear: 1,
    })
    switch (deed) {
      case 'add':
        return set.add(element)
      case 'ttl':
        return set.add(element, { ttlMs: ttlOf(chance) })
      case 'addMany':
        return set.addMany(elementsOf(chance), chance.happens(0.3) ? { ttlMs: ttlOf(chance) } : {})
      case 'delete':
        return set.delete(element)
      case 'deleteMany':
        return set.deleteMany(elementsOf(chance))
      case 'persist':
        return set.persist(element)
      case 'clear':
        return set.clear()
      default:
        return deed satisfies never
    }
  },
}
