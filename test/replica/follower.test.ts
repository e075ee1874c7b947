import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ReplicaState } from '../../src/group/announcement.ts'
import { GroupState } from '../../src/group/group-state.ts'
import { Versions } from '../../src/group/versions.ts'
import { LogDamaged } from '../../src/log/errors.ts'
import { BATCH_ENTRIES_MAX } from '../../src/log/limits.ts'
import type { Log, LogBatch } from '../../src/log/log.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { Diverged } from '../../src/replica/errors.ts'
import { Follower } from '../../src/replica/following/follower.ts'
import { Status } from '../../src/replica/status.ts'
import { NoProvider } from '../../src/sync/errors.ts'
import type { CaughtUp } from '../../src/sync/fetching/session-state.ts'
import { CutFailed } from '../../src/sync/wire/errors.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { FlakyLog } from './cluster.ts'

const RETRY_MS = 500
const NOBODY_FAR_BEHIND = Number.POSITIVE_INFINITY
const ENTRY = { kind: 'command', payload: Buffer.from('a') } as const
const LISTENER = { decided: () => {}, skipped: () => {} }
const named = (name: string) => expect.objectContaining({ name })

const caughtUp = (index: number): CaughtUp => ({
  catchUp: 'c0ffee',
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
let group: GroupState
let problems: Error[]
/** Snapshots that were asked for. */
let asked: PromiseWithResolvers<CaughtUp>[]
let applier: {
  applied: number
  cursor: { index: number; id?: string }
  readonly isInstalling: boolean
  finishInstall(): Promise<void>
  apply(batch: LogBatch): Promise<void>
}
let follower: Follower
/** The others that announce a state. */
let holders: string[]
let stop: AbortController
let running: Promise<void>

beforeEach(async () => {
  snapshotAfter = NOBODY_FAR_BEHIND
  clock = new VirtualClock()
  backend = memoryLog({ epoch: 'e' })
  flaky = new FlakyLog(backend)
  log = await flaky.open({ group: 'g', signature: 's', author: 'me' })
  states = []
  status = new Status()
  group = new GroupState()
  status.onChange(({ state }) => void states.push(state))
  problems = []
  asked = []
  holders = []
  applier = {
    applied: 0,
    cursor: { index: 0 },
    isInstalling: false,
    finishInstall: async () => {},
    async apply({ entries }) {
      this.cursor = entries.at(-1)!
      this.applied = this.cursor.index
    },
  }
  follower = new Follower({
    log,
    get group() {
      return group
    },
    applier,
    status,
    clock,
    get snapshotAfter() {
      return snapshotAfter
    },
    holders: { someoneServes: true, since: () => holders },
    sync: {
      catchUp: ({ signal }) => {
        const one = Promise.withResolvers<CaughtUp>()
        signal.addEventListener('abort', () => one.reject(signal.reason))
        asked.push(one)
        return one.promise
      },
    },
    announcer: { unpin: () => {} },
    disk: undefined,
    reporter: { emit: () => {}, problem: (error) => void problems.push(error) },
  })
  stop = new AbortController()
})

afterEach(async () => {
  stop.abort()
  await running
})

/** How the state is known to differ from the group's, while it was not replaced yet. */
function divergence(): unknown {
  try {
    follower.assertReadable()
    return undefined
  } catch (error) {
    return (error as Error).cause
  }
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await clock.turn()
}

/** It has applied three entries, and is in sync. */
async function follow(): Promise<void> {
  await log.append([ENTRY, ENTRY, ENTRY])
  running = follower.run(LISTENER, stop.signal)
  await until(() => status.state === 'in-sync')
  expect(applier.applied).toBe(3)
  states.length = 0
}

/** An entry comes that it cannot read. */
async function failToRead(): Promise<void> {
  flaky.readable = 'nothing'
  await log.append([ENTRY])
  await until(() => problems.length > 0 || status.state === 'halted')
}

test('of a log that begins with a version that it does not speak, it needs a snapshot', async () => {
  group = new GroupState({ signature: 's/1', versions: new Versions({ signature: 's/3', older: ['s/2'] }) })
  await log.append([ENTRY, ENTRY, ENTRY])
  running = follower.run(LISTENER, stop.signal)
  await until(() => asked.length > 0)
  expect([status.state, applier.applied]).toEqual(['catching-up', 0])
  expect(() => follower.assertReadable()).toThrow(named('NotReadable'))
  asked[0]!.reject(new NoProvider('nobody has it'))
  await until(() => status.state === 'lost')
  expect(status.failure?.message).toContain(
    'the log begins with commands of "s/1", which this program does not',
  )
  group = new GroupState({ signature: 's/2', versions: group.versions })
  applier.applied = 2
  applier.cursor = { index: 2 }
  clock.advance(RETRY_MS)
  await until(() => asked.length > 1)
  asked[1]!.resolve(caughtUp(2))
  await until(() => status.state === 'in-sync')
  expect(applier.applied).toBe(3)
})

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
    clock.advance(2 * RETRY_MS)
    await until(() => status.state === 'in-sync')
    expect([applier.applied, states]).toEqual([4, ['following', 'in-sync']])
  })

  test('is tried again after twice as long each time, and soon again once it was read', async () => {
    await follow()
    const fails = async () => {
      const before = problems.length
      await until(() => problems.length > before)
    }
    await failToRead()
    for (const pauseMs of [500, 1000, 2000, 4000, 8000, 8000]) {
      clock.advance(pauseMs - 1)
      await clock.turn()
      const failed = fails()
      clock.advance(1)
      await failed
    }
    flaky.readable = 'all'
    clock.advance(8000)
    await until(() => status.state === 'in-sync')
    const failed = fails()
    flaky.readable = 'nothing'
    await log.append([ENTRY])
    await failed
    const failedAgain = fails()
    clock.advance(RETRY_MS)
    await failedAgain
  })

  test('since its file is damaged ends it: trying again is in vain', async () => {
    await follow()
    flaky.failure = new LogDamaged('the file is damaged')
    await failToRead()
    await running
    expect([status.state, status.failure, problems]).toEqual(['halted', named('LogDamaged'), []])
    await expect(status.inSync()).rejects.toThrow('the file is damaged')
  })

  test('keeps it out of sync although it knows where the log ends', async () => {
    flaky.readable = 'bounds'
    running = follower.run(LISTENER, stop.signal)
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
    follower.diverged(diverged(), { forGood: false })
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
      follower.diverged(diverged(), { forGood: false })
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
        if (!found) follower.diverged(diverged(), { forGood: false })
        found = true
        return { index: 0 }
      },
    })
    running = follower.run(LISTENER, stop.signal)
    await until(() => asked.length > 0)
    expect([states, divergence()]).toEqual([['catching-up'], named('Diverged')])
    asked[0]!.resolve(caughtUp(0))
    await until(() => divergence() === undefined)
  })

  test('is not forgotten when the catch-up fails', async () => {
    await follow()
    follower.diverged(diverged(), { forGood: false })
    await until(() => asked.length === 1)
    asked[0]!.reject(new Error('the presence store is locked'))
    await until(() => problems.length > 0)
    clock.advance(RETRY_MS)
    await until(() => asked.length === 2)
    expect(states).toEqual(['catching-up'])
  })

  test('and nobody serves another state: it says so, by what it knows of its own', async () => {
    await follow()
    follower.diverged(diverged(), { forGood: false })
    await until(() => asked.length === 1)
    asked[0]!.reject(new NoProvider('nobody answered'))
    await until(() => status.state === 'lost')
    expect(status.failure).toMatchObject({ name: 'Diverged', cause: { name: 'NoProvider' } })
    expect(status.failure?.message).toMatch(/nobody has served another state yet: nobody answered/)
    expect(divergence()).toEqual(named('Diverged'))
  })

  test('once too often while it catches up: it halts when that is done', async () => {
    await follow()
    follower.diverged(diverged(), { forGood: false })
    await until(() => asked.length === 1)
    follower.diverged(diverged(), { forGood: true })
    asked[0]!.resolve(caughtUp(3))
    await running
    expect([status.state, status.failure]).toEqual(['halted', named('Diverged')])
    expect(states).toEqual(['catching-up', 'halted'])
  })

  test('once too often while the log cannot be read: it halts when it can', async () => {
    await follow()
    await failToRead()
    follower.diverged(diverged(), { forGood: true })
    flaky.readable = 'all'
    clock.advance(RETRY_MS)
    await running
    expect([status.state, status.failure]).toEqual(['halted', named('Diverged')])
  })
})

describe('a pruned log, when nobody has served a snapshot', () => {
  const REFUSED = new Map([['a', new CutFailed('an item is too large')]])
  const nobody = (refusals = new Map<string, Error>()) => new NoProvider('nobody answered', { refusals })

  /** It needs a snapshot, and the first session is over. */
  async function beInVain(error: NoProvider): Promise<void> {
    await log.append([ENTRY, ENTRY, ENTRY])
    await log.prune(2)
    running = follower.run(LISTENER, stop.signal)
    await until(() => asked.length > 0)
    asked[0]!.reject(error)
  }

  test.each<[what: string, who: string[], refusals: Map<string, Error> | undefined, why: RegExp]>([
    [
      'and nobody announces a state',
      [],
      undefined,
      /begins with entry 3, and no member of the group announces the state/,
    ],
    [
      'and everybody who announces one refuses it',
      ['a'],
      REFUSED,
      /nobody serves the state before it: nobody answered/,
    ],
  ])('%s: the state is lost', async (_what, who, refusals, why) => {
    holders = who
    await beInVain(nobody(refusals))
    await until(() => status.state === 'lost')
    expect(status.failure).toMatchObject({ name: 'StateLost', message: expect.stringMatching(why), first: 3 })
    expect(problems).toEqual([])
  })

  test.each<[what: string, who: string[], refusals: Map<string, Error> | undefined]>([
    ['and whoever announces one is silent', ['a'], undefined],
    ['and one of those who announce one is silent', ['a', 'b'], REFUSED],
  ])('%s: it is not lost, and whoever listens is told', async (_what, who, refusals) => {
    holders = who
    await beInVain(nobody(refusals))
    await until(() => problems.length > 0)
    expect([states, status.failure, problems]).toEqual([['catching-up'], undefined, [named('NoProvider')]])
  })

  test('what was lost is not lost any more once somebody announces a state', async () => {
    await beInVain(nobody())
    await until(() => status.state === 'lost')
    holders = ['a']
    clock.advance(RETRY_MS)
    await until(() => asked.length === 2)
    asked[1]!.reject(nobody())
    await until(() => status.state === 'catching-up')
    expect([status.failure, problems]).toEqual([undefined, [named('NoProvider')]])
  })

  test('sessions that end at once do not follow each other at once', async () => {
    await beInVain(nobody())
    for (const [n, pauseMs] of [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000].entries()) {
      clock.advance(pauseMs - 1)
      for (let turn = 0; turn < 5; turn++) await clock.turn()
      expect(asked).toHaveLength(n + 1)
      clock.advance(1)
      await until(() => asked.length === n + 2)
      asked[n + 1]!.reject(nobody())
      for (let turn = 0; turn < 5; turn++) await clock.turn()
    }
  })
})
