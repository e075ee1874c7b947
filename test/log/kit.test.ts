import { expect, test } from 'vitest'
import { EpochChanged } from '../../src/log/errors.ts'
import type { Log, LogBackend, LogBatch, LogEntry, LogInit } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import type { PresenceStore } from '../../src/log/presence.ts'
import {
  type ConformanceTest,
  LogFault,
  type LogHarness,
  logConformance,
} from '../../src/testing/log/index.ts'

/** A harness of a backend that is `memoryLog`, but for what is changed. */
function harnessOf(change: (log: Log) => Partial<Log>, more: Partial<LogHarness> = {}): LogHarness {
  return {
    lacks: { recreate: 'it is not of interest here', save: 'nor is this', cutOff: 'nor is this' },
    async make() {
      const memory = memoryLog({ maxEntryBytes: 100_000 })
      const backend: LogBackend = {
        open: async (init: LogInit) => changed(await memory.open(init), change),
      }
      return { backend, reopen: () => backend, async dispose() {} }
    },
    ...more,
  }
}

function changed(log: Log, change: (log: Log) => Partial<Log>): Log {
  const changes = change(log)
  return new Proxy(log, {
    get(target, key) {
      const value: unknown = Reflect.get(key in changes ? changes : target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function find(tests: readonly ConformanceTest[], name: string): ConformanceTest {
  return tests.find((each) => each.name === name)!
}

async function faultOf({ run }: ConformanceTest): Promise<LogFault> {
  try {
    await run()
  } catch (error) {
    expect(error).toBeInstanceOf(LogFault)
    return error as LogFault
  }
  throw new Error('there was no fault')
}

test('names are unique, and so are the tests that a harness lacks: they are listed with its reason', () => {
  const tests = logConformance(harnessOf(() => ({})))
  expect(new Set(tests.map(({ name }) => name)).size).toBe(tests.length)
  const skipped = tests.filter(({ skip }) => skip !== undefined)
  expect(skipped.length).toBeGreaterThan(12)
  const { skip } = find(tests, 'accidents: a log made again is EpochChanged to every call')
  expect(skip).toBe('recreate: it is not of interest here')
})

test('a broken promise is told, with what was seen and the values that differ', async () => {
  const doubled = harnessOf((log) => ({
    async append(entries, options) {
      await log.append(entries, options)
      return await log.append(entries, options)
    },
  }))
  const fault = await faultOf(
    find(logConformance(doubled), 'appending: a new log is empty and begins with entry 1'),
  )
  expect(fault.message).toContain('promised: indexes count from 1')
  expect(fault.message).toContain('seen: Expected values to be strictly deep-equal')
  expect(fault).toMatchObject({ actual: { first: 2, last: 2 }, expected: { first: 1, last: 1 } })
})

test('another error than the one that is promised is told, with its own words', async () => {
  const wrong = harnessOf(() => ({
    prune: () => Promise.reject(new EpochChanged('a', 'b')),
  }))
  const name = 'pruning: beyond the newest entry is a RangeError, and does nothing'
  const fault = await faultOf(find(logConformance(wrong), name))
  expect(fault.message).toContain(
    'seen: it should have failed with RangeError, and failed with EpochChanged: ',
  )
  expect(fault.cause).toMatchObject({ cause: { name: 'EpochChanged' } })
})

test('a test that hangs rejects in time, says what it waits for, and closes and disposes', async () => {
  let disposed = 0
  const deaf = harnessOf(() => ({
    async *follow(_, { signal } = {}) {
      await new Promise((resolve) => signal?.addEventListener('abort', resolve))
    },
  }))
  const make = async () => ({
    ...(await deaf.make()),
    async dispose() {
      disposed++
    },
  })
  const tests = logConformance({ ...deaf, make }, { timeoutMs: 100 })
  const fault = await faultOf(find(tests, 'reading: a follower of an empty log waits for its first entry'))
  expect(fault.message).toContain('took more than 100 ms, waiting for follow({ index: 0 }) to go on')
  expect(disposed).toBe(1)
})

test('a place that offers too little, and a harness that fails, are told apart from the log', async () => {
  const incomplete = harnessOf(() => ({}), { lacks: {} })
  const name = 'accidents: a log made again is EpochChanged to every call'
  const lacking = await faultOf(find(logConformance(incomplete), name))
  expect(lacking.message).toContain("has no recreate(): write it, or say why not in lacks: { recreate: 'the")
  const make = async () => ({
    ...(await incomplete.make()),
    dispose: () => Promise.reject(new Error('the disk is full')),
  })
  const failing = logConformance({ ...incomplete, make })
  const fault = await faultOf(find(failing, 'appending: an empty list is a RangeError'))
  expect(fault.message).toContain('the harness failed, in dispose(): the disk is full')
})

test('what is no harness, or no time, is a RangeError', () => {
  expect(() => logConformance({} as LogHarness)).toThrow('harness.make')
  expect(() =>
    logConformance(
      harnessOf(() => ({})),
      { timeoutMs: 0 },
    ),
  ).toThrow('timeoutMs')
})

/** A log whose batches are changed on their way. */
function batches(change: (entries: readonly LogEntry[]) => readonly LogEntry[]) {
  return (log: Log): Partial<Log> => {
    async function* changedOf(all: AsyncIterable<LogBatch>): AsyncGenerator<LogBatch> {
      for await (const { entries, newest } of all) yield { entries: change(entries), newest }
    }
    return {
      read: (cursor, options) => changedOf(log.read(cursor, options)),
      follow: (cursor, options) => changedOf(log.follow(cursor, options)),
    }
  }
}

/** A log whose presences are changed on their way. */
function presences(change: (store: PresenceStore) => Partial<PresenceStore>) {
  return ({ notices }: Log): Partial<Log> => ({
    notices: {
      announce: (...args) => notices.announce(...args),
      withdraw: (...args) => notices.withdraw(...args),
      read: (options) => notices.read(options),
      watch: (options) => notices.watch(options),
      ...change(notices),
    },
  })
}

test.each<[string, (log: Log) => Partial<Log>, string]>([
  [
    'repeats its entries',
    batches((entries) => entries.flatMap((entry) => [entry, entry])),
    'reading: follow gives the entries that are there, then those of every append',
  ],
  [
    'leaves entries out',
    batches((entries) => entries.filter(({ index }) => index !== 2 || entries.length === 1)),
    'appending: concurrent appends of one handle are in the order of the calls',
  ],
  [
    'gives all entries one id',
    batches((entries) => entries.map((entry) => ({ ...entry, id: 'same' }))),
    'appending: ids are unique, and the same for every reader',
  ],
  [
    'stamps with another clock',
    batches((entries) => entries.map((entry) => ({ ...entry, timestampMs: entry.timestampMs + 60_000 }))),
    'appending: timestamps are the clock at the append',
  ],
  [
    'forgets the author',
    batches((entries) => entries.map((entry) => ({ ...entry, author: 'nobody' }))),
    'appending: an entry comes back as it was given, with its author, its epoch and an id',
  ],
  [
    'appends in another order',
    (log) => ({ append: (entries, options) => log.append(entries.toReversed(), options) }),
    'appending: the entries of one append are in their order, even among other appends',
  ],
  [
    'takes what was given up',
    (log) => ({ append: (entries) => log.append(entries) }),
    'appending: an aborted signal keeps an append out of the log',
  ],
  [
    'begins where it likes',
    (log) => ({ read: ({ index }) => log.read({ index: Math.max(0, index - 1) }) }),
    'reading: read begins after the cursor and ends with the entry that was the newest',
  ],
  [
    'follows where it should end',
    (log) => ({ read: (cursor, options) => log.follow(cursor, options) }),
    'reading: read begins after the cursor and ends with the entry that was the newest',
  ],
  [
    'skips what was pruned',
    (log) => ({
      async *read({ index }, options) {
        const { first } = await log.bounds()
        yield* log.read({ index: Math.max(index, first - 1) }, options)
      },
    }),
    'pruning: is LogTruncated to a reader that begins too early',
  ],
  ['prunes nothing', () => ({ prune: async () => {} }), 'pruning: makes entries unreadable for every handle'],
  [
    'notes no version',
    () => ({ noteUpgrade: async () => {} }),
    'the version: is what was noted last: programs that do not speak it are refused',
  ],
  [
    'stays open',
    () => ({ close: async () => {} }),
    'closing: ends every iteration without an error, and refuses further calls',
  ],
  [
    'gives presences one version',
    presences((store) => ({
      read: async () => (await store.read()).map((presence) => ({ ...presence, version: 1 })),
    })),
    'the presence store: gives each announcement of a member another version, even with the same data',
  ],
  [
    'withdraws nobody',
    presences(() => ({ withdraw: async () => {} })),
    'the presence store: withdraws a presence, even one that is not there',
  ],
])('a log that %s fails the test of that', async (_, change, name) => {
  await find(logConformance(harnessOf(() => ({}))), name).run()
  const fault = await faultOf(find(logConformance(harnessOf(change), { timeoutMs: 1_000 }), name))
  expect(fault.test).toBe(name)
})
