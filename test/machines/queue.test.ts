import { describe, expect, test } from 'vitest'
import { Items } from '../../src/machine/items.ts'
import type { QueueChange } from '../../src/machines/queue/queue-change.ts'
import { ReplicatedPriorityQueue } from '../../src/machines/queue/replicated-priority-queue.ts'

type Queue = ReplicatedPriorityQueue<number, string, string>

function heard(): { queue: Queue; changes: unknown[] } {
  const queue: Queue = new ReplicatedPriorityQueue()
  const changes: unknown[] = []
  queue.addEventListener('change', ({ detail }: CustomEvent<QueueChange<number, string, string>>) => {
    changes.push(JSON.parse(JSON.stringify(detail)))
  })
  return { queue, changes }
}

const item = (priority: number, key: string, value: string) => ({ priority, key, value })

describe('a priority queue', () => {
  test('tells each change, with what was there before', () => {
    const { queue, changes } = heard()
    const { commands } = queue
    queue.apply(commands.insert(1, 'a', 'x'))
    queue.apply(commands.insert(2, 'a', 'y'))
    queue.apply(commands.setPriority('a', 3))
    queue.apply(commands.setPriority('a', 3))
    queue.apply(commands.setValue('a', 'z'))
    queue.apply(commands.popMin())
    queue.apply(commands.popMin())
    queue.apply(commands.insert(1, 'b', 'x', { ttlMs: 10 }))
    queue.apply(commands.popMax(), { timeMs: 10 })
    queue.apply(commands.insert(1, 'c', 'x'))
    queue.apply(commands.clear())
    expect(changes).toEqual([
      { type: 'insert', item: item(1, 'a', 'x') },
      { type: 'insert', item: item(2, 'a', 'y'), previous: item(1, 'a', 'x') },
      { type: 'update', item: item(3, 'a', 'y'), previous: item(2, 'a', 'y') },
      { type: 'update', item: item(3, 'a', 'z'), previous: item(3, 'a', 'y') },
      { type: 'pop', item: item(3, 'a', 'z') },
      { type: 'insert', item: item(1, 'b', 'x') },
      { type: 'expire', item: item(1, 'b', 'x') },
      { type: 'insert', item: item(1, 'c', 'x') },
      { type: 'clear' },
    ])
  })

  test('gives the oldest of a priority first, from both ends', () => {
    const { queue } = heard()
    queue.apply(queue.commands.extend(Array.from({ length: 600 }, (_, n) => [n % 2, `job ${n}`, 'x'])))
    for (let n = 0; n < 600; n += 2) {
      expect(queue.apply(queue.commands.popMax())).toMatchObject({ key: `job ${n + 1}` })
      expect(queue.apply(queue.commands.popMin())).toMatchObject({ key: `job ${n}` })
    }
    expect(queue.apply(queue.commands.popMin())).toBeUndefined()
    expect(queue.apply(queue.commands.popMany(3))).toEqual([])
  })

  test('refuses priorities that have no order or are too long, and impossible counts', () => {
    const { commands } = heard().queue
    expect(() => commands.insert(Number.NaN, 'a', 'x')).toThrow(
      expect.objectContaining({ name: 'Unencodable', part: 'priority' }),
    )
    expect(() => commands.popMany(0)).toThrow(RangeError)
    expect(() => commands.popMany(1.5)).toThrow(RangeError)
  })

  test('refuses items that are not those of a queue, and keeps its own', () => {
    const { queue } = heard()
    queue.apply(queue.commands.insert(1, 'a', 'x'))
    const items = Array.from(queue.capture().items(), (bytes) => new Uint8Array(bytes))
    const malformed = expect.objectContaining({ name: 'MalformedItem' })
    expect(() => queue.install().commit()).toThrow(malformed)
    const short = queue.install()
    short.add(Items.of(...items.slice(0, 2)))
    expect(() => short.commit()).toThrow(malformed)
    const long = queue.install()
    long.add(Items.of(...items))
    expect(() => long.add(Items.of(items[2]!))).toThrow(malformed)
    const broken = queue.install()
    broken.add(Items.of(items[0]!))
    expect(() => broken.add(Items.of(items[1]!.slice(0, -4)))).toThrow(malformed)
    expect(queue.get('a')).toBe('x')
  })
})
