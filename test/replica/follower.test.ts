import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { VirtualClock } from '../../src/expiry/virtual-clock.ts'
import type { ReplicaState } from '../../src/group/announcement.ts'
import { BATCH_ENTRIES_MAX } from '../../src/log/limits.ts'
import type { Log, LogBatch } from '../../src/log/log.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { Diverged } from '../../src/replica/errors.ts'
import { Follower } from '../../src/replica/follower.ts'
import { Status } from '../../src/replica/status.ts'
import type { CaughtUp } from '../../src/sync/session.ts'
import { FlakyLog } from './cluster.ts'

const RETRY_MS = 500
const NOBODY_FAR_BEHIND = Number.POSITIVE_INFINITY
const ENTRY = { kind: 'command', payload: Buffer.from('a') } as const
const named = (name: string) => expect.objectContaining({ name })

const caughtUp = (index: number): CaughtUp => ({
  anchor: { epoch: 'e', index },
  providersUsed: [],
  bytesFetched: 0,
  anchorsLost: 0,
  phasesMs: { request: 0, cut: 0, fetch: 0, install: 0 },
})

let snapshotAfter: number
let clock: VirtualClock
let backend: MemoryLog
let flaky: FlakyLog
let log: Log
let states: ReplicaState[]
let status: Status
let problems: Error[]
/** Snapshots that were asked for. */
let asked: PromiseWithResolvers<CaughtUp>[]
let applier: {
  applied: number
  cursor: { index: number; id?: string }
  apply(batch: LogBatch): Promise<void>
}
let follower: Follower
let stop: AbortController
let running: Promise<void>

beforeEach(async () => {
  snapshotAfter = NOBODY_FAR_BEHIND
  clock = new VirtualClock()
  backend = memoryLog({ epoch: 'e' })
  flaky = new FlakyLog(backend)
  log = await flaky.open({ group: 'g', signature: 's', author: 'me' })
  states = []
  status = new Status(({ state }) => states.push(state))
  problems = []
  asked = []
  applier = {
    applied: 0,
    cursor: { index: 0 },
    async apply({ entries }) {
      this.cursor = entries.at(-1)!
      this.applied = this.cursor.index
    },
  }
  follower = new Follower({
    log,
    applier,
    status,
    clock,
    get snapshotAfter() {
      return snapshotAfter
    },
    someoneServes: () => true,
    catchUp: ({ signal }) => {
      const one = Promise.withResolvers<CaughtUp>()
      signal.addEventListener('abort', () => one.reject(signal.reason))
      asked.push(one)
      return one.promise
    },
    onInSync: () => {},
    onCaughtUp: () => {},
    onProblem: (error) => problems.push(error),
  })
  stop = new AbortController()
})

afterEach(async () => {
  stop.abort()
  await running
})

async function until(done: () => boolean): Promise<void> {
  while (!done()) await clock.turn()
}

/** It has applied three entries, and is in sync. */
async function follow(): Promise<void> {
  await log.append([ENTRY, ENTRY, ENTRY])
  running = follower.run(stop.signal)
  await until(() => status.state === 'in-sync')
  expect(applier.applied).toBe(3)
  states.length = 0
}

/** An entry comes that it cannot read. */
async function failToRead(): Promise<void> {
  flaky.readable = 'nothing'
  await log.append([ENTRY])
  await until(() => problems.length > 0)
}

test('load alone does not put it out of sync, however far it falls behind', async () => {
  await follow()
  snapshotAfter = 1
  const behind: number[] = []
  const { apply } = applier
  applier.apply = async (batch) => {
    await apply.call(applier, batch)
    behind.push(batch.newest.index - applier.applied)
  }
  await log.append(Array.from({ length: 3 * BATCH_ENTRIES_MAX }, () => ENTRY))
  await until(() => applier.applied === 3 + 3 * BATCH_ENTRIES_MAX)
  expect(Math.max(...behind)).toBeGreaterThan(snapshotAfter)
  expect([states, asked]).toEqual([[], []])
})

const diverged = () => new Diverged({ epoch: 'e', index: 2 }, Uint8Array.of(1), Uint8Array.of(2))

describe('a log that cannot be read', () => {
  test('puts it out of sync at once, until it can be read again', async () => {
    await follow()
    await failToRead()
    expect([states, problems]).toEqual([['following'], [named('Error')]])
    clock.advance(RETRY_MS)
    await until(() => problems.length === 2)
    expect(states).toEqual(['following'])
    flaky.readable = 'all'
    clock.advance(RETRY_MS)
    await until(() => status.state === 'in-sync')
    expect([applier.applied, states]).toEqual([4, ['following', 'in-sync']])
  })

  test('keeps it out of sync although it knows where the log ends', async () => {
    flaky.readable = 'bounds'
    running = follower.run(stop.signal)
    await until(() => problems.length > 0)
    expect(states).toEqual([])
  })

  test.each<[what: string, writeAgain: number]>([
    ['is shorter', 0],
    ['was written again, up to the same index', 2],
    ['was written again, and further', 3],
  ])('and was put back meanwhile (%s): it halts, and never says that it is in sync', async (_what, count) => {
    await follow()
    await failToRead()
    backend.rewind(1)
    for (let n = 0; n < count; n++) await log.append([ENTRY])
    flaky.readable = 'all'
    clock.advance(RETRY_MS)
    await running
    expect(status.failure).toEqual(named('LogRewound'))
    expect([states.includes('in-sync'), status.state]).toEqual([false, 'halted'])
  })
})

describe('a divergence that is found', () => {
  test('while the log cannot be read: its state is replaced before it follows again', async () => {
    await follow()
    await failToRead()
    follower.diverged()
    flaky.readable = 'all'
    clock.advance(RETRY_MS)
    await until(() => asked.length > 0)
    expect([applier.applied, states]).toEqual([3, ['following', 'catching-up']])
    asked[0]!.resolve(caughtUp(3))
    await until(() => status.state === 'in-sync')
    expect([applier.applied, asked.length]).toEqual([4, 1])
  })

  test('while it follows: it is not in sync again with what it has', async () => {
    await follow()
    const { apply } = applier
    applier.apply = async (batch) => {
      await apply.call(applier, batch)
      follower.diverged()
    }
    await log.append([ENTRY])
    await until(() => asked.length > 0)
    expect(states).toEqual(['catching-up'])
  })

  test('just before it begins to follow: it does not begin', async () => {
    let found = false
    Object.defineProperty(applier, 'cursor', {
      get() {
        // The end of the log is being read.
        if (!found) follower.diverged()
        found = true
        return { index: 0 }
      },
    })
    running = follower.run(stop.signal)
    await until(() => asked.length > 0)
    expect([states, follower.hasDiverged]).toEqual([['catching-up'], true])
    asked[0]!.resolve(caughtUp(0))
    await until(() => !follower.hasDiverged)
  })

  test('is not forgotten when the catch-up fails', async () => {
    await follow()
    follower.diverged()
    await until(() => asked.length === 1)
    asked[0]!.reject(new Error('the notice board is locked'))
    await until(() => problems.length > 0)
    clock.advance(RETRY_MS)
    await until(() => asked.length === 2)
    expect(states).toEqual(['catching-up'])
  })

  test('once too often while it catches up: it halts when that is done', async () => {
    await follow()
    follower.diverged()
    await until(() => asked.length === 1)
    follower.diverged(diverged())
    asked[0]!.resolve(caughtUp(3))
    await running
    expect([status.state, status.failure]).toEqual(['halted', named('Diverged')])
    expect(states).toEqual(['catching-up', 'halted'])
  })

  test('once too often while the log cannot be read: it halts when it can', async () => {
    await follow()
    await failToRead()
    follower.diverged(diverged())
    flaky.readable = 'all'
    clock.advance(RETRY_MS)
    await running
    expect([status.state, status.failure]).toEqual(['halted', named('Diverged')])
  })
})
