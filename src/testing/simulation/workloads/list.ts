import { ReplicatedList } from '../../../machines/list/replicated-list.ts'
import type { Chance } from '../chance.ts'
import { ListModel } from '../oracle/list-model.ts'
import type { Workload, Writing } from '../workload.ts'

type Texts = ReplicatedList<string>

/** A list with everything that it can do: at its ends and within, under conditions, and beyond its end. */
export const listWorkload: Workload<Texts> = {
  name: 'list',
  machine: () => new ReplicatedList<string>(),
  model: () => new ListModel<string>(),
  chunkBytes: 64,
  write({ machine: list, chance, tag }: Writing<Texts>) {
    // What this replica has, which may be old by the time that the write is applied.
    const values = valuesOf(list)
    const index = indexIn(values, chance)
    const expected = chance.happens(0.9) ? values[index] : tag
    const deed = chance.weighted({
      push: 15,
      pushMany: 8,
      unshift: 6,
      insert: 16,
      set: 10,
      delete: 10,
      swap: 8,
      pop: 6,
      shift: 6,
      truncate: 1,
      clear: 0.3,
      compareAndSet: 10,
      compareAndInsert: 8,
    })
    switch (deed) {
      case 'push':
        return list.push(tag)
      case 'pushMany':
        return list.pushMany(Array.from({ length: chance.integer(0, 12) }, (_, n) => `${tag}/${n}`))
      case 'unshift':
        return list.unshift(tag)
      case 'insert':
        return list.insert(index, tag)
      case 'set':
        return list.set(index, tag)
      case 'delete':
        return list.delete(index)
      case 'swap':
        return list.swap(index, indexIn(values, chance))
      case 'pop':
        return list.pop()
      case 'shift':
        return list.shift()
      case 'truncate':
        return list.truncate(index)
      case 'clear':
        return list.clear()
      case 'compareAndSet':
        return list.compareAndSet(index, expected ?? tag, chance.happens(0.8) ? tag : undefined)
      case 'compareAndInsert':
        return list.compareAndInsert(index, expected, tag)
      default:
        return deed satisfies never
    }
  },
}

/** One of its indexes, or some beyond its end. */
function indexIn(values: readonly string[], chance: Chance): number {
  return chance.integer(0, values.length + (chance.happens(0.1) ? 3 : 0))
}

/** Empty, too, on a replica that cannot be read yet. */
function valuesOf(list: Texts): string[] {
  try {
    return list.slice()
  } catch {
    return []
  }
}
