import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { beforeEach, expect, test, vi } from 'vitest'
import { decodeAnnouncement } from '../../src/group/announcement.ts'
import { altered, alteredLog, Cluster, leads, next } from './cluster.ts'
import { line } from './journal.ts'

const inUse = expect.objectContaining({ name: 'IdentityInUse' })

let privateKey: PrivateKey

beforeEach(async () => {
  privateKey = await generateKeyPair('Ed25519')
})

test('a second process with one identity is refused; the first is told, goes on, and shows it on the board', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start({ privateKey })
  await leads(replica)
  const problem = next(replica, 'problem')
  await expect(cluster.start({ privateKey })).rejects.toEqual(inUse)
  expect(await problem).toEqual(inUse)
  await replica.submit(line('a'))
  expect([replica.state, replica.leader]).toEqual(['in-sync', replica.id])
  const handle = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
  await vi.waitFor(async () => {
    const [own] = await handle.notices.read()
    expect(decodeAnnouncement(own!.data)).toMatchObject({ state: 'in-sync', contested: true })
  })
})

test('a replica that was killed and is started again at once is no second process', async () => {
  await using cluster = new Cluster()
  let isAlive = true
  const log = alteredLog(cluster.log, ({ notices }) => ({
    notices: altered(notices, {
      announce: async (member, data, ttlMs, options) => {
        if (isAlive) await notices.announce(member, data, ttlMs, options)
      },
      withdraw: async () => {},
    }),
  }))
  const first = await cluster.start({ privateKey, log })
  await leads(first.replica)
  isAlive = false
  await first.replica.stop()
  const problems: Error[] = []
  const { replica } = await cluster.start({ privateKey })
  replica.addEventListener('problem', ({ detail }) => problems.push(detail))
  await replica.inSync()
  await replica.submit(line('a'))
  expect(problems).toEqual([])
})

test('of two that start at the same time one halts within two leases, and the other goes on', async () => {
  await using cluster = new Cluster()
  const both = await Promise.all([cluster.start({ privateKey }), cluster.start({ privateKey })])
  await vi.waitFor(() => expect(both.map(({ replica }) => replica.state)).toContain('halted'), 10_000)
  const [halted] = both.filter(({ replica }) => replica.state === 'halted')
  const [other] = both.filter(({ replica }) => replica.state !== 'halted')
  await expect(halted!.replica.submit(line('a'))).rejects.toEqual(inUse)
  await other!.replica.inSync()
  await other!.replica.submit(line('b'))
  await halted!.replica.stop()
  const handle = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
  expect((await handle.notices.read()).map(({ member }) => member)).toEqual([other!.replica.id])
})

test('one that was stopped for a while is there first all the same', async () => {
  await using cluster = new Cluster()
  let isStopped = false
  const log = alteredLog(cluster.log, ({ notices }) => ({
    notices: altered(notices, {
      announce: async (member, data, ttlMs, options) => {
        if (!isStopped) await notices.announce(member, data, ttlMs, options)
      },
    }),
  }))
  const { replica } = await cluster.start({ privateKey, log, lead: false })
  await replica.inSync()
  isStopped = true
  const second = await cluster.start({ privateKey, lead: false })
  await second.replica.inSync()
  isStopped = false
  await vi.waitFor(() => expect(second.replica.state).toBe('halted'), 10_000)
  await expect(second.replica.inSync()).rejects.toEqual(inUse)
  expect(replica.state).toBe('in-sync')
})
