import { expect, test } from 'vitest'
import { AppendUncertain } from '../../src/log/errors.ts'
import { Writes } from '../../src/replica/following/writes.ts'

const own = (index: number, id = `id ${index}`) => ({ index, id, author: 'me', kind: 'command' }) as const
const written = (index: number, result?: string) => ({ position: { epoch: 'e', index }, result })

test('a write resolves with its result when it is applied', async () => {
  const writes = new Writes<string>('e', 'me')
  const write = writes.track(async () => ({ first: 5 }))
  await new Promise(setImmediate)
  writes.applied(own(5), 'five')
  expect(await write).toEqual(written(5, 'five'))
  expect(writes.wanted).toBe(false)
})

test('an entry may be applied before its append has told its index', async () => {
  const writes = new Writes<string>('e', 'me')
  const appended = Promise.withResolvers<{ first: number }>()
  const write = writes.track(() => appended.promise)
  expect(writes.wanted).toBe(true)
  writes.applied(own(5), 'five')
  appended.resolve({ first: 5 })
  expect(await write).toEqual(written(5, 'five'))
})

test('appends that overlap each get their own result, in whatever order they end', async () => {
  const writes = new Writes<string>('e', 'me')
  const appends = [
    Promise.withResolvers<{ first: number }>(),
    Promise.withResolvers<{ first: number }>(),
    Promise.withResolvers<{ first: number }>(),
  ]
  const tracked = appends.map(({ promise }) => writes.track(() => promise))
  for (const index of [1, 2, 3]) writes.applied(own(index), `result ${index}`)
  for (const n of [2, 0, 1]) appends[n]!.resolve({ first: n + 1 })
  expect(await Promise.all(tracked)).toEqual([1, 2, 3].map((index) => written(index, `result ${index}`)))
})

test('a write that a snapshot covers resolves without a result', async () => {
  const writes = new Writes<string>('e', 'me')
  const appended = Promise.withResolvers<{ first: number }>()
  const waiting = writes.track(async () => ({ first: 5 }))
  const appending = writes.track(() => appended.promise)
  await new Promise(setImmediate)
  writes.covered(7)
  appended.resolve({ first: 6 })
  expect(await Promise.all([waiting, appending])).toEqual([written(5), written(6)])
})

test('one that lies beyond the snapshot goes on waiting', async () => {
  const writes = new Writes<string>('e', 'me')
  const write = writes.track(async () => ({ first: 8 }))
  await new Promise(setImmediate)
  writes.covered(7)
  writes.applied(own(8), 'eight')
  expect(await write).toEqual(written(8, 'eight'))
})

test('an append that fails rejects, and leaves nothing behind', async () => {
  const writes = new Writes<string>('e', 'me')
  await expect(writes.track(() => Promise.reject(new Error('the log is locked')))).rejects.toThrow(
    'is locked',
  )
  expect(writes.wanted).toBe(false)
})

test('an abort stops the wait', async () => {
  const writes = new Writes<string>('e', 'me')
  const stop = new AbortController()
  const write = writes.track(async () => ({ first: 5 }), stop.signal)
  await new Promise(setImmediate)
  stop.abort(new Error('enough'))
  await expect(write).rejects.toThrow('enough')
  expect(writes.wanted).toBe(false)
})

test('a replica that ends rejects what waits', async () => {
  const writes = new Writes<string>('e', 'me')
  const write = writes.track(async () => ({ first: 5 }))
  await new Promise(setImmediate)
  writes.fail(new Error('the replica was stopped'))
  await expect(write).rejects.toThrow('the replica was stopped')
})

test('a replica that ends while an append is under way rejects it, too', async () => {
  const writes = new Writes<string>('e', 'me')
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
    let writes = new Writes<string>('e', 'me')
    const waiting = writes.track(append)
    await new Promise(setImmediate)
    writes.applied(another, 'another')
    await expect(waiting).rejects.toThrow(AppendUncertain)

    writes = new Writes<string>('e', 'me')
    const appended = Promise.withResolvers<{ first: number; firstId: string }>()
    const late = writes.track(() => appended.promise)
    writes.applied(another, 'another')
    appended.resolve(await append())
    await expect(late).rejects.toThrow(AppendUncertain)
  }
  const writes = new Writes<string>('e', 'me')
  const write = writes.track(append)
  writes.applied(own(5, 'mine'), 'five')
  expect(await write).toEqual(written(5, 'five'))
})

test('a write whose place an entry of this replica that is no write has rejects', async () => {
  const writes = new Writes<string>('e', 'me')
  const write = writes.track(async () => ({ first: 5 }))
  await new Promise(setImmediate)
  writes.applied({ ...own(5), kind: 'control' }, undefined)
  await expect(write).rejects.toThrow(AppendUncertain)
})

test('two writes were told the same place, as the log was put back between them: the earlier one rejects', async () => {
  const writes = new Writes<string>('e', 'me')
  const lost = writes.track(async () => ({ first: 5 }))
  await new Promise(setImmediate)
  const kept = writes.track(async () => ({ first: 5 }))
  await expect(lost).rejects.toThrow(AppendUncertain)
  writes.applied(own(5), 'five')
  expect(await kept).toEqual(written(5, 'five'))
  expect(writes.wanted).toBe(false)
})
