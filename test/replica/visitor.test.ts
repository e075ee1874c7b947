import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { GROUP_FORMAT } from '../../src/group/formats.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import type { ReplicaReport } from '../../src/replica/snapshots/report.ts'
import { createReplica } from '../../src/replica/start.ts'
import { NobodyAnswers } from '../../src/replica/visit/errors.ts'
import { Visitor } from '../../src/replica/visit/visitor.ts'
import { Cluster, leads, when } from './cluster.ts'
import { line } from './journal.ts'

/** One replica of a map, and its log as a visitor opens it. */
class Place implements AsyncDisposable {
  readonly log = memoryLog()
  readonly map = new ReplicatedMap()
  readonly #replicas: Replica<never>[] = []
  readonly #logs: Log[] = []

  async start(init: Partial<ReplicaInit<never>> = {}): Promise<Replica<never>> {
    const machine = this.#replicas.length === 0 ? this.map : new ReplicatedMap()
    const common = {
      group: 'g',
      machine: machine as never,
      log: this.log,
      volatile: true,
      logger: false,
    } as const
    const replica = await createReplica<never>({ ...common, leaseMs: 1_500, ...init })
    this.#replicas.push(replica)
    await (this.#replicas.length === 1 ? leads(replica) : replica.inSync())
    return replica
  }

  async visit(): Promise<Visitor> {
    const log = await this.log.open({ group: 'g', author: 'visitor', create: false })
    this.#logs.push(log)
    return await Visitor.enter({ group: 'g', signature: log.signature, log })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const replica of this.#replicas) await replica.stop()
    for (const log of this.#logs) await log.close()
  }
}

const ask = async (visitor: Visitor, question: string) => {
  const { bytes } = await visitor.ask((channel) => channel.query(Buffer.from(question)))
  return bytes && Buffer.from(bytes).toString()
}

test('a visitor is answered with all that was written before, and nothing is captured for it', async () => {
  await using place = new Place()
  const replica = await place.start()
  let captures = 0
  replica.addEventListener('sync', ({ detail }) => {
    if (detail.type === 'captured') captures++
  })
  await place.map.set('CH/Bern', 134_794)
  await using visitor = await place.visit()
  expect(await ask(visitor, 'CH/Bern')).toBe('134794')
  expect(await ask(visitor, 'CH/Basel')).toBeUndefined()
  const log = await place.log.open({ group: 'g', author: 'writer', create: false })
  for (let n = 0; n < 20; n++) {
    await log.append([{ kind: 'command', payload: place.map.commands.set('n', n) }])
    expect(await ask(visitor, 'n')).toBe(String(n))
  }
  await log.close()
  expect([captures, replica.counts.get('captured') ?? 0]).toEqual([0, 0])
})

test('a visitor is a member for as long as it is there, serves nothing, and is no elector', async () => {
  await using place = new Place()
  const replica = await place.start()
  {
    await using visitor = await place.visit()
    await ask(visitor, 'a')
    // It reads whatever there is, and so is in nobody's way when the group goes over to another format.
    expect(replica.members.map(({ format }) => format)).toEqual([GROUP_FORMAT, GROUP_FORMAT])
    expect(visitor.replicas.map(({ id }) => id)).toEqual([replica.id])
    const anchor = await replica.mark()
    await replica.rootAt(anchor)
  }
  while (replica.members.length > 1) await new Promise(setImmediate)
})

test('the next replica is asked where one does not answer, and nobody is worth a visit where none runs', async () => {
  await using place = new Place()
  const first = await place.start()
  await place.map.set('a', 1)
  const second = await place.start({ authorize: () => false })
  await using visitor = await place.visit()
  const one = ({ id }: Replica<never>) => visitor.replicas.filter((member) => member.id === id)
  const question = Buffer.from('a')
  // This one lets nobody in.
  const refused = visitor.ask((channel) => channel.query(question), { among: one(second) })
  await expect(refused).rejects.toMatchObject({ cause: expect.objectContaining({ name: 'Unauthorized' }) })
  const among = [...one(second), ...one(first)]
  const { bytes } = await visitor.ask((channel) => channel.query(question), { among })
  expect(Buffer.from(bytes!).toString()).toBe('1')
  await Promise.all([first.stop(), second.stop()])
  await expect(place.visit()).rejects.toBeInstanceOf(NobodyAnswers)
})

test('a replica whose machine answers no questions says so', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  await replica.inSync()
  const log = await cluster.log.open({ group: 'journals', author: 'visitor', create: false })
  await using visitor = await Visitor.enter({ group: 'journals', signature: log.signature, log })
  const asked = visitor.ask((channel) => channel.query(Buffer.from('a')))
  await expect(asked).rejects.toThrow('answers no questions')
})

test('a replica tells what it knows of itself and of the group', async () => {
  await using place = new Place()
  const replica = await place.start()
  await place.map.set('a', 1)
  await using visitor = await place.visit()
  const report: ReplicaReport = JSON.parse(
    Buffer.from(await visitor.ask((channel) => channel.status())).toString(),
  )
  expect(report).toMatchObject({
    id: replica.id,
    group: 'g',
    state: 'in-sync',
    position: replica.position,
    leader: replica.id,
    term: 1,
    signature: place.map.signature,
    log: { first: 1, newest: { index: replica.position.index } },
    logConnected: true,
    clockMs: expect.any(Number),
  })
  expect(report).not.toHaveProperty('failure')
  expect(report).not.toHaveProperty('problem')
  const self = report.members.find(({ id }) => id === replica.id)
  expect(self).toMatchObject({ addresses: replica.addresses, offers: [], checkpoint: 0 })
})

test('a replica without a state tells what keeps it from having one', async () => {
  await using cluster = new Cluster()
  const [one] = await cluster.startLed(0)
  for (const text of ['a', 'b', 'c']) await one.replica.submit(line(text))
  await one.replica.prune({ keepEntries: 0 })
  await one.replica.stop()
  const { replica } = await cluster.start({ lead: false, requestTimeoutMs: 500, fetchTimeoutMs: 250 })
  await when(replica, 'state', () => replica.state === 'lost')
  const log = await cluster.log.open({ group: 'journals', author: 'visitor', create: false })
  await using visitor = await Visitor.enter({ group: 'journals', signature: log.signature, log })
  const json = await visitor.ask((channel) => channel.status())
  expect(JSON.parse(Buffer.from(json).toString())).toMatchObject({
    state: 'lost',
    failure: { code: 'STATE_LOST', message: replica.failure!.message, causes: ['NO_PROVIDER'] },
  })
})

test('the leader obeys an order to prune, and others name it', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-visitor-'))
  await using place = new Place()
  // It must lead to the end, also where the machine is busy.
  const leader = await place.start({ dataDir, volatile: false, leaseMs: 10_000 })
  const follower = await place.start({ lead: false })
  for (let n = 0; n < 5; n++) await place.map.set(`k${n}`, n)
  await using visitor = await place.visit()
  const order = { type: 'order', order: { type: 'prune', keepEntries: 2 } } as const
  const give = (id: string) =>
    visitor.ask((channel) => channel.request(order, 'done'), {
      among: visitor.replicas.filter((one) => one.id === id),
    })
  await expect(give(follower.id)).rejects.toMatchObject({
    cause: expect.objectContaining({ name: 'NotLeader', leader: leader.id }),
  })
  // Nothing is on a disk yet.
  await expect(give(leader.id)).rejects.toMatchObject({
    cause: expect.objectContaining({ name: 'Failed', message: expect.stringContaining('checkpoint') }),
  })
  const anchor = await leader.mark()
  await leader.checkpointed(anchor)
  const pruned = once(leader, 'pruned')
  const { index } = await give(leader.id)
  await pruned
  expect(index).toBeGreaterThan(0)
  // On a slow machine two entries come after the marker meanwhile, such as attestations.
  expect(index).toBeLessThanOrEqual(anchor.index)
  await rm(dataDir, { recursive: true, force: true })
})

test('a log that takes no announcement keeps a visitor no longer than it wants to wait', async () => {
  await using place = new Place()
  await place.start()
  const log = await place.log.open({ group: 'g', author: 'visitor', create: false })
  const announce: Log['notices']['announce'] = (_member, _data, _ttlMs, { signal } = {}) =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  const { epoch, signature } = log
  const notices = { announce, withdraw: async () => {}, read: () => log.notices.read() }
  const stuck = { epoch, signature, notices } as unknown as Log
  const left = new AbortController()
  const entering = Visitor.enter({ group: 'g', signature, log: stuck, signal: left.signal })
  setImmediate(() => left.abort(new Error('enough')))
  await expect(entering).rejects.toThrow('enough')
  await log.close()
})

test('a replica that announces itself late is waited for', async () => {
  await using place = new Place()
  const replica = await place.start()
  const log = await place.log.open({ group: 'g', author: 'visitor', create: false })
  let looks = 0
  const read: Log['notices']['read'] = async () => {
    const presences = await log.notices.read()
    // Older than it may be, at the first two looks.
    return ++looks > 2 ? presences : presences.map((one) => ({ ...one, ageMs: one.ttlMs + 1, version: -1 }))
  }
  const { epoch, signature } = log
  const announce: Log['notices']['announce'] = (...args) => log.notices.announce(...args)
  const withdraw: Log['notices']['withdraw'] = (...args) => log.notices.withdraw(...args)
  const late = { epoch, signature, notices: { read, announce, withdraw } } as unknown as Log
  {
    await using visitor = await Visitor.enter({ group: 'g', signature, log: late })
    expect(visitor.replicas.map(({ id }) => id)).toEqual([replica.id])
  }
  await log.close()
})
