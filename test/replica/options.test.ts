import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  CHUNK_BYTES_MAX,
  FETCH_TIMEOUT_MS_MIN,
  GROUP_BYTES_MAX,
  REQUEST_TIMEOUT_MS_MIN,
  SIGNATURE_BYTES_MAX,
  TIMER_MS_MAX,
  TTL_MS_MIN,
} from '../../src/bounds.ts'
import { LEASE_MS_MAX, LEASE_MS_MIN } from '../../src/group/lease-bounds.ts'
import type { LogBackend } from '../../src/log/log.ts'
import { makeNetworkKey } from '../../src/replica/node/network-key.ts'
import { type CheckedOptions, checkOptions } from '../../src/replica/options.ts'
import { createReplica } from '../../src/replica/start.ts'
import { systemClock } from '../../src/time/clock.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { Journal } from './journal.ts'

const INFINITE = Number.POSITIVE_INFINITY
const SMALL = 1e-9
const neverOpened: LogBackend = {
  open: async () => {
    throw new Error('the log was opened')
  },
}

const named = (signature: string) => Object.assign(new Journal(), { signature })
const options = (name: string, value: unknown): CheckedOptions => {
  const [head, tail] = name.split('.')
  const given = { [head!]: tail === undefined ? value : { [tail]: value } }
  return { group: 'g', machine: new Journal(), log: neverOpened, ...given }
}

/** Numbers that no option takes, and what a program in JavaScript may give in the place of one. */
const NO_NUMBER = [Number.NaN, '5', null, true, {}]
const milliseconds = (min: number, max = TIMER_MS_MAX) => ({
  taken: [min, min + 0.5, max],
  refused: [...NO_NUMBER, 0, -1, min - SMALL, max + 1, INFINITE],
})
const amount = { taken: [1, 1.5, INFINITE], refused: [...NO_NUMBER, 0, -1] }
const integer = (min: number, max?: number) => ({
  taken: [min, max ?? 2 ** 40],
  refused: [...NO_NUMBER, min - 1, min + 0.5, max === undefined ? 2 ** 53 : max + 1, INFINITE],
})

const OPTIONS: Record<string, { taken: readonly unknown[]; refused: readonly unknown[] }> = {
  group: {
    taken: ['g', 'g'.repeat(GROUP_BYTES_MAX), 'ü'.repeat(GROUP_BYTES_MAX / 2)],
    refused: [
      '',
      'g'.repeat(GROUP_BYTES_MAX + 1),
      'ü'.repeat(GROUP_BYTES_MAX / 2 + 1),
      'a\0',
      '\ud800',
      5,
      null,
    ],
  },
  machine: {
    taken: [named('s'.repeat(SIGNATURE_BYTES_MAX))],
    refused: [named(''), named('s'.repeat(SIGNATURE_BYTES_MAX + 1)), named('a\nb')],
  },
  leaseMs: milliseconds(LEASE_MS_MIN, LEASE_MS_MAX),
  ttlMs: milliseconds(TTL_MS_MIN),
  requestTimeoutMs: milliseconds(REQUEST_TIMEOUT_MS_MIN),
  fetchTimeoutMs: milliseconds(FETCH_TIMEOUT_MS_MIN),
  chunkBytes: integer(1, CHUNK_BYTES_MAX),
  snapshotAfter: { taken: [0, 0.5, INFINITE], refused: [...NO_NUMBER, -1] },
  networkKey: {
    taken: [makeNetworkKey(), [makeNetworkKey(), makeNetworkKey()]],
    refused: [Buffer.from('secret'), makeNetworkKey().toString(), [], [null], null],
  },
  dataDir: { taken: ['data'], refused: ['', 5, null] },
  clock: { taken: [systemClock, new VirtualClock()], refused: [{ now: () => 0 }, Date.now, null] },
  random: { taken: [Math.random], refused: [0.5, null] },
  logger: {
    taken: [console, false, { forComponent: () => console }],
    refused: [true, console.warn, {}, null, { forComponent: 'replica' }],
  },
  authorize: { taken: [() => true], refused: ['12D3', true, null] },
  'checkpoint.everyCommands': amount,
  'checkpoint.everyBytes': amount,
  'checkpoint.everyMs': amount,
  'checkpoint.keep': integer(1),
  'prune.keepEntries': integer(0),
  'prune.intervalMs': milliseconds(1),
  'limits.streamsPerPeer': integer(2),
  'limits.requestsPerPeer': integer(1),
  'limits.sessions': integer(1),
  'limits.sendingBytes': integer(1),
  'limits.markersPerMinute': integer(1),
  'limits.unknown': { taken: [], refused: [1] },
}

describe.each(Object.entries(OPTIONS))('%s', (name, { taken, refused }) => {
  test.each(taken.map((value) => [value]))('takes %s', (value) => checkOptions(options(name, value)))

  test.each(refused.map((value) => [value]))('refuses %s before anything is opened', async (value) => {
    const error = await createReplica(options(name, value) as never).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(RangeError)
    expect((error as Error).message).toContain(name === 'machine' ? 'signature' : name)
  })
})

describe('a directory', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'options-'))
  })
  afterAll(async () => {
    await rm(dir, { recursive: true })
  })

  test('is not made for a replica that is refused', async () => {
    const init = { ...options('dataDir', join(dir, 'data')), leaseMs: 1 }
    await expect(createReplica(init as never)).rejects.toThrow('leaseMs is 1; give milliseconds from 250 to')
    expect(await readdir(dir)).toEqual([])
  })
})
