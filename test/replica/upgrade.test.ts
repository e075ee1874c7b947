import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { encodeAnnouncement } from '../../src/group/announcement.ts'
import { UpgradeRefused, UpgradeRequired } from '../../src/group/errors.ts'
import { LogMismatch } from '../../src/log/errors.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { NotLeader } from '../../src/sync/wire/errors.ts'
import { altered, alteredLog, leads, next, TIMES } from './cluster.ts'
import { Stock } from './stock.ts'

let log: MemoryLog
let replicas: Replica<number>[]

beforeEach(() => {
  log = memoryLog()
  replicas = []
})

afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()))
})

async function start(machine: Stock, init: Partial<ReplicaInit<number>> = {}): Promise<Replica<number>> {
  const replica = await createReplica<number>({
    group: 'stock',
    machine,
    log,
    volatile: true,
    logger: false,
    upgrade: { afterMs: 200 },
    ...TIMES,
    ...init,
  })
  replicas.push(replica)
  await replica.inSync({ signal: AbortSignal.timeout(20_000) })
  return replica
}

const order = (text: string) => Buffer.from(text)

/** Resolves when a replica speaks that version. */
async function spoken(replica: Replica<number>, signature: string): Promise<void> {
  while (replica.signature !== signature) await next(replica, 'upgraded')
}

test('a group goes over when the last member speaks the newer version, all at one position, and a joiner of the newer one catches up', async () => {
  const old = new Stock(1)
  const a = await start(old)
  await leads(a)
  await a.submit(order('nut +3'))
  const newer = [new Stock(2, 1), new Stock(2, 1)] as const
  const b = await start(newer[0], { lead: false })
  const c = await start(newer[1], { lead: false })
  await b.submit(order('bolt +5'))
  // The newer program behaves as the older one did.
  expect(newer[0].upgrades).toEqual([])
  expect((await b.submit(order('nut !1'))).result).toBeUndefined()
  const before = await a.mark()
  expect(await c.rootAt(before)).toEqual(await a.rootAt(before))

  await a.stop()
  const d = await start(new Stock(2, 1))
  await leads(d)
  await Promise.all([b, c, d].map((replica) => spoken(replica, 'stock/2')))
  expect((await b.submit(order('NUT !1'))).result).toBe(2)
  expect(newer.map(({ upgrades }) => upgrades)).toEqual([['stock/1 to stock/2'], ['stock/1 to stock/2']])
  expect([...newer[1].articles.keys()].sort()).toEqual(['BOLT', 'NUT'])
  const after = await d.mark()
  const roots = await Promise.all([b, c, d].map((replica) => replica.rootAt(after)))
  expect(new Set(roots.map((root) => Buffer.from(root).toString('hex'))).size).toBe(1)

  await d.prune({ keepEntries: 0 })
  const joined = new Stock(2)
  const e = await start(joined, { lead: false })
  expect(e.counts.get('caught-up')).toBe(1)
  expect(e.signature).toBe('stock/2')
  expect(joined.articles).toEqual(newer[0].articles)
})

test('who does not speak the newer version stops before the upgrade, keeps its state, and later ones are refused', async () => {
  let isHeard = true
  const heard = alteredLog(log, ({ notices }) => ({
    notices: altered(notices, {
      announce: async (...presence) => {
        if (isHeard) await notices.announce(...presence)
      },
    }),
  }))
  const behind = new Stock(1)
  const left = await start(behind, { lead: false, log: heard })
  const leader = await start(new Stock(2, 1), { upgrade: 'manual' })
  await leads(leader)
  await leader.submit(order('nut +3'))
  await left.barrier()
  await expect(leader.upgrade()).rejects.toThrow(UpgradeRefused)
  await expect(leader.upgrade({ to: 'stock/2' })).rejects.toThrow(left.id)
  await expect(left.upgrade()).rejects.toThrow(NotLeader)
  await expect(leader.upgrade({ to: 'stock/3' })).rejects.toThrow('does not speak "stock/3"')

  // Nobody is asked who is not heard.
  isHeard = false
  const handle = await log.open({ group: 'stock', author: 'test', create: false })
  await handle.notices.withdraw(left.id)
  const halted = next(left, 'state')
  const position = await leader.upgrade()
  const { state, reason } = await halted
  expect(reason).toBeInstanceOf(UpgradeRequired)
  expect(reason?.message).toContain('the group speaks "stock/2"')
  expect([state, left.position.index]).toEqual(['halted', position.index - 1])
  expect(behind.articles).toEqual(new Map([['nut', { count: 3, reserved: 0 }]]))
  await expect(leader.upgrade()).rejects.toThrow('already')
  await expect(leader.upgrade({ to: 'stock/1' })).rejects.toThrow('no way back')
  await expect(start(new Stock(1))).rejects.toThrow(LogMismatch)
})

test('a joiner that cannot install the snapshot halts with the reason, where the log has no note of the upgrade', async () => {
  await log.open({ group: 'stock', signature: 'stock/1', author: 'test' })
  const noteless = alteredLog(log, () => ({ noteUpgrade: () => Promise.reject(new Error('not allowed')) }))
  const leader = await start(new Stock(2, 1), { log: noteless, upgrade: 'manual' })
  await leads(leader)
  await leader.submit(order('nut +3'))
  await leader.upgrade()
  await leader.prune({ keepEntries: 0 })
  await expect(start(new Stock(1), { lead: false })).rejects.toThrow(UpgradeRequired)
  expect(replicas.at(-1)!.state).toBe('halted')
})

test('a group in which a member of the last release is present begins in the first format, and goes on to the next without it', async () => {
  const handle = await log.open({ group: 'stock', signature: 'stock/1', author: 'test' })
  const ancient = encodeAnnouncement({
    epoch: handle.epoch,
    addresses: [],
    state: 'in-sync',
    applied: 0,
    leads: 0,
    offers: [],
    needs: 0,
    checkpoint: 0,
  })
  await handle.notices.announce('ancient', ancient, 60_000)
  const [one, other] = [new Stock(1), new Stock(1)]
  const a = await start(one)
  await leads(a)
  const b = await start(other, { lead: false })
  expect([a.format, b.format]).toEqual([1, 1])
  await a.submit(order('nut +3'))

  const upgraded = next(b, 'upgraded')
  await handle.notices.withdraw('ancient')
  expect(await upgraded).toMatchObject({ format: 2, from: 'stock/1', to: 'stock/1' })
  await a.barrier()
  expect([a.format, b.format, one.upgrades]).toEqual([2, 2, []])
  const anchor = await a.mark()
  expect(await b.rootAt(anchor)).toEqual(await a.rootAt(anchor))
  await a.prune({ keepEntries: 0 })
  const c = await start(new Stock(1), { lead: false })
  expect([c.format, c.counts.get('caught-up')]).toEqual([2, 1])
})

test('a joiner that has forgotten the version before asks for a newer snapshot where one from before the upgrade is offered', async () => {
  await log.open({ group: 'stock', signature: 'stock/1', author: 'test' })
  const leader = await start(new Stock(2, 1), { upgrade: 'manual', ttlMs: 60_000 })
  await leads(leader)
  await leader.submit(order('nut +3'))
  await leader.mark()
  await leader.upgrade()
  const joined = new Stock(2)
  const joiner = await start(joined, { lead: false })
  expect([joiner.state, joiner.signature, joiner.counts.get('caught-up')]).toEqual(['in-sync', 'stock/2', 1])
  expect([...joined.articles.keys()]).toEqual(['NUT'])
})

test('an upgrade that the machine fails at is not applied, and nobody is told that it is', async () => {
  await log.open({ group: 'stock', signature: 'stock/1', author: 'test' })
  class Failing extends Stock {
    override upgrade(): void {
      throw new Error('no room for capitals')
    }
  }
  const leader = await start(new Failing(2, 1), { upgrade: 'manual' })
  await leads(leader)
  const { position } = await leader.submit(order('nut +3'))
  await expect(leader.upgrade()).rejects.toThrow('no room for capitals')
  expect([leader.state, leader.position]).toEqual(['halted', position])
})

test('a new group begins in the newest format', async () => {
  const a = await start(new Stock(1))
  await leads(a)
  expect([a.format, a.signature]).toEqual([2, 'stock/1'])
  // Version 0.1.0 knows only the first format, and is kept out by the note alone.
  const handle = await log.open({ group: 'stock', author: 'test', create: false })
  expect([handle.signature, handle.upgraded]).toEqual(['stock/1', 'stock/1'])
})

test('a version is dropped when a checkpoint of a newer one is on the disk, or a member has the state', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-upgrade-'))
  try {
    const first = await start(new Stock(1), { dataDir, volatile: false })
    await leads(first)
    await first.submit(order('nut +3'))
    const old = await first.mark()
    await first.checkpointed(old)
    await first.stop()
    const noted = Promise.withResolvers<void>()
    const noting = alteredLog(log, (handle) => ({
      noteUpgrade: async (...note) => {
        await handle.noteUpgrade?.(...note)
        noted.resolve()
      },
    }))
    const second = await start(new Stock(2, 1), { dataDir, volatile: false, log: noting })
    await leads(second)
    await spoken(second, 'stock/2')
    await noted.promise
    // Nothing is pruned, and the entries from before the upgrade are none that this one could apply.
    const joined = new Stock(2)
    const joiner = await start(joined, { lead: false })
    expect([joiner.counts.get('caught-up'), joined.articles.get('NUT')?.count]).toEqual([1, 3])
    await joiner.stop()
    await second.checkpointed(await second.mark())
    await second.stop()

    const alone = new Stock(2)
    const third = await start(alone, { dataDir, volatile: false })
    expect([third.signature, alone.articles.get('NUT')?.count]).toEqual(['stock/2', 3])
  } finally {
    await Promise.all(replicas.map((replica) => replica.stop()))
    await rm(dataDir, { recursive: true })
  }
})

test('a group goes over two versions at once, and no further than all members can', async () => {
  const skipping = new Stock(1)
  Object.assign(skipping, { signature: 'stock/3', older: ['stock/2', 'stock/1'] })
  const middle = new Stock(2, 1)
  const first = await start(new Stock(1))
  await leads(first)
  await first.stop()
  const a = await start(skipping, { upgrade: 'manual' })
  await leads(a)
  const b = await start(middle, { lead: false })
  await expect(a.upgrade({ to: 'stock/3' })).rejects.toThrow(b.id)
  await b.stop()
  await a.upgrade()
  expect([a.signature, skipping.upgrades]).toEqual(['stock/3', ['stock/1 to stock/3']])
})
