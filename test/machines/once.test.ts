import { describe, expect, test } from 'vitest'
import { bytesCodec } from '../../src/machine/codec.ts'
import { Items } from '../../src/machine/items.ts'
import { ReplicatedOnce } from '../../src/machines/once/replicated-once.ts'
import { attached, recorded } from './attached.ts'
import { itemsNow } from './attached-map.ts'

const { commands } = new ReplicatedOnce<string>()
const newOnce = () => attached(new ReplicatedOnce<string>())
const context = (index: number) => ({ position: { epoch: 'e', index }, timeMs: 0 })

function install<T>(from: ReplicatedOnce<T>, into: ReplicatedOnce<T>): void {
  const installation = into.install()
  for (const item of from.capture().items()) installation.add(Items.of(item))
  installation.commit()
}

test('the first write wins, and every writer learns what became of it', async () => {
  const once = newOnce()
  expect([once.get(), once.isSet]).toEqual([undefined, false])
  const changes = recorded(once)
  expect((await once.set('first')).result).toEqual({ won: true, value: 'first' })
  expect((await once.set('second')).result).toEqual({ won: false, value: 'first' })
  expect((await once.set('first')).result).toEqual({ won: false, value: 'first' })
  expect([once.get(), once.isSet]).toEqual(['first', true])
  expect(changes).toEqual([{ type: 'set', value: 'first' }])
})

test('a writer whose write came with an installed snapshot learns as well whether it won', async () => {
  const group = new ReplicatedOnce<string>()
  group.apply(commands.set('won'), context(3))
  group.apply(commands.set('lost'), context(4))
  const writerAt = (index: number) => {
    const once = new ReplicatedOnce<string>()
    const submit = async () => {
      install(group, once)
      return { position: { epoch: 'e', index }, result: undefined }
    }
    once.attach({ submit, assertReadable() {} })
    return once
  }
  expect((await writerAt(3).set('won')).result).toEqual({ won: true, value: 'won' })
  expect((await writerAt(4).set('lost')).result).toEqual({ won: false, value: 'won' })
})

describe('whenSet', () => {
  test('resolves when the write is applied, whoever wrote it, and at once after that', async () => {
    const once = new ReplicatedOnce<string>()
    const waiting = [once.whenSet(), once.whenSet({ signal: new AbortController().signal })]
    once.apply(commands.set('value'), context(1))
    expect(await Promise.all([...waiting, once.whenSet()])).toEqual(['value', 'value', 'value'])
  })

  test('resolves by an installed snapshot, and not by one in which it is not set', async () => {
    const once = new ReplicatedOnce<string>()
    let value: string | undefined
    const waiting = once.whenSet().then((set) => {
      value = set
    })
    const group = new ReplicatedOnce<string>()
    install(group, once)
    await Promise.resolve()
    expect(value).toBeUndefined()
    group.apply(commands.set('value'), context(1))
    install(group, once)
    await waiting
    expect(value).toBe('value')
  })

  test('waits on a replica without state, and is ended by its signal alone', async () => {
    const once = new ReplicatedOnce<string>()
    once.attach({
      submit: () => Promise.reject(new Error('never called')),
      assertReadable() {
        throw new Error('no state')
      },
    })
    expect(() => once.get()).toThrow('no state')
    expect(() => once.isSet).toThrow('no state')
    const aborting = new AbortController()
    const waiting = once.whenSet({ signal: aborting.signal })
    const reason = new Error('enough')
    aborting.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    const patient = once.whenSet()
    once.apply(commands.set('value'), context(1))
    expect(await patient).toBe('value')
  })

  test('waits anew after a state that was wrong', async () => {
    const once = new ReplicatedOnce<string>()
    once.apply(commands.set('wrong'), context(1))
    install(new ReplicatedOnce<string>(), once)
    expect(once.get()).toBeUndefined()
    const waiting = once.whenSet()
    once.apply(commands.set('right'), context(2))
    expect(await waiting).toBe('right')
  })
})

test('a snapshot has the value and where it was set; its install is one reset', () => {
  const once = new ReplicatedOnce<string>()
  expect(itemsNow(once)).toEqual([])
  once.apply(commands.set('v'), context(300))
  expect(itemsNow(once)).toEqual([`ac02${'01'}${'65'}227622`])
  const joiner = new ReplicatedOnce<string>()
  const changes = recorded(joiner)
  const sizes: number[] = []
  joiner.addEventListener('reset', ({ detail }) => sizes.push(detail.size))
  install(once, joiner)
  expect([joiner.get(), changes, sizes, itemsNow(joiner)]).toEqual(['v', [], [1], itemsNow(once)])
  const snapshot = joiner.capture()
  snapshot.release()
  expect(() => snapshot.items()).toThrow(expect.objectContaining({ name: 'SnapshotReleased' }))
})

test('a value that the codec cannot decode throws where it is read, and nowhere else', async () => {
  const once = newOnce()
  const written = new ReplicatedOnce({ values: bytesCodec }).commands.set(Buffer.from('{'))
  const result = once.apply(written, context(1))
  expect(result.won).toBe(true)
  const undecodable = expect.objectContaining({ name: 'Undecodable' })
  expect(() => result.value).toThrow(undecodable)
  expect(() => once.get()).toThrow(undecodable)
  await expect(once.whenSet()).rejects.toEqual(undecodable)
})

test('a mistake is refused at the writer', async () => {
  await expect(newOnce().set(undefined as never)).rejects.toMatchObject({ name: 'Unencodable' })
  await expect(new ReplicatedOnce().set(1)).rejects.toMatchObject({ name: 'NotAttached' })
  expect(new ReplicatedOnce().signature).toBe('once/1;values=json')
})

test.each([
  ['nothing', ['']],
  ['half an epoch', ['\x01\x05e']],
  ['an epoch beyond the limit', [`\x01\x81\x08${'e'.repeat(1025)}`]],
  ['an epoch that is no UTF-8', ['\x01\x01\xff']],
  ['two of them', ['\x01\x01e1', '\x02\x01e1']],
])('an item that is none is refused: %s', (_name, items) => {
  const once = new ReplicatedOnce<string>()
  once.apply(commands.set('before'), context(1))
  const installation = once.install()
  expect(() => {
    for (const item of items) installation.add(Items.of(Buffer.from(item, 'latin1')))
  }).toThrow(expect.objectContaining({ name: 'MalformedItem' }))
  expect(once.get()).toBe('before')
})

test('in a transaction that is undone it was never set, and nobody is told', async () => {
  const once = new ReplicatedOnce<string>()
  const changes = recorded(once)
  let value: string | undefined
  const waiting = once.whenSet().then((set) => {
    value = set
  })
  once.transaction?.begin()
  expect(once.apply(commands.set('undone'), context(1)).won).toBe(true)
  expect(once.apply(commands.set('late'), context(1))).toEqual({ won: false, value: 'undone' })
  once.transaction?.rollback()
  await Promise.resolve()
  expect([once.get(), value, changes]).toEqual([undefined, undefined, []])
  once.transaction?.begin()
  expect(once.apply(commands.set('kept'), context(2)).won).toBe(true)
  expect(changes).toEqual([])
  once.transaction?.commit()
  await waiting
  expect([value, changes]).toEqual(['kept', [{ type: 'set', value: 'kept' }]])
})
