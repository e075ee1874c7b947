import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { main } from '../../../docs/examples/playlist.ts'
import { memoryLog } from '../../../src/log/memory.ts'
import { stringCodec } from '../../../src/machine/codec.ts'
import { IndexOutOfRange } from '../../../src/machines/list/errors.ts'
import { ReplicatedList } from '../../../src/machines/list/replicated-list.ts'
import type { ReplicaInit } from '../../../src/replica/init.ts'
import type { Replica } from '../../../src/replica/replica.ts'
import { createReplica } from '../../../src/replica/start.ts'
import { leads, next, TIMES } from '../../replica/cluster.ts'

interface Started extends AsyncDisposable {
  readonly list: ReplicatedList<string>
  readonly replica: Replica<unknown>
}

/** Replicas of a list in one process, with one log in memory. */
class Group {
  readonly #log = memoryLog()

  async start(
    init: Partial<ReplicaInit<unknown>> = {},
    list = new ReplicatedList<string>(),
  ): Promise<Started> {
    const replica = await createReplica<unknown>({
      group: 'lists',
      machine: list,
      log: this.#log,
      volatile: true,
      chunkBytes: 64,
      ...TIMES,
      ...init,
    })
    return { list, replica, [Symbol.asyncDispose]: () => replica.stop() }
  }
}

const words = (count: number) => Array.from({ length: count }, (_, n) => `word ${n}`)

test('a joiner has the list of its peers, and writes to it', async () => {
  const group = new Group()
  await using leader = await group.start()
  await leads(leader.replica)
  const expected = words(300)
  await leader.list.pushMany(expected)
  for (let n = 0; n < 40; n++) {
    await leader.list.insert(n * 7, `new ${n}`)
    expected.splice(n * 7, 0, `new ${n}`)
  }
  await leader.list.swap(3, 330)
  ;[expected[3], expected[330]] = [expected[330]!, expected[3]!]
  expect(await leader.replica.prune({ keepEntries: 0 })).toBeGreaterThan(40)

  await using joiner = await group.start({ lead: false })
  await Promise.all([next(joiner.replica, 'caught-up'), joiner.replica.inSync()])
  await joiner.replica.barrier()
  expect([...joiner.list]).toEqual(expected)
  expect((await joiner.list.delete(170)).result).toBe(expected.splice(170, 1)[0])
  expect((await joiner.list.shift()).result).toBe(expected.shift())
  await leader.replica.barrier()
  expect([...leader.list]).toEqual(expected)
  const anchor = await leader.replica.mark()
  await joiner.replica.reached(anchor)
  expect(await joiner.replica.rootAt(anchor)).toEqual(await leader.replica.rootAt(anchor))
}, 20_000)

test('a joiner has a list whose items are all alike, or have no bytes at all', async () => {
  const group = new Group()
  const newList = () => new ReplicatedList({ values: stringCodec })
  await using leader = await group.start({}, newList())
  await leads(leader.replica)
  const expected = [...Array(3_000).fill('same'), ...Array(2_000).fill(''), 'end']
  await leader.list.pushMany(expected)
  await leader.replica.prune({ keepEntries: 0 })
  await using joiner = await group.start({ lead: false }, newList())
  await Promise.all([next(joiner.replica, 'caught-up'), joiner.replica.inSync()])
  expect([...joiner.list]).toEqual(expected)
  expect((await joiner.list.delete(4_000)).result).toBe('')
  await leader.replica.barrier()
  expect([leader.list.length, leader.list.at(-1)]).toEqual([5_000, 'end'])
}, 20_000)

test('an index that is out of range is refused at its writer, and nothing happens anywhere', async () => {
  const group = new Group()
  await using leader = await group.start()
  await leads(leader.replica)
  await using follower = await group.start({ lead: false })
  await follower.replica.inSync()
  const skipped: unknown[] = []
  for (const { replica } of [leader, follower])
    replica.addEventListener('skipped', ({ detail }) => skipped.push(detail))
  await leader.list.pushMany(['a', 'b', 'c'])
  // The two writers race for the last items. Whoever comes too late is told.
  const writes = [leader, follower, leader, follower].map(({ list }) => list.delete(1))
  const outcomes = await Promise.allSettled(writes)
  const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  expect(refusals).toHaveLength(2)
  for (const refusal of refusals) {
    expect(refusal).toBeInstanceOf(IndexOutOfRange)
    expect(refusal).toMatchObject({ index: 1, length: 1 })
  }
  await Promise.all([leader.replica.barrier(), follower.replica.barrier()])
  expect([[...leader.list], [...follower.list], skipped]).toEqual([['a'], ['a'], []])
}, 20_000)

test('a list is there again after a restart', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-list-'))
  try {
    const group = new Group()
    const init = { volatile: false, dataDir }
    {
      await using first = await group.start(init)
      await first.replica.inSync()
      await first.list.pushMany(words(200))
      await first.list.truncate(150)
      await first.list.unshift('first')
    }
    const list = new ReplicatedList<string>()
    const resets: number[] = []
    list.addEventListener('reset', ({ detail }) => resets.push(detail.size))
    await using second = await group.start(init, list)
    await second.replica.inSync()
    expect(resets).toEqual([151])
    expect([...second.list]).toEqual(['first', ...words(150)])
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}, 20_000)

test('a list that differs from the others is named, and gets their state', async () => {
  const group = new Group()
  await using leader = await group.start({ ttlMs: 60_000 })
  await leads(leader.replica)
  await using second = await group.start({ ttlMs: 60_000, lead: false })
  await using wrong = await group.start({ ttlMs: 60_000, lead: false })
  await Promise.all([second.replica.inSync(), wrong.replica.inSync()])
  await leader.list.pushMany(words(100))
  await wrong.replica.barrier()
  // The same items in another order.
  wrong.list.apply(wrong.list.commands.swap(10, 11))
  const named = next(leader.replica, 'divergence')
  const reset = new Promise<number>((resolve) => {
    wrong.list.addEventListener('reset', ({ detail }) => resolve(detail.size), { once: true })
  })
  await leader.replica.mark()
  expect((await named).replica).toBe(wrong.replica.id)
  expect(await reset).toBe(100)
  await wrong.replica.inSync()
  expect([...wrong.list]).toEqual(words(100))
}, 20_000)

test('the example does what it says', async () => {
  const said: string[] = []
  await main((line) => void said.push(line))
  expect(said.slice(0, 2)).toEqual(['bob sees Gloria at 0', 'bob sees Hounds of Love at 1'])
  // Either of the two may come first.
  const [outcome, ...rest] = said.slice(2)
  expect(outcome).toMatch(/^ann plays (Gloria; bob came too late|Hyperballad; bob replaced it before)$/)
  expect(rest).toEqual([
    'index 9 is out of range: the list had a length of 1 when the write was applied; read it anew',
    'left: Hounds of Love',
  ])
}, 20_000)
