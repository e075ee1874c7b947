import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { AppendUncertain } from '../../src/log/errors.ts'
import { type Conditions, Writes } from '../../src/replica/following/writes.ts'

const KEYS = new Map([
  ['known', 4],
  ['own', 5],
])
const group = { appliedOf: (key: Uint8Array) => KEYS.get(Buffer.from(key).toString()) }
const own = (index: number, id = `id ${index}`) => ({ index, id, author: 'me' })
const result = (of: string) => ({ type: 'applied', result: of }) as const
const written = (index: number, result?: string) => ({ position: { epoch: 'e', index }, result })

test('a write resolves with its result when it is applied', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const write = writes.track(async () => ({ first: 5 }))
  await new Promise(setImmediate)
  writes.applied(own(5), result('five'))
  expect(await write).toEqual(written(5, 'five'))
  expect(writes.wanted).toBe(false)
})

test('an entry may be applied before its append has told its index', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const appended = Promise.withResolvers<{ first: number }>()
  const write = writes.track(() => appended.promise)
  expect(writes.wanted).toBe(true)
  writes.applied(own(5), result('five'))
  appended.resolve({ first: 5 })
  expect(await write).toEqual(written(5, 'five'))
})

test('appends that overlap each get their own result, in whatever order they end', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const appends = [
    Promise.withResolvers<{ first: number }>(),
    Promise.withResolvers<{ first: number }>(),
    Promise.withResolvers<{ first: number }>(),
  ]
  const tracked = appends.map(({ promise }) => writes.track(() => promise))
  for (const index of [1, 2, 3]) writes.applied(own(index), result(`result ${index}`))
  for (const n of [2, 0, 1]) appends[n]!.resolve({ first: n + 1 })
  expect(await Promise.all(tracked)).toEqual([1, 2, 3].map((index) => written(index, `result ${index}`)))
})

test('results of messages of others are forgotten, even if some append is always under way', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const writes = new Writes<object>('e', 'me', group)
  const message = { subject: 's', headers: {} }
  const results: WeakRef<object>[] = []
  const apply = (index: number) => {
    const result = {}
    results.push(new WeakRef(result))
    writes.applied({ index, id: `@${index}`, author: '', message }, { type: 'applied', result })
  }
  let before = Promise.withResolvers<{ first: number }>()
  let write = writes.track(() => before.promise)
  for (let index = 1; index < 100; index += 2) {
    const next = Promise.withResolvers<{ first: number }>()
    apply(index)
    const nextWrite = writes.track(() => next.promise)
    apply(index + 1)
    before.resolve({ first: index })
    await write
    before = next
    write = nextWrite
  }
  await new Promise(setImmediate)
  collect()
  expect(results.filter((result) => result.deref() !== undefined).length).toBeLessThan(10)
})

test('a write that a snapshot covers resolves without a result', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const appended = Promise.withResolvers<{ first: number }>()
  const waiting = writes.track(async () => ({ first: 5 }))
  const appending = writes.track(() => appended.promise)
  await new Promise(setImmediate)
  writes.covered(7)
  appended.resolve({ first: 6 })
  expect(await Promise.all([waiting, appending])).toEqual([written(5), written(6)])
})

test('one that lies beyond the snapshot goes on waiting', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const write = writes.track(async () => ({ first: 8 }))
  await new Promise(setImmediate)
  writes.covered(7)
  writes.applied(own(8), result('eight'))
  expect(await write).toEqual(written(8, 'eight'))
})

test('an append that fails rejects, and leaves nothing behind', async () => {
  const writes = new Writes<string>('e', 'me', group)
  await expect(writes.track(() => Promise.reject(new Error('the log is locked')))).rejects.toThrow(
    'is locked',
  )
  expect(writes.wanted).toBe(false)
})

test('an abort stops the wait', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const stop = new AbortController()
  const write = writes.track(async () => ({ first: 5 }), { signal: stop.signal })
  await new Promise(setImmediate)
  stop.abort(new Error('enough'))
  await expect(write).rejects.toThrow('enough')
  expect(writes.wanted).toBe(false)
})

test('a replica that ends rejects what waits', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const write = writes.track(async () => ({ first: 5 }))
  await new Promise(setImmediate)
  writes.fail(new Error('the replica was stopped'))
  await expect(write).rejects.toThrow('the replica was stopped')
})

test('a replica that ends while an append is under way rejects it, too', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const appended = Promise.withResolvers<{ first: number }>()
  const write = writes.track(() => appended.promise)
  writes.fail(new Error('the replica was stopped'))
  appended.resolve({ first: 5 })
  const waitedInVain = new Promise((resolve) => setImmediate(resolve, 'it waits for ever'))
  await expect(Promise.race([write, waitedInVain])).rejects.toThrow('the replica was stopped')
})

test('a write whose place another entry has rejects, whether that is applied before or after the acknowledgement', async () => {
  const append = async () => ({ first: 5, firstId: 'mine' })
  for (const another of [own(5, 'of another append'), { ...own(5, 'not mine'), author: 'you' }]) {
    let writes = new Writes<string>('e', 'me', group)
    const waiting = writes.track(append)
    await new Promise(setImmediate)
    writes.applied(another, result('another'))
    await expect(waiting).rejects.toThrow(AppendUncertain)

    writes = new Writes<string>('e', 'me', group)
    const appended = Promise.withResolvers<{ first: number; firstId: string }>()
    const late = writes.track(() => appended.promise)
    writes.applied(another, result('another'))
    appended.resolve(await append())
    await expect(late).rejects.toThrow(AppendUncertain)
  }
  const writes = new Writes<string>('e', 'me', group)
  const write = writes.track(append)
  writes.applied(own(5, 'mine'), result('five'))
  expect(await write).toEqual(written(5, 'five'))
})

test('a write whose place an entry of this replica that is no write has rejects', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const write = writes.track(async () => ({ first: 5 }))
  await new Promise(setImmediate)
  writes.applied(own(5), undefined)
  await expect(write).rejects.toThrow(AppendUncertain)
})

test('two writes were told the same place, as the log was put back between them: the earlier one rejects', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const lost = writes.track(async () => ({ first: 5 }))
  await new Promise(setImmediate)
  const kept = writes.track(async () => ({ first: 5 }))
  await expect(lost).rejects.toThrow(AppendUncertain)
  writes.applied(own(5), result('five'))
  expect(await kept).toEqual(written(5, 'five'))
  expect(writes.wanted).toBe(false)
})

test('a write that was repeated has the position of the first one', async () => {
  const writes = new Writes<string>('e', 'me', group)
  const write = writes.track(async () => ({ first: 5 }))
  await new Promise(setImmediate)
  writes.applied(own(5), { type: 'repeated', first: 3 })
  expect(await write).toEqual({ ...written(3), repeated: true })
})

test('a write whose condition is not met rejects, whether that is known before or after the acknowledgement', async () => {
  const refused = { type: 'refused', error: new Error('another one came before') } as const
  const writes = new Writes<string>('e', 'me', group)
  const appended = Promise.withResolvers<{ first: number }>()
  const early = writes.track(() => appended.promise)
  const waiting = writes.track(async () => ({ first: 6 }))
  await new Promise(setImmediate)
  writes.applied(own(5), refused)
  writes.applied(own(6), refused)
  appended.resolve({ first: 5 })
  await expect(early).rejects.toThrow('another one came before')
  await expect(waiting).rejects.toThrow('another one came before')
})

describe.each([
  ['while it waits', true],
  ['while it is appended', false],
])('a write with conditions that a snapshot covers %s', (_when, isWaiting) => {
  const covered = async (conditions: Conditions) => {
    const writes = new Writes<string>('e', 'me', group)
    const appended = Promise.withResolvers<{ first: number }>()
    const write = writes.track(() => appended.promise, { conditions })
    write.catch(() => {})
    if (isWaiting) appended.resolve({ first: 5 })
    await new Promise(setImmediate)
    writes.covered(7)
    appended.resolve({ first: 5 })
    return await write
  }

  test('was repeated if its key is known from an older one', async () => {
    expect(await covered({ key: Buffer.from('known') })).toEqual({ ...written(4), repeated: true })
  })

  test('was applied if its key is known from itself', async () => {
    expect(await covered({ key: Buffer.from('own') })).toEqual(written(5))
  })

  test.each([
    ['a key that is not known', { key: Buffer.from('new') }],
    ['no key', { expect: 3 }],
  ])('is uncertain with %s', async (_what, conditions) => {
    await expect(covered(conditions)).rejects.toThrow(AppendUncertain)
  })
})
