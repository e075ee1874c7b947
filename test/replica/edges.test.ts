import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  FETCH_TIMEOUT_MS_MIN,
  GROUP_BYTES_MAX,
  REQUEST_TIMEOUT_MS_MIN,
  SIGNATURE_BYTES_MAX,
  TIMER_MS_MAX,
  TTL_MS_MIN,
} from '../../src/bounds.ts'
import { decodeAnnouncement } from '../../src/group/announcement.ts'
import { LEASE_MS_MAX, LEASE_MS_MIN } from '../../src/group/lease-bounds.ts'
import { EntryTooLarge } from '../../src/log/errors.ts'
import { ENTRY_BYTES_MIN } from '../../src/log/limits.ts'
import { memoryLog } from '../../src/log/memory.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import { makeNetworkKey } from '../../src/replica/node/network-key.ts'
import { createReplica } from '../../src/replica/start.ts'
import { leads } from './cluster.ts'
import { Journal, line } from './journal.ts'

const LINES = Array.from({ length: 40 }, (_, n) => `line ${n} ${'x'.repeat(100)}`)

/** A replica that leads, has pruned the log, and another that joins it over libp2p: with what both are told. */
async function join(init: Partial<ReplicaInit<number>>, signature = 'journal/1'): Promise<readonly string[]> {
  const log = memoryLog()
  const start = async (lead: boolean) => {
    const machine = Object.assign(new Journal(), { signature })
    const common = { group: 'journals', machine, log, lead, volatile: true, chunkBytes: 500, ...init }
    return { machine, replica: await createReplica<number>(common) }
  }
  const leader = await start(true)
  try {
    await leads(leader.replica)
    for (const text of LINES) await leader.replica.submit(line(text))
    await leader.replica.prune({ keepEntries: 0 })
    const joiner = await start(false)
    try {
      // With the shortest times a try may fail on a busy machine: the replica goes on by itself.
      while (joiner.replica.state !== 'in-sync') {
        await joiner.replica.inSync().catch(() => delay(20))
      }
      expect(joiner.replica.counts.get('caught-up')).toBe(1)
      return joiner.machine.lines
    } finally {
      await joiner.replica.stop()
    }
  } finally {
    await leader.replica.stop()
  }
}

const EDGES: [what: string, init: Partial<ReplicaInit<number>>][] = [
  ['the shortest lease', { leaseMs: LEASE_MS_MIN }],
  ['the longest lease', { leaseMs: LEASE_MS_MAX }],
  ['the shortest TTL', { ttlMs: TTL_MS_MIN }],
  ['the longest TTL', { ttlMs: TIMER_MS_MAX }],
  ['the shortest request timeout', { requestTimeoutMs: REQUEST_TIMEOUT_MS_MIN }],
  ['the longest request timeout', { requestTimeoutMs: TIMER_MS_MAX }],
  ['the shortest fetch timeout', { fetchTimeoutMs: FETCH_TIMEOUT_MS_MIN }],
  ['the longest fetch timeout', { fetchTimeoutMs: TIMER_MS_MAX }],
  [
    'all the shortest times',
    {
      leaseMs: LEASE_MS_MIN,
      ttlMs: TTL_MS_MIN,
      requestTimeoutMs: REQUEST_TIMEOUT_MS_MIN,
      fetchTimeoutMs: FETCH_TIMEOUT_MS_MIN,
    },
  ],
  [
    'all the longest times',
    {
      leaseMs: LEASE_MS_MAX,
      ttlMs: TIMER_MS_MAX,
      requestTimeoutMs: TIMER_MS_MAX,
      fetchTimeoutMs: TIMER_MS_MAX,
    },
  ],
  ['the smallest chunks', { chunkBytes: 1 }],
  ['snapshots preferred from the first entry', { snapshotAfter: 0 }],
  ['snapshots never preferred', { snapshotAfter: Number.POSITIVE_INFINITY }],
  ['the fewest streams', { limits: { streamsPerPeer: 2 } }],
  ['one request at a time', { limits: { requestsPerPeer: 1 } }],
  ['one session', { limits: { sessions: 1 } }],
  ['less room than a chunk takes', { limits: { sendingBytes: 1 } }],
  ['one marker a minute', { limits: { markersPerMinute: 1 } }],
  [
    'all the smallest limits',
    { limits: { streamsPerPeer: 2, requestsPerPeer: 1, sessions: 1, sendingBytes: 1, markersPerMinute: 1 } },
  ],
  ['the longest group name', { group: 'g'.repeat(GROUP_BYTES_MAX) }],
  ['a group name that is long in UTF-8', { group: '💾'.repeat(GROUP_BYTES_MAX / 4) }],
]

for (const networkKey of [undefined, makeNetworkKey()]) {
  describe(`with ${networkKey === undefined ? 'no' : 'a'} network key`, () => {
    test.each(EDGES)('a newcomer joins with %s', async (_what, init) => {
      expect(await join({ ...init, ...(networkKey && { networkKey }) })).toEqual(LINES)
    })

    test('a newcomer joins with the longest signature', async () => {
      const signature = 's'.repeat(SIGNATURE_BYTES_MAX)
      const init = { group: 'g'.repeat(GROUP_BYTES_MAX), ...(networkKey && { networkKey }) }
      expect(await join(init, signature)).toEqual(LINES)
    })
  })
}

describe('addresses', () => {
  const addresses = (count: number) =>
    Array.from({ length: count }, (_, n) => `/dns4/replica-${n}.example/tcp/${20_000 + n}`)
  const log = memoryLog({ maxEntryBytes: ENTRY_BYTES_MIN })
  const start = async (announce: string[]) =>
    await createReplica<number>({ group: 'g', machine: new Journal(), log, announce })

  test('as many as a log takes are announced', async () => {
    await using _replica = await start(addresses(20))
    const handle = await log.open({ group: 'g', signature: 'journal/1', author: 'a' })
    const [notice] = await handle.notices.read()
    expect(decodeAnnouncement(notice!.data)?.addresses).toHaveLength(20)
  })

  test('more than an announcement can ever hold, beside its offers, are refused at once', async () => {
    const error = await start(addresses(60)).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(EntryTooLarge)
    expect(String(error)).toMatch(/a notice of \d+ bytes is beyond the log's limit of 4096; listen on fewer/)
  })
})
