import { expect, test } from 'vitest'
import { EpochChanged } from '../../src/log/errors.ts'
import type { Log, LogBackend, LogInit } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
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
