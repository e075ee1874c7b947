import { expect, test } from 'vitest'
import { bytesCodec } from '../../../src/machine/codec.ts'
import { Items } from '../../../src/machine/items.ts'
import type { ListChange } from '../../../src/machines/list/changes.ts'
import { ReplicatedList } from '../../../src/machines/list/replicated-list.ts'
import { attachedList } from './attached-list.ts'

function recorded<T>(list: ReplicatedList<T>): ListChange<T>[] {
  const changes: ListChange<T>[] = []
  // Copied, so that its getters become plain values.
  list.addEventListener('change', ({ detail }) => changes.push({ ...detail }))
  return changes
}

test('a change has the index, the value and the previous value', async () => {
  const list = attachedList<string>()
  const changes = recorded(list)
  await list.pushMany(['a', 'b'])
  await list.unshift('c')
  await list.insert(1, 'd')
  await list.set(2, 'e')
  await list.swap(0, 3)
  await list.delete(1)
  await list.pop()
  await list.shift()
  await list.compareAndSet(0, 'e', 'f')
  await list.compareAndInsert(1, undefined, 'g')
  await list.compareAndSet(0, 'f', undefined)
  await list.pushMany(['h', 'i'])
  await list.truncate(1)
  await list.clear()
  expect(changes).toEqual([
    { type: 'insert', index: 0, value: 'a' },
    { type: 'insert', index: 1, value: 'b' },
    { type: 'insert', index: 0, value: 'c' },
    { type: 'insert', index: 1, value: 'd' },
    { type: 'set', index: 2, value: 'e', previous: 'a' },
    { type: 'swap', index: 0, value: 'b', other: 3, otherValue: 'c' },
    { type: 'delete', index: 1, previous: 'd' },
    { type: 'delete', index: 2, previous: 'c' },
    { type: 'delete', index: 0, previous: 'b' },
    { type: 'set', index: 0, value: 'f', previous: 'e' },
    { type: 'insert', index: 1, value: 'g' },
    { type: 'delete', index: 0, previous: 'f' },
    { type: 'insert', index: 1, value: 'h' },
    { type: 'insert', index: 2, value: 'i' },
    { type: 'truncate', length: 1, deleted: 2 },
    { type: 'clear' },
  ])
})

test('a command that changes nothing makes no change', async () => {
  const list = attachedList<string>()
  await list.push('a')
  const changes = recorded(list)
  await list.swap(0, 0)
  await list.truncate(1)
  await list.compareAndSet(0, 'b', 'c')
  await list.compareAndInsert(0, undefined, 'c')
  await expect(list.delete(1)).rejects.toMatchObject({ name: 'IndexOutOfRange' })
  await expect(list.set(1, 'b')).rejects.toMatchObject({ name: 'IndexOutOfRange' })
  await list.pop()
  changes.length = 0
  await list.pop()
  await list.shift()
  await list.clear()
  await list.truncate(0)
  expect(changes).toEqual([])
})

test('a listener is called after the whole command is applied', async () => {
  const list = attachedList<number>()
  const lengths: number[] = []
  list.addEventListener('change', () => lengths.push(list.length))
  await list.pushMany([1, 2, 3])
  expect(lengths).toEqual([3, 3, 3])
})

test('installing a snapshot is one reset and no change', async () => {
  const list = attachedList<number>()
  await list.push(1)
  const changes = recorded(list)
  const resets: number[] = []
  list.addEventListener('reset', ({ detail }) => resets.push(detail.size))
  const installation = list.install()
  installation.add(Items.of(Buffer.from('5'), Buffer.from('6')))
  expect([[...list], resets]).toEqual([[1], []])
  installation.commit()
  expect([[...list], resets, changes]).toEqual([[5, 6], [2], []])
})

test('a change whose value cannot be decoded throws only when the value is read', () => {
  const list = new ReplicatedList<number>()
  const seen: unknown[] = []
  list.addEventListener('change', ({ detail }) => {
    if (detail.type !== 'insert') return
    seen.push(detail.index)
    expect(() => detail.value).toThrow(expect.objectContaining({ name: 'Undecodable' }))
    seen.push('thrown')
  })
  list.apply(new ReplicatedList({ values: bytesCodec }).commands.push(Buffer.from('{')))
  expect(seen).toEqual([0, 'thrown'])
})
