import { ReplicatedPriorityQueue } from '../../../machines/queue/replicated-priority-queue.ts'
import type { Chance } from '../chance.ts'
import type { Workload, Writing } from '../workload.ts'

type Jobs = ReplicatedPriorityQueue<number, string, string>

/** Few, so that writers meet at the same key. */
const keyOf = (chance: Chance) => `job-${chance.integer(0, 40)}`
/** Few, so that many items have the same one. */
const priorityOf = (chance: Chance) => chance.integer(-2, 3)
const ttlOf = (chance: Chance) => ({ ttlMs: chance.pick([1, 100, 1_000, 5_000, 60_000]) })

/** A priority queue with everything that it can do, at both ends. */
export const queueWorkload: Workload<Jobs> = {
  name: 'queue',
  machine: () => new ReplicatedPriorityQueue<number, string, string>(),
  chunkBytes: 64,
  write({ machine: queue, chance, tag }: Writing<Jobs>) {
    const [key, priority] = [keyOf(chance), priorityOf(chance)]
    const deed = chance.weighted({
      insert: 25,
      ttl: 12,
      extend: 8,
      setPriority: 10,
      setValue: 5,
      compareAndSet: 6,
      delete: 4,
      deleteRange: 1,
      popMin: 10,
      popMax: 10,
      popMany: 4,
      clear: 0.5,
    })
    switch (deed) {
      case 'insert':
        return queue.insert(priority, key, tag)
      case 'ttl':
        return queue.insert(priority, key, tag, ttlOf(chance))
      case 'extend': {
        const length = chance.integer(1, 8)
        const items = Array.from({ length }, () => [priorityOf(chance), keyOf(chance), tag] as const)
        return queue.extend(items, chance.happens(0.3) ? ttlOf(chance) : {})
      }
      case 'setPriority':
        return queue.setPriority(key, priority)
      case 'setValue':
        return queue.setValue(key, tag)
      case 'compareAndSet':
        return queue.compareAndSet(key, currentOf(queue, key) ?? tag, chance.happens(0.8) ? tag : undefined)
      case 'delete':
        return queue.delete(key)
      case 'deleteRange':
        return queue.deleteRange({ gte: priority, lt: priority + 2 })
      case 'popMin':
        return queue.popMin()
      case 'popMax':
        return queue.popMax()
      case 'popMany':
        return queue.popMany(chance.integer(1, 5), { end: chance.pick(['min', 'max']) })
      case 'clear':
        return queue.clear()
      default:
        return deed satisfies never
    }
  },
}

/** Undefined, too, on a replica that cannot be read yet. */
function currentOf(queue: Jobs, key: string): string | undefined {
  try {
    return queue.get(key)
  } catch {
    return undefined
  }
}
