import { once } from 'node:events'
import { expect, test, vi } from 'vitest'
import { bytesCodec } from '../../src/machine/codec.ts'
import { Items } from '../../src/machine/items.ts'
import { type MapChange, ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { attachedMap } from './attached-map.ts'

function recorded<K, V>(map: ReplicatedMap<K, V>): MapChange<K, V>[] {
  const changes: MapChange<K, V>[] = []
  // Copied, so that its getters become plain values.
  map.addEventListener('change', ({ detail }) => changes.push({ ...detail }))
  return changes
}

test('a change has the key, the value and the previous value', async () => {
  const map = attachedMap<string, number>({})
  const changes = recorded(map)
  await map.set('a', 1)
  await map.set('a', 2)
  await map.delete('a')
  expect(changes).toEqual([
    { type: 'set', key: 'a', value: 1, previous: undefined },
    { type: 'set', key: 'a', value: 2, previous: 1 },
    { type: 'delete', key: 'a', previous: 2 },
  ])
})

test('a command for many keys makes a change for each, and clear makes one', async () => {
  const map = attachedMap<string, number>({})
  const changes = recorded(map)
  await map.setMany([
    ['a', 1],
    ['b', 2],
    ['b', 3],
  ])
  await map.deleteMany(['b', 'nobody'])
  await map.compareAndSet('a', 1, undefined)
  await map.set('c', 4)
  await map.clear()
  expect(changes).toEqual([
    { type: 'set', key: 'a', value: 1, previous: undefined },
    { type: 'set', key: 'b', value: 2, previous: undefined },
    { type: 'set', key: 'b', value: 3, previous: 2 },
    { type: 'delete', key: 'b', previous: 3 },
    { type: 'delete', key: 'a', previous: 1 },
    { type: 'set', key: 'c', value: 4, previous: undefined },
    { type: 'clear' },
  ])
})

test('a command that changes nothing makes no change', async () => {
  const map = attachedMap<string, number>({})
  const changes = recorded(map)
  await map.delete('a')
  await map.clear()
  await map.compareAndSet('a', 1, 2)
  await map.compareAndSet('a', undefined, undefined)
  expect(changes).toEqual([])
})

test('a listener is called after the whole command is applied', async () => {
  const map = attachedMap<string, number>({})
  const sizes: number[] = []
  map.addEventListener('change', () => sizes.push(map.size))
  await map.setMany([
    ['a', 1],
    ['b', 2],
  ])
  expect(sizes).toEqual([2, 2])
})

test('installing a snapshot is one reset and no change', async () => {
  const map = attachedMap<string, number>({})
  await map.set('old', 1)
  const changes = recorded(map)
  const resets: number[] = []
  map.addEventListener('reset', ({ detail }) => resets.push(detail.size))
  const installation = map.install()
  installation.add(Items.of(Buffer.from('\x02a1')))
  installation.add(Items.of(Buffer.from('\x02b2')))
  expect(resets).toEqual([])
  installation.commit()
  expect(resets).toEqual([2])
  expect(changes).toEqual([])
})

test('a listener that throws, or rejects, hurts neither the state nor the other listeners', async () => {
  const warnings: unknown[] = []
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation((...args: unknown[]) => {
    warnings.push(args[1])
  })
  try {
    const map = attachedMap<string, number>({})
    map.addEventListener('change', () => {
      throw new Error('thrown')
    })
    map.addEventListener('change', async () => {
      throw new Error('rejected')
    })
    const changes = recorded(map)
    expect((await map.set('a', 1)).result).toEqual({ replaced: false })
    expect(changes).toHaveLength(1)
    await vi.waitFor(() => expect(warnings).toHaveLength(2))
    expect(warnings).toEqual([
      { type: 'ListenerFailed', detail: expect.stringContaining('Error: thrown') },
      { type: 'ListenerFailed', detail: expect.stringContaining('Error: rejected') },
    ])
  } finally {
    warn.mockRestore()
  }
})

test('a change whose value cannot be decoded throws only when the value is read', () => {
  const map = new ReplicatedMap<string, number>()
  const seen: unknown[] = []
  map.addEventListener('change', ({ detail }) => {
    if (detail.type !== 'set') return
    seen.push(detail.key)
    expect(() => detail.value).toThrow(expect.objectContaining({ name: 'Undecodable' }))
    seen.push('thrown')
  })
  map.apply(new ReplicatedMap({ values: bytesCodec }).commands.set('bad', Buffer.from('{')))
  expect(seen).toEqual(['bad', 'thrown'])
})

test('a listener can be removed, called once, ended by a signal, and be an object', async () => {
  const map = attachedMap<string, number>({})
  const heard: string[] = []
  const removed = () => heard.push('removed')
  const ended = new AbortController()
  map.addEventListener('change', removed)
  map.addEventListener('change', removed)
  map.addEventListener('change', () => heard.push('once'), { once: true })
  map.addEventListener('change', () => heard.push('until ended'), { signal: ended.signal })
  map.addEventListener('change', { handleEvent: () => heard.push('object') })
  await map.set('a', 1)
  expect(heard.splice(0)).toEqual(['removed', 'once', 'until ended', 'object'])
  map.removeEventListener('change', removed)
  ended.abort()
  await map.set('a', 2)
  expect(heard).toEqual(['object'])
  expect(map.listenerCount('change')).toBe(1)
})

test('an event can be awaited as with any event target', async () => {
  const map = attachedMap<string, number>({})
  const changed = once(map, 'change')
  await map.set('a', 1)
  const [event] = await changed
  expect({ ...event.detail }).toMatchObject({ type: 'set', key: 'a' })
  expect(map.listenerCount('change')).toBe(0)
})
