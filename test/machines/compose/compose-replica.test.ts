import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { main } from '../../../docs/examples/shop.ts'
import { Conflict } from '../../../src/group/errors.ts'
import { memoryLog } from '../../../src/log/memory.ts'
import { compose } from '../../../src/machines/compose/compose.ts'
import { BatchRefused } from '../../../src/machines/compose/errors.ts'
import { PartCommand } from '../../../src/machines/compose/part-command.ts'
import { ReplicatedList } from '../../../src/machines/list/replicated-list.ts'
import { ReplicatedMap } from '../../../src/machines/map/replicated-map.ts'
import { ReplicatedOnce } from '../../../src/machines/once/replicated-once.ts'
import type { ReplicaInit } from '../../../src/replica/init.ts'
import type { Replica } from '../../../src/replica/replica.ts'
import { createReplica } from '../../../src/replica/start.ts'
import { Counters } from '../../../src/testing/simulation/workloads/counters.ts'
import { leads, next, TIMES } from '../../replica/cluster.ts'
import { itemsNow } from './attached-composition.ts'

/** Packed parts, one that is not, one of one item, and a composition. */
const newState = () =>
  compose({
    users: new ReplicatedMap<string, string>(),
    work: compose({ jobs: new ReplicatedList<string>(), claims: new ReplicatedMap<string, string>() }),
    founder: new ReplicatedOnce<string>(),
    counters: new Counters(),
  })
type State = ReturnType<typeof newState>

interface Started extends AsyncDisposable {
  readonly state: State
  readonly replica: Replica<unknown>
}

/** Replicas of a composition in one process, with one log in memory. */
class Group {
  readonly #log = memoryLog()

  async start(init: Partial<ReplicaInit<unknown>> = {}, state = newState()): Promise<Started> {
    const replica = await createReplica<unknown>({
      group: 'compositions',
      machine: state,
      log: this.#log,
      volatile: true,
      chunkBytes: 64,
      ...TIMES,
      ...init,
    })
    return { state, replica, [Symbol.asyncDispose]: () => replica.stop() }
  }
}

/** Some of everything. */
async function fill({ state, replica }: Started): Promise<void> {
  const { users, work } = state.commands
  const sets = Array.from({ length: 100 }, (_, n) => users.set(`user ${n}`, `name ${n}`))
  await state.submitAll([...sets, work.jobs.pushMany(Array.from({ length: 80 }, (_, n) => `job ${n}`))])
  await state.work.claims.set('job 3', 'user 4')
  await state.founder.set('user 0')
  for (let n = 0; n < 10; n++) await replica.submit(Uint8Array.of(1, ...Buffer.from(`counter ${n % 4}`)))
}

test('several writes as one may be repeated with a key, and expect that nothing came between', async () => {
  await using one = await new Group().start()
  const { state } = one
  const { users, work } = state.commands
  const commands = [users.set('ada', 'Ada'), work.jobs.push('greet')] as const
  const { position, result } = await state.submitAll(commands, { key: 'sign up ada' })
  expect(result).toEqual([{ replaced: false }, 1])
  const repeated = await state.submitAll(commands, { key: 'sign up ada' })
  expect(repeated).toEqual({ position, result: undefined, repeated: true })
  await state.users.set('bob', 'Bob', { expect: position })
  await expect(state.submitAll(commands, { expect: position })).rejects.toThrow(Conflict)
  expect([state.work.jobs.length, state.users.size]).toEqual([1, 2])
})

test('a joiner has all parts of its peers, and writes to them', async () => {
  const group = new Group()
  await using leader = await group.start()
  await leads(leader.replica)
  await fill(leader)
  expect(await leader.replica.prune({ keepEntries: 0 })).toBeGreaterThan(10)

  await using joiner = await group.start({ lead: false })
  const { state } = joiner
  const told: unknown[] = []
  for (const machine of [state.users, state.work.jobs, state.work.claims, state.founder])
    machine.addEventListener('reset', ({ detail }: CustomEvent) => told.push(detail.size))
  await Promise.all([next(joiner.replica, 'caught-up'), joiner.replica.inSync()])
  await joiner.replica.barrier()
  expect(told.sort()).toEqual([1, 1, 100, 80])
  expect(itemsNow(state)).toEqual(itemsNow(leader.state))

  const { users, work, founder } = state.commands
  const { result } = await state.submitAll([users.delete('user 1'), work.jobs.shift(), founder.set('user 7')])
  expect(result).toMatchObject([true, { value: 'job 0' }, { won: false, value: 'user 0' }])
  const anchor = await leader.replica.mark()
  await joiner.replica.reached(anchor)
  expect(itemsNow(state)).toEqual(itemsNow(leader.state))
  expect(await joiner.replica.rootAt(anchor)).toEqual(await leader.replica.rootAt(anchor))
}, 20_000)

test('commands that are refused happen nowhere, and their writer is told which of them was', async () => {
  const group = new Group()
  await using leader = await group.start()
  await leads(leader.replica)
  await using follower = await group.start({ lead: false })
  await follower.replica.inSync()
  const skipped: unknown[] = []
  for (const { replica } of [leader, follower])
    replica.addEventListener('skipped', ({ detail }) => skipped.push(detail))
  await leader.state.work.jobs.pushMany(['a', 'b', 'c'])
  // Both want the last two jobs, and note whose they are. One of them comes too late for the second.
  const take = async ({ state }: Started, name: string) => {
    const { users, work } = state.commands
    return await state.submitAll([users.set(name, 'busy'), work.jobs.delete(1), work.jobs.delete(1)])
  }
  const outcomes = await Promise.allSettled([take(leader, 'leader'), take(follower, 'follower')])
  const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  expect(refusals).toHaveLength(1)
  expect(refusals[0]).toBeInstanceOf(BatchRefused)
  expect(refusals[0]).toMatchObject({
    at: 1,
    part: 'work.jobs',
    cause: { name: 'IndexOutOfRange', index: 1 },
  })
  const malformed = new PartCommand(follower.state.work.jobs, Uint8Array.of(99))
  await expect(
    follower.state.submitAll([follower.state.commands.users.clear(), malformed]),
  ).rejects.toMatchObject({ at: 1, part: 'work.jobs', cause: { name: 'MalformedCommand' } })
  await Promise.all([leader.replica.barrier(), follower.replica.barrier()])
  for (const { state } of [leader, follower])
    expect([state.users.size, [...state.work.jobs]]).toEqual([1, ['a']])
  expect(itemsNow(follower.state)).toEqual(itemsNow(leader.state))
  expect(skipped).toEqual([])
}, 20_000)

test('keys of all parts die by the machine time of their one log', async () => {
  const group = new Group()
  await using leader = await group.start()
  await leads(leader.replica)
  const { users, work } = leader.state.commands
  await leader.state.submitAll([
    users.set('a', 'x', { ttlMs: 50 }),
    work.claims.set('b', 'y', { ttlMs: 50 }),
    users.set('c', 'z'),
  ])
  const gone = ['users', 'claims'].map(async (name) => {
    const map = name === 'users' ? leader.state.users : leader.state.work.claims
    await new Promise<void>((resolve) => {
      map.addEventListener('change', ({ detail }) => detail.type === 'expire' && resolve())
    })
  })
  await Promise.all(gone)
  expect([[...leader.state.users.keys()], leader.state.work.claims.size]).toEqual([['c'], 0])
}, 20_000)

test('all parts are there again after a restart', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-compose-'))
  try {
    const group = new Group()
    const init = { volatile: false, dataDir }
    let items: string[]
    {
      await using first = await group.start(init)
      await first.replica.inSync()
      await fill(first)
      items = itemsNow(first.state)
    }
    const state = newState()
    const resets: string[] = []
    for (const [name, machine] of Object.entries({ users: state.users, jobs: state.work.jobs }))
      machine.addEventListener('reset', ({ detail }: CustomEvent) => resets.push(`${name} ${detail.size}`))
    await using second = await group.start(init, state)
    await second.replica.inSync()
    expect(resets.sort()).toEqual(['jobs 80', 'users 100'])
    expect(itemsNow(second.state)).toEqual(items)
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}, 20_000)

test('a composition with one part that differs is named, and gets the state of the others', async () => {
  const group = new Group()
  await using leader = await group.start({ ttlMs: 60_000 })
  await leads(leader.replica)
  await using second = await group.start({ ttlMs: 60_000, lead: false })
  await using wrong = await group.start({ ttlMs: 60_000, lead: false })
  await Promise.all([second.replica.inSync(), wrong.replica.inSync()])
  await fill(leader)
  await wrong.replica.barrier()
  wrong.state.work.jobs.apply(wrong.state.work.jobs.commands.swap(10, 11))
  const named = next(leader.replica, 'divergence')
  const reset = new Promise<number>((resolve) => {
    wrong.state.users.addEventListener('reset', ({ detail }) => resolve(detail.size), { once: true })
  })
  await leader.replica.mark()
  expect((await named).replica).toBe(wrong.replica.id)
  expect(await reset).toBe(100)
  await wrong.replica.inSync()
  await wrong.replica.barrier()
  expect(itemsNow(wrong.state)).toEqual(itemsNow(leader.state))
}, 20_000)

test('a group is of one composition alone', async () => {
  const group = new Group()
  await using leader = await group.start()
  await leads(leader.replica)
  const other = compose({ users: new ReplicatedMap<string, string>() })
  await expect(group.start({ machine: other })).rejects.toEqual(
    expect.objectContaining({ name: 'LogMismatch', field: 'signature' }),
  )
}, 20_000)

test('the example does what it says', async () => {
  const said: string[] = []
  await main((line) => void said.push(line))
  expect(said).toEqual([
    'ada has bought the last lamp, order 1',
    'bob has not: command 1, for stock, was refused, so none was applied: index 0 is out of range: the list had a length of 0 when the write was applied; read it anew',
    'ada has 60 left, bob has 100',
  ])
}, 20_000)
