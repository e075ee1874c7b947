import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { beforeEach, expect, test } from 'vitest'
import { decodeAnnouncement } from '../../src/group/announcement.ts'
import { memoryLog } from '../../src/log/memory.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { ReplicaNetwork } from '../../src/replica/node/network.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplicaOn } from '../../src/replica/start.ts'
import type { ChunkCoder } from '../../src/snapshot/encoding.ts'
import { syncCoder } from '../../src/testing/simulation/coder.ts'
import { MemoryNetwork } from '../sync/memory-network.ts'
import { leads, next, TIMES } from './cluster.ts'
import { Journal, line } from './journal.ts'

const memory = new MemoryNetwork()
const log = memoryLog()
const names = memoryLog()
let encoded = 0
const coder: ChunkCoder = {
  ...syncCoder,
  encode(raw) {
    encoded++
    return syncCoder.encode(raw)
  },
}
/** What happened to the networks of the replicas, in order. */
const told: string[] = []

beforeEach(() => {
  told.length = 0
  encoded = 0
})

function networkOf(key: PrivateKey): ReplicaNetwork {
  const self = peerIdFromPrivateKey(key).toString()
  const node = memory.join(self)
  memory.turn(self, 'down')
  return {
    self,
    addresses: [`/memory/${self}`],
    dial: node.dial,
    async start(sync) {
      node.serveWith((peer, stream) => sync.serve(peer, stream))
      memory.turn(self, 'up')
      told.push('started')
    },
    async stop() {
      memory.kill(self)
      told.push('stopped')
    },
  }
}

function start(journal: Journal, init: Partial<ReplicaInit<number>> = {}): Promise<Replica<number>> {
  const options = { group: 'g', machine: journal, log, volatile: true, chunkBytes: 50, ...TIMES, ...init }
  return createReplicaOn({ network: networkOf, coder }, options)
}

test('a process may be named, so that a run from a seed announces the same each time', async () => {
  const internals = { network: networkOf, processName: 'the first' }
  await using replica = await createReplicaOn(internals, {
    group: 'named',
    machine: new Journal(),
    log: names,
  })
  const board = (await names.open({ group: 'named', signature: 'journal/1', author: 'test' })).notices
  const [own] = await board.read()
  expect([own?.member, decodeAnnouncement(own!.data)?.process]).toEqual([replica.id, 'the first'])
})

test('a group catches up over a network and with a coder of its own, and not one socket is opened', async () => {
  const written = new Journal()
  const fetched = new Journal()
  {
    await using leader = await start(written)
    await leads(leader)
    for (let n = 0; n < 30; n++) await leader.submit(line(`line ${n}`))
    await leader.prune({ keepEntries: 0 })
    await using joiner = await start(fetched, { lead: false })
    const report = await next(joiner, 'caught-up')
    expect(report.providersUsed).toEqual([leader.id])
    expect(joiner.members.flatMap(({ addresses }) => addresses)).toContain(`/memory/${leader.id}`)
    expect(process.getActiveResourcesInfo()).not.toContain('TCPServerWrap')
  }
  expect(fetched.lines).toEqual(written.lines)
  expect(told).toEqual(['started', 'started', 'stopped', 'stopped'])
  expect(memory.open).toBe(0)
  expect(encoded).toBeGreaterThan(0)
})
