import { once } from 'node:events'
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import type { Timer } from '../../src/time/clock.ts'
import { startTicker, Ticker, type TickerInit, TickerStopped } from '../../src/time/ticker.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { allowFault } from '../setup/strict.ts'

/** A clock whose timers fire too late, or too early. */
class SkewedClock extends VirtualClock {
  skewMs = 0
  scheduled = 0

  override schedule(delayMs: number, callback: () => void): Timer {
    this.scheduled++
    return super.schedule(Math.max(0, delayMs) + this.skewMs, callback)
  }
}

interface Run {
  readonly atMs: number
  readonly signal: AbortSignal
  readonly end: () => Promise<void>
  readonly fail: (error: unknown) => Promise<void>
}

let clock: SkewedClock
let runs: Run[]
let reports: string[]

/** A ticker of 10 ms whose runs last until the test ends them. */
function ticking(init: Partial<TickerInit> = {}): Ticker {
  return new Ticker({
    clock,
    label: 'sweep',
    intervalMs: 10,
    run: (signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const end = () => {
        resolve()
        return clock.turn()
      }
      const fail = (error: unknown) => {
        reject(error)
        return clock.turn()
      }
      runs.push({ atMs: clock.now(), signal, end, fail })
      return promise
    },
    onError: (error, label) => reports.push(`${label}: ${error.message}`),
    ...init,
  })
}

/** A ticker of 10 ms whose runs end at once. */
function quick(init: Partial<TickerInit> = {}): { ticker: Ticker; times: number[] } {
  const times: number[] = []
  const run = () => void times.push(clock.now())
  return { ticker: ticking({ run, ...init }), times }
}

async function pass(ms: number): Promise<void> {
  for (let n = 0; n < ms; n++) {
    clock.advance(1)
    await clock.turn()
  }
}

beforeEach(() => {
  clock = new SkewedClock()
  runs = []
  reports = []
})

test('the task runs one interval after the start, and at each one after that', async () => {
  clock.advance(3)
  const { times } = quick()
  expect(times).toEqual([])
  await pass(35)
  expect(times).toEqual([13, 23, 33])
})

test('ticks that fall into a long run are skipped, and the next one is on the grid', async () => {
  ticking()
  await pass(37)
  expect(runs.map((run) => run.atMs)).toEqual([10])
  await runs[0]!.end()
  await pass(13)
  expect(runs.map((run) => run.atMs)).toEqual([10, 40])
})

test('ticks that a blocked event loop missed are skipped, not made up for', async () => {
  clock.skewMs = 25
  const { times } = quick()
  clock.advance(30)
  clock.skewMs = 1
  await pass(25)
  expect(times).toEqual([35, 41, 51])
})

test('a timer that fires early does not make two ticks of one', async () => {
  clock.skewMs = -0.5
  const { times } = quick()
  await pass(30)
  expect(times).toEqual([9.5, 19.5, 29.5])
})

test('now runs the task without waiting, and leaves the grid as it is', async () => {
  const { ticker, times } = quick()
  await pass(4)
  await ticker.now()
  await pass(10)
  expect(times).toEqual([4, 10])
})

test('what is asked for during a run is one more run after it, shared by all who asked', async () => {
  const ticker = ticking()
  const first = ticker.now()
  const done: string[] = []
  const others = ['second', 'third'].map((name) => ticker.now().then(() => done.push(name)))
  expect(runs).toHaveLength(1)
  await runs[0]!.end()
  await first
  expect([runs.length, done]).toEqual([2, []])
  await runs[1]!.end()
  await Promise.all(others)
  await clock.turn()
  expect([runs.length, done]).toEqual([2, ['second', 'third']])
})

test('a task that asks for another run while it begins does not overlap itself', async () => {
  let asked = false
  let running = 0
  let ran = 0
  const ticker = ticking({
    run: async () => {
      expect(++running).toBe(1)
      if (!asked) ticker.soon()
      asked = true
      await clock.turn()
      running--
      ran++
    },
  })
  await ticker.now()
  await ticker.now()
  expect([ran, reports]).toEqual([3, []])
})

test('a failing run is reported under its label, and does not end the ticker', async () => {
  ticking()
  await pass(10)
  await runs[0]!.fail(new Error('the disk is full'))
  await pass(10)
  await runs[1]!.fail('not even an error')
  await pass(10)
  expect(runs).toHaveLength(3)
  expect(reports).toEqual(['sweep: the disk is full', 'sweep: not even an error'])
})

test('a task that throws before it awaits anything is reported just so', async () => {
  ticking({
    run: () => {
      throw new Error('at once')
    },
  })
  await pass(20)
  expect(reports).toEqual(['sweep: at once', 'sweep: at once'])
})

test('a run that somebody waits for fails to them, and is not reported', async () => {
  const ticker = ticking()
  const outcome = expect(ticker.now()).rejects.toThrow('the board is locked')
  await runs[0]!.fail(new Error('the board is locked'))
  await outcome
  expect(reports).toEqual([])
})

test('a run that nobody waits for is reported when it fails, and whoever asked meanwhile is not harmed', async () => {
  const ticker = ticking()
  ticker.soon()
  const next = ticker.now()
  await runs[0]!.fail(new Error('the board is locked'))
  await runs[1]!.end()
  await next
  expect(reports).toEqual(['sweep: the board is locked'])
})

test('without a listener a failure is a process warning', async () => {
  allowFault(/ TickerFailed: /)
  ticking({ onError: undefined }).soon()
  const warned = once(process, 'warning')
  await runs[0]!.fail(new Error('the disk is full'))
  const [warning] = await warned
  expect(warning).toMatchObject({ name: 'TickerFailed', message: expect.stringContaining('sweep') })
  expect(warning.detail).toContain('the disk is full')
})

test('a listener that throws harms nobody', async () => {
  allowFault(/ TickerFailed: /)
  ticking({
    onError: () => {
      throw new Error('the listener failed')
    },
  })
  await pass(10)
  const warned = once(process, 'warning')
  await runs[0]!.fail(new Error('the disk is full'))
  expect((await warned)[0].detail).toContain('the listener failed')
  await pass(10)
  expect(runs).toHaveLength(2)
})

test('stop tells the run that is going on, waits for its end, and there is none after it', async () => {
  const ticker = ticking()
  await pass(10)
  const refused = expect(ticker.now()).rejects.toThrow(TickerStopped)
  let stopped = false
  const stopping = ticker.stop().then(() => {
    stopped = true
  })
  await refused
  expect([runs[0]!.signal.aborted, stopped]).toEqual([true, false])
  await runs[0]!.end()
  await stopping
  await ticker.stop()
  ticker.soon()
  await expect(ticker.now()).rejects.toThrow(TickerStopped)
  await pass(50)
  expect([runs.length, reports]).toEqual([1, []])
})

test('a ticker that was stopped wakes nobody any more', async () => {
  const { ticker } = quick()
  await ticker.stop()
  const before = clock.scheduled
  await pass(50)
  expect(clock.scheduled).toBe(before)
})

test('a run that gave up because of stop has not failed; one that failed for another reason has', async () => {
  for (const error of [undefined, new DOMException('aborted', 'AbortError'), new Error('the disk is full')]) {
    const ticker = ticking()
    ticker.soon()
    const run = runs.at(-1)!
    const stopping = ticker.stop()
    await run.fail(error ?? run.signal.reason)
    await stopping
  }
  expect(reports).toEqual(['sweep: the disk is full'])
})

test('a signal ends the ticker, and its reason is what the run and the callers see', async () => {
  const owner = new AbortController()
  const ticker = ticking({ signal: owner.signal })
  await pass(10)
  const reason = new Error('the replica stops')
  const refused = expect(ticker.now()).rejects.toBe(reason)
  owner.abort(reason)
  await refused
  expect(runs[0]!.signal.reason).toBe(reason)
  await runs[0]!.fail(reason)
  await ticker.stop()
  await expect(ticker.now()).rejects.toBe(reason)
  await pass(50)
  expect([runs.length, reports]).toEqual([1, []])
})

test('under a signal that was aborted before, nothing ever runs', async () => {
  const { ticker, times } = quick({ signal: AbortSignal.abort(new Error('too late')) })
  await pass(50)
  await expect(ticker.now()).rejects.toThrow('too late')
  expect(times).toEqual([])
})

test('a long-lived signal does not gather listeners from tickers that stopped', async () => {
  const owner = new AbortController()
  const { signal } = owner
  const listening = new Set<AbortSignal>()
  const add = signal.addEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    const until = typeof args[2] === 'object' ? args[2].signal : undefined
    if (until) {
      listening.add(until)
      until.addEventListener('abort', () => listening.delete(until))
    }
    add(...args)
  }
  const ticker = ticking({ signal })
  expect(listening.size).toBe(1)
  await ticker.stop()
  expect(listening.size).toBe(0)
})

test('a ticker that the configuration disables does not exist', () => {
  const init = { clock, label: 'sweep', run: () => {} }
  expect(startTicker({ ...init, intervalMs: undefined })).toBeUndefined()
  expect(startTicker({ ...init, intervalMs: false })).toBeUndefined()
  expect(startTicker({ ...init, intervalMs: 10 })).toBeInstanceOf(Ticker)
})

test.for([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '10' as unknown as number])(
  'an interval of %s is refused',
  (intervalMs) => {
    expect(() => ticking({ intervalMs })).toThrow(RangeError)
  },
)

test('whatever happens, no two runs overlap, and who asked waits for a run that began after', async () => {
  const step = fc.constantFrom('advance', 'now', 'soon', 'end', 'fail')
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      clock = new SkewedClock()
      runs = []
      const ticker = ticking()
      let ended = 0
      const asked: Promise<void>[] = []
      const finish = async (how: 'end' | 'fail') => {
        if (runs.length === ended) return
        await (how === 'end' ? runs[ended++]!.end() : runs[ended++]!.fail(new Error('failed')))
        expect(runs.length - ended).toBeLessThanOrEqual(1)
      }
      for (const one of steps) {
        if (one === 'advance') await pass(7)
        if (one === 'soon') ticker.soon()
        if (one === 'end' || one === 'fail') await finish(one)
        if (one === 'now') {
          const began = runs.length
          const check = () => expect(ended).toBeGreaterThan(began)
          asked.push(ticker.now().then(check, check))
        }
        expect(runs.length - ended).toBeLessThanOrEqual(1)
      }
      while (runs.length > ended) await finish('end')
      await Promise.all(asked)
      await ticker.stop()
    }),
  )
})
