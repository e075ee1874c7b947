import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GROUP_BYTES_MAX } from '../../src/bounds.ts'
import { EntryTooLarge, LogUnusable } from '../../src/log/errors.ts'
import { jetstreamLog } from '../../src/log/jetstream.ts'
import { ENTRY_BYTES_DEFAULT, ENTRY_BYTES_MAX, ENTRY_BYTES_MIN } from '../../src/log/limits.ts'
import type { LogBackend } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { bytesCodec } from '../../src/machine/codec.ts'
import { KeyTooLarge } from '../../src/machine/errors.ts'
import { KEY_BYTES_MAX } from '../../src/machines/limits.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { makeNetworkKey } from '../../src/replica/node/network-key.ts'
import { createReplica } from '../../src/replica/start.ts'
import { describeNats } from '../log/nats.ts'
import { leads } from './cluster.ts'

/** A busy machine may take a while over what is one frame. */
const TIMES = { leaseMs: 10_000, fetchTimeoutMs: 20_000, requestTimeoutMs: 30_000 }
const LONGEST_KEY = 'k'.repeat(KEY_BYTES_MAX)
const { commands } = new ReplicatedMap<string, Uint8Array>({ values: bytesCodec })

/** The longest value with which `set` makes one entry of so many bytes. */
function longestValue(key: string, entryBytes: number): Uint8Array {
  const guess = entryBytes - key.length - 16
  const head = commands.set(key, new Uint8Array(guess)).length - guess
  return randomBytes(entryBytes - head)
}

/**
 * A replica writes the largest value that its log takes, is refused one that is a byte longer, and prunes the log; another then joins it
 * over libp2p.
 */
async function expectLargestJoins(
  log: LogBackend,
  entryBytes: number,
  networkKey?: Uint8Array,
): Promise<void> {
  const start = async (lead: boolean) => {
    const map = new ReplicatedMap<string, Uint8Array>({ values: bytesCodec })
    const common = { group: 'ü'.repeat(GROUP_BYTES_MAX / 2), machine: map, log, lead, volatile: true }
    return { map, replica: await createReplica({ ...common, ...TIMES, ...(networkKey && { networkKey }) }) }
  }
  const leader = await start(true)
  const { map } = leader
  try {
    await leads(leader.replica)
    const value = longestValue('key', entryBytes)
    expect(commands.set('key', value).length).toBe(entryBytes)
    await map.set('key', value)
    const tooLong = expect.objectContaining({ bytes: entryBytes + 1, maxBytes: entryBytes })
    await expect(map.set('key', randomBytes(value.length + 1))).rejects.toEqual(tooLong)
    await map.set('mortal', randomBytes(value.length - 20), { ttlMs: 2 ** 48 })
    if (entryBytes > 2 * KEY_BYTES_MAX) await map.set(LONGEST_KEY, new Uint8Array(1))
    await expect(map.set(`${LONGEST_KEY}k`, new Uint8Array(1))).rejects.toThrow(KeyTooLarge)
    await leader.replica.prune({ keepEntries: 0 })
    const joiner = await start(false)
    try {
      await joiner.replica.inSync()
      expect(joiner.replica.counts.get('caught-up')).toBe(1)
      const equal = [...map.keys()].map((key) => Buffer.compare(map.get(key)!, joiner.map.get(key)!))
      expect(equal).toEqual(new Array(map.size).fill(0))
    } finally {
      await joiner.replica.stop()
    }
  } finally {
    await leader.replica.stop()
  }
}

describe.each([
  ['no network key', undefined],
  ['a network key', makeNetworkKey()],
])('with %s, the largest value joins', (_how, networkKey) => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'largest-'))
  })
  afterAll(async () => {
    await rm(dir, { recursive: true })
  })

  test.each([
    ['by default', undefined, ENTRY_BYTES_DEFAULT],
    ['at most', ENTRY_BYTES_MAX, ENTRY_BYTES_MAX],
    ['at least', ENTRY_BYTES_MIN, ENTRY_BYTES_MIN],
  ])('that a log in memory takes %s', async (_which, maxEntryBytes, entryBytes) => {
    await expectLargestJoins(memoryLog({ ...(maxEntryBytes && { maxEntryBytes }) }), entryBytes, networkKey)
  })

  test.each([
    ['by default', undefined, ENTRY_BYTES_DEFAULT],
    ['at most', ENTRY_BYTES_MAX, ENTRY_BYTES_MAX],
    ['at least', ENTRY_BYTES_MIN, ENTRY_BYTES_MIN],
  ])('that a file takes %s', async (which, maxEntryBytes, entryBytes) => {
    const path = join(dir, `${which}.db`)
    const log = sqliteLog({ path, ...(maxEntryBytes && { maxEntryBytes }) })
    await expectLargestJoins(log, entryBytes, networkKey)
  })
})

describeNats('NATS servers', () => {
  let nats: NatsServers
  afterAll(async () => {
    await nats?.stop()
  })

  /** What the servers count besides the payload. */
  const OVERHEAD_BYTES = 1_026

  async function serversTaking(maxPayload: number): Promise<NatsServers> {
    await nats?.stop()
    nats = await startNatsServers({ config: `max_payload: ${maxPayload}\nmax_pending: ${2 * maxPayload}` })
    return nats
  }

  async function streams(servers: readonly string[]): Promise<string[]> {
    const nc = await connect({ servers: [...servers] })
    try {
      const jsm = await jetstreamManager(nc)
      return await Array.fromAsync(jsm.streams.list(), ({ config }) => config.name)
    } finally {
      await nc.close()
    }
  }

  test.each([
    ['as they are', 1024 * 1024, 1024 * 1024 - OVERHEAD_BYTES],
    ['that take 8 MiB', 8 * 1024 * 1024, 8 * 1024 * 1024 - OVERHEAD_BYTES],
    ['that take more than an item of a snapshot', 40 * 1024 * 1024, ENTRY_BYTES_MAX],
    ['that take hardly anything', ENTRY_BYTES_MIN + OVERHEAD_BYTES, ENTRY_BYTES_MIN],
  ])('%s: the largest value joins', async (_which, maxPayload, entryBytes) => {
    const { urls: servers } = await serversTaking(maxPayload)
    await expectLargestJoins(jetstreamLog({ servers }), entryBytes)
  })

  test('that take less than a group needs are refused, and nothing is left on them', async () => {
    const { urls: servers } = await serversTaking(ENTRY_BYTES_MIN + OVERHEAD_BYTES - 1)
    const machine = new ReplicatedMap()
    const start = createReplica({ group: 'g', machine, log: jetstreamLog({ servers }) })
    await expect(start).rejects.toThrow(LogUnusable)
    await expect(streams(servers)).resolves.toEqual([])
  })
})

test.each([
  ENTRY_BYTES_MIN - 1,
  ENTRY_BYTES_MAX + 1,
  0,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '5000',
])('no backend takes entries of %s bytes', (given) => {
  const maxEntryBytes = given as number
  const message = `give an integer from ${ENTRY_BYTES_MIN} to ${ENTRY_BYTES_MAX}`
  expect(() => memoryLog({ maxEntryBytes })).toThrow(message)
  expect(() => sqliteLog({ path: 'never.db', maxEntryBytes })).toThrow(message)
  expect(() => jetstreamLog({ servers: 'nats://127.0.0.1:1', maxEntryBytes })).toThrow(message)
})

test('an entry beyond the limit is an error of its own name', () => {
  expect(new EntryTooLarge(2, 1).message).toBe(
    "an entry of 2 bytes is beyond the log's limit of 1; split the command",
  )
})
