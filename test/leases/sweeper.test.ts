import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LeaseTable } from '../../src/leases/lease-table.ts'
import { Sweeper, type SweeperInit } from '../../src/leases/sweeper.ts'
import { systemClock, type Timer } from '../../src/time/clock.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

/** A clock that counts what is asked of it. */
class CountingClock extends VirtualClock {
  readonly delaysMs: number[] = []
  woken = 0
  turns = 0
  /** Timers that wait. */
  pending = 0

  override schedule(delayMs: number, callback: () => void): Timer {
    this.delaysMs.push(delayMs)
    this.pending++
    let waits = true
    const done = () => {
      if (waits) this.pending--
      waits = false
    }
    const timer = super.schedule(delayMs, () => {
      done()
      this.woken++
      callback()
    })
    return {
      cancel() {
        done()
        timer.cancel()
      },
    }
  }

  override turn(): Promise<void> {
    this.turns++
    return super.turn()
  }
}

let clock: CountingClock
let table: LeaseTable<string>
let gone: [key: string, deadlineMs: number, atMs: number][]
let reports: string[]
let sweepers: Sweeper<string>[]

function sweeping(init: Partial<SweeperInit<string>> = {}): Sweeper<string> {
  const sweeper = new Sweeper({
    table,
    clock,
    onExpired: (key, deadlineMs) => gone.push([key, deadlineMs, clock.now()]),
    onError: (error) => reports.push(error.message),
    ...init,
  })
  sweepers.push(sweeper)
  return sweeper
}

function registerMany(count: number, ttlMs: number): void {
  for (let n = 0; n < count; n++) table.register(`k${n}`, ttlMs)
}

/** Lets a sweep go on until it is done. */
async function settled(): Promise<void> {
  for (let turns = -1; turns !== clock.turns; ) {
    turns = clock.turns
    await new Promise((resolve) => setImmediate(resolve))
  }
}

beforeEach(() => {
  clock = new CountingClock()
  table = new LeaseTable({ clock })
  gone = []
  reports = []
  sweepers = []
})

afterEach(() => {
  for (const sweeper of sweepers) sweeper.stop()
  expect(clock.pending).toBe(0)
})

describe('a sweeper', () => {
  test('evicts each key when it is due, not before, and says so', () => {
    const sweeper = sweeping()
    table.register('b', 100)
    table.register('a', 50)
    table.register('forever', Number.POSITIVE_INFINITY)
    clock.advance(49)
    expect(gone).toEqual([])
    clock.advance(1_000)
    expect(gone).toEqual([
      ['a', 50, 50],
      ['b', 100, 100],
    ])
    expect([sweeper.expired, table.size]).toEqual([2, 1])
  })

  test('evicts keys that were there before it', () => {
    table.register('a', 10)
    sweeping()
    clock.advance(10)
    expect(gone).toEqual([['a', 10, 10]])
  })

  test('does not sweep at time zero, but right after', () => {
    table.register('a', 0)
    table.register('b', 10)
    clock.advance(10)
    const sweeper = sweeping()
    expect([gone, sweeper.expired]).toEqual([[], 0])
    clock.advance(0)
    expect(gone.map(([key]) => key).sort()).toEqual(['a', 'b'])
  })

  test('leaves alone what is revived in time', () => {
    sweeping()
    table.register('a', 50)
    clock.advance(40)
    table.revive('a', 50)
    clock.advance(49)
    expect(gone).toEqual([])
    clock.advance(1)
    expect(gone).toEqual([['a', 90, 90]])
  })

  test('does nothing while nothing is due', () => {
    sweeping()
    expect(clock.pending).toBe(0)
    registerMany(1_000, 3_600_000)
    // A life of an hour begins to come up seconds before it ends.
    clock.advance(3_590_000)
    expect(clock.woken).toBe(0)
    clock.advance(10_000)
    expect([table.size, clock.woken < 5]).toEqual([0, true])
    clock.advance(1e9)
    expect(clock.pending).toBe(0)
  })

  test('wakes a few times for a life of years, never asking for a timer longer than Node has', () => {
    sweeping()
    const yearsMs = 1e11
    table.register('a', yearsMs)
    clock.advance(yearsMs)
    expect(gone).toEqual([['a', yearsMs, yearsMs]])
    expect(clock.woken).toBeLessThan(yearsMs / 2 ** 31 + 10)
    expect(Math.max(...clock.delaysMs)).toBeLessThan(2 ** 31)
  })

  test('is on time for a key that it looked at shortly before', () => {
    sweeping({ restMs: 10 })
    table.register('a', 3_003)
    clock.advance(3_000)
    expect([gone, clock.woken]).toEqual([[], 1])
    clock.advance(3)
    expect(gone).toEqual([['a', 3_003, 3_003]])
  })

  test('wakes earlier when an earlier deadline comes in, whichever way', () => {
    sweeping()
    table.register('a', 1_000)
    clock.advance(1)
    table.register('b', 20)
    clock.advance(20)
    expect(gone).toEqual([['b', 21, 21]])
    clock.advance(20)
    table.revive('a', 5)
    clock.advance(5)
    expect(gone.at(-1)).toEqual(['a', 46, 46])
    const other = new LeaseTable<string>({ clock })
    other.register('c', 30)
    table.reload(other.toSnapshot())
    clock.advance(30)
    expect(gone.at(-1)).toEqual(['c', 76, 76])
  })

  test('is not moved by the wall clock', () => {
    sweeping()
    table.register('a', 50)
    clock.jumpWall(1e12)
    clock.advance(49)
    expect(gone).toEqual([])
    clock.jumpWall(-2e12)
    clock.advance(1)
    expect(gone).toEqual([['a', 50, 50]])
  })

  test('takes keys together that are due close together', () => {
    sweeping({ restMs: 10 })
    for (let n = 1; n <= 12; n++) table.register(`k${n}`, n)
    clock.advance(12)
    expect(gone.map(([, deadlineMs, atMs]) => [deadlineMs, atMs])).toEqual([
      [1, 1],
      ...Array(10).fill([expect.any(Number), 11]),
    ])
    clock.advance(9)
    expect(gone.at(-1)).toEqual(['k12', 12, 21])
  })

  test('is never early, and late by its rest at most, whatever is registered and revived', () => {
    const change = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      ttlMs: fc.oneof(fc.nat(30), fc.nat(5_000), fc.nat(1e8)),
      afterMs: fc.oneof(fc.nat(20), fc.nat(5_000), fc.nat(1e8)),
    })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), fc.constantFrom(0, 1, 10, 100), (changes, restMs) => {
        const leases = new LeaseTable<string>({ clock })
        const deadlines = new Map<string, number>()
        const sweeper = new Sweeper({
          table: leases,
          clock,
          restMs,
          onExpired(key, deadlineMs) {
            expect(deadlines.get(key)).toBe(deadlineMs)
            deadlines.delete(key)
            expect(clock.now()).toBeGreaterThanOrEqual(deadlineMs)
            expect(clock.now()).toBeLessThanOrEqual(deadlineMs + restMs)
          },
          onError: (error) => {
            reports.push(error.message)
          },
        })
        for (const { key, ttlMs, afterMs } of changes) {
          deadlines.set(key, leases.register(key, ttlMs))
          clock.advance(afterMs)
          for (const deadlineMs of deadlines.values())
            expect(deadlineMs + restMs).toBeGreaterThanOrEqual(clock.now())
        }
        sweeper.stop()
        expect(reports).toEqual([])
      }),
    )
  })

  test('looks at what is due, not at what is stored', async () => {
    registerMany(50_000, 1e9)
    for (let n = 0; n < 1_000; n++) table.register(`due${n}`, 10)
    sweeping({ chunkKeys: 100 })
    clock.advance(10)
    await settled()
    expect(gone).toHaveLength(1_000)
    // Ten looks at 100 keys each; a turn between two of them, and one more to find that there is no more.
    expect(clock.turns).toBeLessThanOrEqual(10)
  })

  test('sweeps at a cadence if it is told to, beginning after the first', () => {
    sweeping({ cadenceMs: 500 })
    table.register('a', 0)
    table.register('b', 10)
    table.register('c', 500)
    table.register('d', 501)
    clock.advance(499)
    expect(gone).toEqual([])
    clock.advance(1)
    expect(gone.map(([key]) => key).sort()).toEqual(['a', 'b', 'c'])
    clock.advance(500)
    expect(gone.at(-1)).toEqual(['d', 501, 1_000])
    clock.advance(5_000)
    expect(clock.woken).toBe(12)
  })

  test.each<[keyof SweeperInit<string>, number[]]>([
    ['chunkKeys', [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]],
    ['cadenceMs', [0, -1, Number.NaN, 2 ** 31, '10' as unknown as number]],
    ['restMs', [-1, Number.NaN, 2 ** 31, '10' as unknown as number]],
  ])('does not start with an impossible %s', (name, values) => {
    for (const value of values) expect(() => sweeping({ [name]: value })).toThrow(RangeError)
  })
})

describe('a large sweep', () => {
  test('gives the event loop back after each 1,024 keys', async () => {
    sweeping()
    registerMany(2_500, 10)
    const left: number[] = []
    clock.advance(10)
    for (let turn = 0; turn < 4; turn++) {
      left.push(table.size)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(left).toEqual([1_476, 452, 0, 0])
  })

  test('spares what is revived between two chunks, and takes what falls due', async () => {
    sweeping({ chunkKeys: 10 })
    registerMany(20, 10)
    table.register('later', 11)
    clock.advance(10)
    const [spared] = table.expired(1)
    table.revive(spared!, 1_000)
    clock.advance(1)
    await settled()
    expect(gone).toHaveLength(20)
    expect([...table]).toEqual([[spared, 1_010]])
  })

  test('ends between two chunks when it is stopped', async () => {
    const sweeper = sweeping({ chunkKeys: 10 })
    registerMany(30, 10)
    clock.advance(10)
    sweeper.stop()
    await settled()
    expect([gone.length, table.size, sweeper.expired]).toEqual([10, 20, 10])
  })

  test('is the only one, whatever becomes due meanwhile', async () => {
    sweeping({ chunkKeys: 10 })
    registerMany(30, 10)
    clock.advance(10)
    table.register('earlier than all', 0, 5)
    expect(clock.pending).toBe(0)
    await settled()
    expect([gone.length, table.size]).toEqual([31, 0])
  })

  test('is finished at once by whoever is in a hurry', async () => {
    const sweeper = sweeping({ chunkKeys: 10 })
    registerMany(30, 10)
    clock.advance(10)
    expect(sweeper.sweepNow()).toBe(20)
    await settled()
    expect([gone.length, table.size, sweeper.expired]).toEqual([30, 0, 30])
  })
})

describe('sweepNow', () => {
  test('evicts all that is due before it returns', () => {
    const sweeper = sweeping({ chunkKeys: 10, cadenceMs: 1_000 })
    registerMany(35, 10)
    table.register('later', 11)
    clock.advance(10)
    expect(sweeper.sweepNow()).toBe(35)
    expect([gone.length, table.size, sweeper.expired]).toEqual([35, 1, 35])
    expect(sweeper.sweepNow()).toBe(0)
  })

  test('leaves the sweeper awake for the next deadline', () => {
    const sweeper = sweeping()
    table.register('a', 10)
    table.register('b', 50)
    sweeper.sweepNow()
    clock.advance(50)
    expect(gone.map(([key]) => key)).toEqual(['a', 'b'])
  })

  test('still works after the end, and starts nothing', () => {
    const sweeper = sweeping()
    sweeper.stop()
    table.register('a', 10)
    clock.advance(10)
    expect(sweeper.sweepNow()).toBe(1)
    expect(clock.delaysMs).toEqual([])
  })
})

describe('a callback', () => {
  test('that revives another key of the same chunk saves it', () => {
    const others = new Map([
      ['a', 'b'],
      ['b', 'a'],
    ])
    const saved: (number | undefined)[] = []
    const sweeper = sweeping({ onExpired: (key) => saved.push(table.revive(others.get(key)!, 100)) })
    table.register('a', 10)
    table.register('b', 10)
    clock.advance(10)
    expect([saved, table.size, sweeper.expired]).toEqual([[110], 1, 1])
  })

  test('that throws is reported, and the sweep goes on', () => {
    const sweeper = sweeping({
      onExpired: (key) => {
        throw key === 'a' ? new Error(key) : key
      },
    })
    table.register('a', 10)
    table.register('b', 10)
    clock.advance(10)
    expect(reports.sort()).toEqual(['a', 'b'])
    expect([table.size, sweeper.expired]).toEqual([0, 2])
    table.register('a', 100)
    clock.advance(100)
    expect(reports).toHaveLength(3)
  })

  test('that throws ends nothing when nobody hears of it, or when who hears of it throws too', () => {
    const fail = () => {
      throw new Error('broken')
    }
    const sweeper = sweeping({ onExpired: fail, onError: fail })
    registerMany(10, 10)
    clock.advance(10)
    expect([table.size, sweeper.expired]).toEqual([0, 10])
    sweeper.stop()
    const silent = new Sweeper({ table, clock, onExpired: fail })
    sweepers.push(silent)
    registerMany(10, 10)
    clock.advance(10)
    expect([table.size, silent.expired]).toEqual([0, 10])
  })

  test('that registers its key again lets it live again', () => {
    sweeping({
      onExpired: (key, deadlineMs) => {
        gone.push([key, deadlineMs, clock.now()])
        table.register(key, 100)
      },
    })
    table.register('a', 100)
    clock.advance(350)
    expect(gone.map(([, , atMs]) => atMs)).toEqual([100, 200, 300])
  })

  test.each<[string, (sweeper: Sweeper<string>) => void, left: string[]]>([
    ['removes a key', () => table.unregister(table.expired(1)[0]!), []],
    ['clears the table', () => table.clear(), []],
    [
      'reloads the table',
      () => {
        const other = new LeaseTable<string>({ clock })
        other.register('other', 1_000)
        table.reload(other.toSnapshot())
      },
      ['other'],
    ],
    ['sweeps at once', (sweeper) => sweeper.sweepNow(), []],
  ])('that %s breaks nothing', async (_, disturb, left) => {
    let called = 0
    const sweeper = sweeping({
      chunkKeys: 10,
      onExpired: () => {
        if (++called === 5) disturb(sweeper)
      },
    })
    registerMany(25, 10)
    clock.advance(10)
    await settled()
    expect(Array.from(table, ([key]) => key)).toEqual(left)
    expect(sweeper.expired).toBe(called)
    table.register('next', 10)
    clock.advance(20)
    expect([table.has('next'), sweeper.expired]).toEqual([false, called])
    expect(reports).toEqual([])
  })

  test('that stops the sweeper ends the sweep with its chunk', async () => {
    const sweeper = sweeping({ chunkKeys: 10, onExpired: () => sweeper.stop() })
    registerMany(25, 10)
    clock.advance(10)
    await settled()
    expect([table.size, clock.pending]).toEqual([15, 0])
  })
})

test('an audit that throws keeps no key from going', () => {
  table = new LeaseTable({
    clock,
    audit: () => {
      throw new Error('full disk')
    },
  })
  const sweeper = sweeping()
  registerMany(10, 10)
  clock.advance(10)
  expect([table.size, sweeper.expired, reports]).toEqual([0, 10, []])
})

describe('the end', () => {
  test('of a sweeper leaves the table alone', () => {
    const sweeper = sweeping()
    table.register('a', 10)
    sweeper.stop()
    sweeper.stop()
    table.register('b', 5)
    clock.advance(10)
    expect([gone, table.size, clock.pending]).toEqual([[], 2, 0])
  })

  test('comes with its signal, from which it then is gone', () => {
    const owner = new AbortController()
    sweeping({ signal: owner.signal })
    table.register('a', 10)
    expect(getEventListeners(owner.signal, 'abort')).toHaveLength(1)
    owner.abort()
    clock.advance(10)
    expect([gone, table.size, clock.pending]).toEqual([[], 1, 0])
    expect(getEventListeners(owner.signal, 'abort')).toHaveLength(0)
  })

  test('by stop() leaves nothing on the signal of an owner who lives on', () => {
    const { signal } = new AbortController()
    sweeping({ signal }).stop()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('has come already where the signal was aborted before', () => {
    table.register('a', 10)
    const sweeper = sweeping({ signal: AbortSignal.abort() })
    table.register('b', 20)
    clock.advance(10)
    expect([gone, clock.delaysMs]).toEqual([[], []])
    sweeper.sweepNow()
    expect([gone, clock.delaysMs]).toEqual([[['a', 10, 10]], []])
  })

  test('makes room for another sweeper', () => {
    sweeping().stop()
    sweeping()
    table.register('a', 10)
    clock.advance(10)
    expect(gone).toEqual([['a', 10, 10]])
  })
})

test('on the clocks of the machine keys go when they are due, and no timer holds the process', async () => {
  const holding = () => process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length
  const before = holding()
  const { promise, resolve } = Promise.withResolvers<number>()
  const leases = new LeaseTable<string>({ clock: systemClock })
  const sweeper = new Sweeper({
    table: leases,
    clock: systemClock,
    onExpired: () => resolve(systemClock.now()),
  })
  const deadlineMs = leases.register('a', 20)
  expect(holding()).toBe(before)
  expect(await promise).toBeGreaterThanOrEqual(deadlineMs)
  sweeper.stop()
})
