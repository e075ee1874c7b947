import { afterEach, beforeEach, expect, test } from 'vitest'
import { appendControl } from '../../src/group/control.ts'
import { Conflict, GroupOutdated } from '../../src/group/errors.ts'
import { AppendUncertain, EpochChanged } from '../../src/log/errors.ts'
import type { LogBackend } from '../../src/log/log.ts'
import { stringCodec } from '../../src/machine/codec.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { alteredLog, Cluster } from './cluster.ts'
import { line } from './journal.ts'
import { MachineGroup } from './machine-group.ts'

let cluster: Cluster

beforeEach(() => {
  cluster = new Cluster()
})

afterEach(async () => {
  await cluster[Symbol.asyncDispose]()
})

/** The first claim of the group's log, by a member that went again. */
async function begin(format: number, log: LogBackend = cluster.log, group = 'journals'): Promise<void> {
  const signature = group === 'journals' ? 'journal/1' : new ReplicatedMap({ values: stringCodec }).signature
  const handle = await log.open({ group, signature, author: 'founder' })
  await appendControl(handle, { type: 'claim', term: 1, format })
  await handle.close()
}

test('a write that is repeated with its key is applied once, and has the first one’s position', async () => {
  await begin(2)
  const { replica, journal } = await cluster.start()
  const other = await cluster.start({ lead: false })
  const first = await replica.submit(line('pay'), { key: 'order 1' })
  expect(first).toEqual({ position: replica.position, result: 1 })
  const again = await other.replica.submit(line('pay'), { key: Buffer.from('order 1') })
  expect(again).toEqual({ position: first.position, result: undefined, repeated: true })
  expect(await replica.submit(line('pay'), { key: 'order 2' })).toMatchObject({ result: 2 })
  await Promise.all([replica.barrier(), other.replica.barrier()])
  expect([journal.lines, other.journal.lines]).toEqual([
    ['pay', 'pay'],
    ['pay', 'pay'],
  ])
})

test('of several that expect the same position, one is applied', async () => {
  await begin(2)
  const { replica, journal } = await cluster.start()
  await replica.inSync()
  const seen = await replica.submit(line('balance 10'))
  const expected = seen.position
  const writes = ['a', 'b', 'c'].map((text) => replica.submit(line(text), { expect: expected }))
  const settled = await Promise.allSettled(writes)
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
  const [, second] = settled
  const { reason } = second as PromiseRejectedResult
  expect(reason).toBeInstanceOf(Conflict)
  const newest = (settled[0] as PromiseFulfilledResult<{ position: object }>).value.position
  expect(reason).toMatchObject({ expected, newest })
  expect(journal.lines).toEqual(['balance 10', 'a'])
})

test('a write that was appended and not acknowledged is repeated without harm', async () => {
  await begin(2)
  let failures = 2
  const uncertain = alteredLog(cluster.log, (log) => ({
    append: async (entries, options) => {
      const appended = await log.append(entries, options)
      if (entries[0]!.kind === 'control' && failures-- > 0) throw new AppendUncertain('no answer')
      return appended
    },
  }))
  const { replica, journal } = await cluster.start({ lead: false, log: uncertain })
  const key = 'order 1'
  await expect(replica.submit(line('pay'), { key })).rejects.toThrow(AppendUncertain)
  await expect(replica.submit(line('pay'), { key })).rejects.toThrow(AppendUncertain)
  const written = await replica.submit(line('pay'), { key })
  expect(written).toMatchObject({ repeated: true, position: { index: 2 } })
  expect(journal.lines).toEqual(['pay'])
})

test('the methods of the machines take conditions, and tell what became of them', async () => {
  await using group = new MachineGroup(() => new ReplicatedMap({ values: stringCodec }))
  await begin(2, group.log, 'machines')
  const { machine } = await group.start()
  const first = await machine.set('a', '1', { key: 'write 1' })
  expect(await machine.set('a', '2', { key: 'write 1' })).toEqual({
    position: first.position,
    result: undefined,
    repeated: true,
  })
  await expect(machine.delete('a', { expect: { ...first.position, index: 1 } })).rejects.toThrow(Conflict)
  expect(machine.get('a')).toBe('1')
})

test('in a group of format 1 nothing is written', async () => {
  await begin(1)
  const { replica, journal } = await cluster.start()
  await expect(replica.submit(line('pay'), { key: 'order 1' })).rejects.toThrow(GroupOutdated)
  await replica.barrier()
  expect(journal.lines).toEqual([])
})

test('before the group has a leader, it waits for the first', async () => {
  const { replica } = await cluster.start({ lead: false })
  const write = replica.submit(line('pay'), { key: 'order 1' })
  await replica.inSync()
  await begin(2)
  expect(await write).toMatchObject({ position: { index: 2 } })
})

test('the wait for a first leader ends with its signal, and when the replica stops', async () => {
  const { replica } = await cluster.start({ lead: false })
  const stop = new AbortController()
  const aborted = replica.submit(line('pay'), { key: 'order 1', signal: stop.signal })
  const stopped = replica.submit(line('pay'), { key: 'order 1' })
  await replica.inSync()
  stop.abort(new Error('enough'))
  await expect(aborted).rejects.toThrow('enough')
  await Promise.all([expect(stopped).rejects.toThrow('stopped'), replica.stop()])
})

test.each([
  ['an empty key', { key: '' }],
  ['a key of more than 256 bytes', { key: 'x'.repeat(257) }],
  ['a key that is neither text nor bytes', { key: 5 as unknown as string }],
  ['an index that is none', { expect: { epoch: '', index: -1 } }],
])('%s is refused', async (_what, options) => {
  const { replica } = await cluster.start({ lead: false })
  const { epoch } = replica.position
  const given = 'expect' in options ? { expect: { ...options.expect, epoch } } : options
  await expect(replica.submit(line('pay'), given)).rejects.toThrow(RangeError)
})

test('a position of another log is refused', async () => {
  const { replica } = await cluster.start({ lead: false })
  const expected = { epoch: 'another', index: 1 }
  await expect(replica.submit(line('pay'), { expect: expected })).rejects.toThrow(EpochChanged)
})
