import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { MalformedLeases } from '../../src/leases/errors.ts'
import { LeaseTable, type LeaseTableInit, type LeaseTransition } from '../../src/leases/lease-table.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const FOREVER = Number.POSITIVE_INFINITY

/** A clock that time passes for while it is read, as when the process is paused between two looks. */
class SlowClock extends VirtualClock {
  readMs = 0

  override now(): number {
    return this.#read(super.now())
  }

  override wallNow(): number {
    return this.#read(super.wallNow())
  }

  #read(ms: number): number {
    super.advance(this.readMs)
    return ms
  }
}

let clock: SlowClock
let heard: LeaseTransition<string>[]
let table: LeaseTable<string>

const isKey = (value: unknown): value is string => typeof value === 'string'

function newTable(init: Partial<LeaseTableInit<string>> = {}): LeaseTable<string> {
  return new LeaseTable({ clock, isKey, ...init })
}

/** What is read back from a file that data was written to. */
function thawed(data: unknown): unknown {
  return JSON.parse(JSON.stringify(data))
}

/** Registers `k0`, `k1`, and so on. */
function registerMany(count: number, ttlMs: number): string[] {
  const keys = Array.from({ length: count }, (_, n) => `k${n}`)
  for (const key of keys) table.register(key, ttlMs)
  return keys
}

beforeEach(() => {
  clock = new SlowClock()
  // Nothing may depend on time having begun with the table, or on the two clocks being one.
  clock.advance(1_000)
  clock.jumpWall(1_700_000_000_000)
  heard = []
  table = newTable({ audit: (transition) => heard.push(transition) })
})

describe('a lease', () => {
  test('lives until its deadline, and not longer', () => {
    expect(table.register('a', 10)).toBe(1_010)
    expect([table.has('a'), table.deadlineOf('a'), table.isExpired('a')]).toEqual([true, 1_010, false])
    clock.advance(9)
    expect([table.isExpired('a'), table.expired()]).toEqual([false, []])
    clock.advance(1)
    expect([table.isExpired('a'), table.expired()]).toEqual([true, ['a']])
  })

  test('of no time has expired at once', () => {
    table.register('a', 0)
    expect([table.isExpired('a'), table.mayHaveExpired(), table.expired()]).toEqual([true, true, ['a']])
    expect(table.evictExpired()).toBe(1)
  })

  test('without end never expires, and makes nothing due', () => {
    expect(table.register('a', FOREVER)).toBe(FOREVER)
    expect([table.nextDeadlineMs, table.mayHaveExpired()]).toEqual([undefined, false])
    clock.advance(1e15)
    expect([table.isExpired('a'), table.evictExpired(), table.has('a')]).toEqual([false, 0, true])
  })

  test('ends with a whole millisecond, and never before its time', () => {
    clock.advance(0.25)
    expect(table.register('a', 10)).toBe(1_011)
    expect(table.register('b', 0.5)).toBe(1_001)
  })

  test('ends when it is due, however long others live', () => {
    // These two would share a bucket if widths without limit went into its id.
    const [immenseMs, longMs] = [1e300, 779 * 2 ** 27]
    table.register('immense', immenseMs)
    table.register('long', longMs)
    expect(table.nextDeadlineMs).toBeLessThanOrEqual(clock.now() + longMs)
    clock.advance(longMs)
    expect(table.expired()).toEqual(['long'])
    expect(table.evictExpired()).toBe(1)
  })

  test.each([-1, -0.001, Number.NaN, Number.NEGATIVE_INFINITY, '10' as unknown as number])(
    'of %s ms is refused, and changes nothing',
    (ttlMs) => {
      table.register('a', 10)
      expect(() => table.register('a', ttlMs)).toThrow(RangeError)
      expect(() => table.register('b', ttlMs)).toThrow(RangeError)
      expect(() => table.revive('a', ttlMs)).toThrow(RangeError)
      expect([...table]).toEqual([['a', 1_010]])
    },
  )

  test('is replaced by registering its key again, with a later deadline or an earlier one', () => {
    table.register('a', 10)
    for (const ttlMs of [20, 5, FOREVER, 1, 1e12, 3]) {
      expect(table.register('a', ttlMs)).toBe(1_000 + ttlMs)
      expect([table.size, table.deadlineOf('a')]).toEqual([1, 1_000 + ttlMs])
    }
    clock.advance(2)
    expect(table.evictExpired()).toBe(0)
    clock.advance(1)
    expect(table.evictExpired()).toBe(1)
  })

  test('is not touched by a jump of the wall clock', () => {
    table.register('a', 10)
    clock.jumpWall(1e12)
    expect([table.isExpired('a'), table.evictExpired()]).toEqual([false, 0])
    clock.jumpWall(-2e12)
    clock.advance(10)
    expect([table.isExpired('a'), table.evictExpired()]).toEqual([true, 1])
  })

  test('ends when a later deadline, which it was given meanwhile, has come', () => {
    table.register('a', 10)
    clock.advance(5)
    expect(table.revive('a', 10)).toBe(1_015)
    clock.advance(5)
    expect([table.isExpired('a'), table.evictExpired(), table.size]).toEqual([false, 0, 1])
    clock.advance(5)
    expect(table.evictExpired()).toBe(1)
  })

  test('may be cut short by a revival', () => {
    table.register('a', 1_000)
    expect(table.revive('a', 1)).toBe(1_001)
    clock.advance(1)
    expect(table.evictExpired()).toBe(1)
  })

  test('that has expired can be revived until it is evicted, and not after', () => {
    table.register('a', 10)
    clock.advance(50)
    expect(table.isExpired('a')).toBe(true)
    expect(table.revive('a', 10)).toBe(1_060)
    expect([table.isExpired('a'), table.evictExpired()]).toEqual([false, 0])
    clock.advance(10)
    expect(table.evictExpired()).toBe(1)
    expect([table.revive('a', 10), table.has('a')]).toEqual([undefined, false])
  })

  test('is judged at any time that the caller names', () => {
    table.register('a', 10, 500)
    expect(table.deadlineOf('a')).toBe(510)
    expect([table.isExpired('a', 509), table.isExpired('a', 510)]).toEqual([false, true])
    expect([table.mayHaveExpired(509), table.mayHaveExpired(510)]).toEqual([false, true])
    expect([table.expired(9, 509), table.expired(9, 510)]).toEqual([[], ['a']])
    expect([table.evictExpired(9, 509), table.evictExpired(9, 510)]).toEqual([0, 1])
  })
})

test('an unknown key is told, and stays unknown', () => {
  expect(table.revive('a', 10)).toBeUndefined()
  expect(table.unregister('a')).toBe(false)
  expect([table.deadlineOf('a'), table.isExpired('a'), table.has('a')]).toEqual([undefined, undefined, false])
  expect([table.size, heard]).toEqual([0, []])
})

test('a key that is unregistered is gone, once', () => {
  table.register('a', 10)
  expect([table.unregister('a'), table.unregister('a')]).toEqual([true, false])
  clock.advance(10)
  expect([table.size, table.expired(), table.evictExpired()]).toEqual([0, [], 0])
})

test('anything can be a key, told apart as by a Map', () => {
  const object = {}
  const keys = [Number.NaN, 0, '0', undefined, null, object, {}]
  const any = new LeaseTable<unknown>({ clock })
  for (const key of keys) any.register(key, 10)
  expect(any.register(Number.NaN, 20)).toBe(1_020)
  expect(any.size).toBe(keys.length)
  clock.advance(10)
  expect(new Set(any.expired())).toEqual(new Set(keys.slice(1)))
  expect(any.unregister(object)).toBe(true)
})

test('what has expired is listed up to a limit, and stays', () => {
  const keys = registerMany(100, 10)
  table.register('later', 11)
  clock.advance(10)
  expect(table.expired(0)).toEqual([])
  for (const limit of [1, 7, 100, 101, FOREVER]) {
    const some = table.expired(limit)
    expect(some).toHaveLength(Math.min(limit, 100))
    expect(keys).toEqual(expect.arrayContaining(some))
    expect(new Set(some).size).toBe(some.length)
  }
  expect(table.expired(2.5)).toHaveLength(3)
  expect(table.size).toBe(101)
})

test('a cleared table is empty, and as good as new', () => {
  registerMany(100, 10)
  table.register('forever', FOREVER)
  table.clear()
  expect([table.size, table.nextDeadlineMs, [...table]]).toEqual([0, undefined, []])
  table.register('k1', 20)
  clock.advance(10)
  expect(table.evictExpired()).toBe(0)
  clock.advance(10)
  expect(table.evictExpired()).toBe(1)
})

describe('iteration', () => {
  test('gives every key and deadline, the oldest key first, with those that have expired', () => {
    table.register('a', 10)
    table.register('b', 5)
    table.register('c', FOREVER)
    table.register('a', 7)
    clock.advance(5)
    expect([...table]).toEqual([
      ['a', 1_007],
      ['b', 1_005],
      ['c', FOREVER],
    ])
  })

  test('goes on with what is there when the table changes on the way', () => {
    registerMany(4, 10)
    const seen: [string, number][] = []
    for (const lease of table) {
      seen.push(lease)
      if (lease[0] !== 'k1') continue
      table.unregister('k2')
      table.register('new', 30)
    }
    expect(seen).toEqual([
      ['k0', 1_010],
      ['k1', 1_010],
      ['k3', 1_010],
      ['new', 1_030],
    ])
  })

  test('ends with a table that is cleared on the way', () => {
    registerMany(4, 10)
    const seen: string[] = []
    for (const [key] of table) {
      seen.push(key)
      table.clear()
    }
    expect(seen).toEqual(['k0'])
  })
})

describe('the next deadline', () => {
  test('is no later than any deadline', () => {
    table.register('late', 1e9)
    expect(table.nextDeadlineMs).toBeLessThanOrEqual(1e9 + 1_000)
    table.register('soon', 3)
    expect(table.nextDeadlineMs).toBeLessThanOrEqual(1_003)
    expect(table.mayHaveExpired()).toBe(false)
  })

  test('is close enough that few looks find nothing, even for a life of years', () => {
    const yearsMs = 1e11
    table.register('a', yearsMs)
    let looks = 0
    for (; table.has('a'); looks++) {
      clock.advance(table.nextDeadlineMs! - clock.now())
      table.evictExpired()
    }
    expect(clock.now()).toBe(1_000 + yearsMs)
    expect(looks).toBeLessThan(8)
  })

  test('that gets earlier is told to whoever watches, and only then', () => {
    let told = 0
    table.watch(() => told++)
    table.register('a', 1_000)
    expect(told).toBe(1)
    table.register('b', 2_000)
    table.revive('a', 3_000)
    expect(told).toBe(1)
    table.register('c', 10)
    expect(told).toBe(2)
    table.watch(undefined)
    table.register('d', 1)
    expect(told).toBe(2)
  })
})

describe('an eviction', () => {
  test('removes what is due, each key once, and leaves the rest', () => {
    const keys = registerMany(100, 10)
    table.register('later', 11)
    clock.advance(10)
    const gone: [string, number][] = []
    expect(table.evictExpired(FOREVER, clock.now(), (...lease) => gone.push(lease))).toBe(100)
    expect(gone.sort()).toEqual(keys.map((key) => [key, 1_010]).sort())
    expect([...table]).toEqual([['later', 1_011]])
    expect([table.mayHaveExpired(), table.evictExpired()]).toEqual([false, 0])
  })

  test('ends at its limit, and the next one goes on', () => {
    registerMany(100, 10)
    clock.advance(10)
    expect([table.evictExpired(0), table.size]).toEqual([0, 100])
    expect([table.evictExpired(60), table.size, table.mayHaveExpired()]).toEqual([60, 40, true])
    expect([table.evictExpired(60), table.size, table.mayHaveExpired()]).toEqual([40, 0, false])
  })

  test('looks at what is due, not at what is stored', () => {
    registerMany(20_000, 1e9)
    for (let n = 0; n < 100; n++) table.register(`due${n}`, 10)
    clock.advance(10)
    // Had it looked at one more that was not due, it would not be through.
    expect([table.evictExpired(101), table.mayHaveExpired()]).toEqual([100, false])
  })

  test('looks at revived keys no more often than they come due', () => {
    registerMany(1_000, 100)
    for (let n = 0; n < 50; n++) {
      clock.advance(1)
      for (const [key] of table) table.revive(key, 100)
    }
    clock.advance(50)
    expect([table.evictExpired(1_001), table.mayHaveExpired()]).toEqual([0, false])
    expect(table.size).toBe(1_000)
  })

  test('counts what was revived among the keys that it looks at', () => {
    for (const key of registerMany(100, 10)) table.revive(key, 1_000)
    clock.advance(10)
    expect([table.evictExpired(99), table.mayHaveExpired()]).toEqual([0, true])
    expect([table.evictExpired(2), table.mayHaveExpired()]).toEqual([0, false])
  })

  test('spares a key that was revived by the callback of another', () => {
    const keys = registerMany(10, 10)
    clock.advance(10)
    const gone: string[] = []
    table.evictExpired(FOREVER, clock.now(), (key) => {
      gone.push(key)
      if (gone.length === 1) for (const other of keys) table.revive(other, 5)
    })
    expect(gone).toHaveLength(1)
    expect(table.size).toBe(9)
    clock.advance(5)
    expect(table.evictExpired()).toBe(9)
  })

  test('calls back when the key is gone, and can be registered anew', () => {
    table.register('a', 10)
    clock.advance(10)
    table.evictExpired(FOREVER, clock.now(), (key) => {
      expect([table.has(key), table.revive(key, 10)]).toEqual([false, undefined])
      table.register(key, 10)
    })
    expect([...table]).toEqual([['a', 1_020]])
  })

  test('evicts what its callback makes due', () => {
    table.register('a', 10)
    table.register('z', 1_000)
    clock.advance(10)
    const gone: string[] = []
    table.evictExpired(FOREVER, clock.now(), (key) => {
      gone.push(key)
      if (key !== 'a') return
      table.register('b', 0)
      table.revive('z', 0)
    })
    expect(gone.sort()).toEqual(['a', 'b', 'z'])
  })

  test('goes on unharmed after a callback that removes others of its bucket', () => {
    const keys = registerMany(10, 10)
    clock.advance(10)
    const gone: string[] = []
    table.evictExpired(FOREVER, clock.now(), (key) => {
      gone.push(key)
      const other = keys.find((candidate) => table.has(candidate))
      if (other !== undefined) table.unregister(other)
    })
    expect([gone.length, new Set(gone).size, table.size]).toEqual([5, 5, 0])
  })

  test.each<[string, () => void, [string, number][]]>([
    ['clears the table', () => table.clear(), []],
    [
      'fills it anew',
      () => {
        table.clear()
        registerMany(2, 7)
      },
      [
        ['k0', 1_017],
        ['k1', 1_017],
      ],
    ],
    [
      'reloads it',
      () => {
        const other = newTable()
        other.register('other', 9)
        table.reload(other.toSnapshot())
      },
      [['other', 1_019]],
    ],
    ['evicts by itself', () => table.evictExpired(), []],
  ])('goes on unharmed after a callback that %s', (_, disturb, left) => {
    registerMany(10, 10)
    clock.advance(10)
    let calls = 0
    const evicted = table.evictExpired(FOREVER, clock.now(), () => {
      if (calls++ === 2) disturb()
    })
    expect([evicted, calls]).toEqual([3, 3])
    expect([...table]).toEqual(left)
    clock.advance(10)
    expect([table.evictExpired(), table.size]).toEqual([left.length, 0])
  })

  test('is ended by a callback that throws, and nothing is lost', () => {
    registerMany(10, 10)
    clock.advance(10)
    const broken = () => {
      throw new Error('broken')
    }
    expect(() => table.evictExpired(FOREVER, clock.now(), broken)).toThrow('broken')
    expect(table.size).toBe(9)
    expect([table.evictExpired(), table.size]).toEqual([9, 0])
  })
})

describe('the audit', () => {
  const told = () => heard.map((t) => [t.type, t.key, t.oldDeadlineMs, t.deadlineMs, t.cause])

  test('hears of each transition, with the deadline before and the cause', () => {
    table.register('a', 10)
    table.register('a', 20)
    table.revive('a', 5)
    table.revive('a', 6, clock.now(), 'fetched')
    table.register('b', FOREVER)
    table.unregister('b')
    table.register('c', 1)
    table.unregister('c', 'session over')
    clock.advance(6)
    table.evictExpired()
    expect(told()).toEqual([
      ['created', 'a', undefined, 1_010, 'registered'],
      ['created', 'a', 1_010, 1_020, 'registered'],
      ['revived', 'a', 1_020, 1_005, 'revived'],
      ['revived', 'a', 1_005, 1_006, 'fetched'],
      ['created', 'b', undefined, FOREVER, 'registered'],
      ['released', 'b', FOREVER, undefined, 'unregistered'],
      ['created', 'c', undefined, 1_001, 'registered'],
      ['released', 'c', 1_001, undefined, 'session over'],
      ['expired', 'a', 1_006, undefined, 'expired'],
    ])
  })

  test('hears of what a snapshot brings', () => {
    table.register('a', 10)
    const snapshot = table.toSnapshot()
    heard.length = 0
    table.reload(snapshot)
    expect(told()).toEqual([['created', 'a', undefined, 1_010, 'reloaded']])
  })

  test('may throw without harm', () => {
    const audited = newTable({
      audit: () => {
        throw new Error('full disk')
      },
    })
    audited.register('a', 10)
    expect(audited.revive('a', 20)).toBe(1_020)
    audited.register('b', 10)
    expect(audited.unregister('b')).toBe(true)
    const snapshot = audited.toSnapshot()
    clock.advance(1)
    expect(audited.reload(snapshot)).toBe(1)
    clock.advance(19)
    expect([audited.evictExpired(), audited.size]).toEqual([1, 0])
  })
})

describe('a snapshot', () => {
  test('holds what lives, in wall-clock time, and survives JSON', () => {
    table.register('a', 10)
    table.register('gone', 5)
    table.register('forever', FOREVER)
    clock.advance(5)
    const takenAtMs = 1_700_000_001_005
    expect(thawed(table.toSnapshot())).toEqual({
      format: 1,
      takenAtMs,
      leases: [
        ['a', takenAtMs + 5],
        ['forever', null],
      ],
    })
  })

  test('brings each key back with what is left of its life', () => {
    table.register('a', 100)
    table.register('forever', FOREVER)
    const snapshot = thawed(table.toSnapshot())
    clock.advance(40)
    const reborn = newTable({ clock: { now: () => 7, wallNow: () => clock.wallNow() } })
    expect(reborn.reload(snapshot)).toBe(2)
    expect([...reborn]).toEqual([
      ['a', 67],
      ['forever', FOREVER],
    ])
  })

  test('brings back nothing that has expired meanwhile', () => {
    table.register('a', 10)
    table.register('b', 11)
    const snapshot = thawed(table.toSnapshot())
    clock.advance(10)
    expect(table.reload(snapshot)).toBe(1)
    expect([...table]).toEqual([['b', 1_011]])
  })

  test('replaces what was there', () => {
    table.register('a', 10)
    table.register('b', 10)
    const snapshot = thawed(table.toSnapshot())
    table.register('a', 99)
    table.register('c', 1)
    table.unregister('b')
    table.reload(snapshot)
    expect([...table]).toEqual([
      ['a', 1_010],
      ['b', 1_010],
    ])
    clock.advance(1)
    expect([table.expired(), table.mayHaveExpired()]).toEqual([[], false])
  })

  test('lengthens no life where the wall clock was set back', () => {
    table.register('a', 10)
    const snapshot = thawed(table.toSnapshot())
    clock.advance(4)
    clock.jumpWall(-1e9)
    table.reload(snapshot)
    // Nobody can tell how long it was away: what was left when it was written is the most that it can have.
    expect(table.deadlineOf('a')).toBe(clock.now() + 10)
  })

  test('shortens lives where the wall clock was set forward', () => {
    table.register('a', 10)
    table.register('b', 20)
    const snapshot = thawed(table.toSnapshot())
    clock.jumpWall(15)
    table.reload(snapshot)
    expect([...table]).toEqual([['b', 1_005]])
  })

  test('lengthens no life where the process is paused while it is taken', () => {
    table.register('a', 100)
    clock.readMs = 10
    const snapshot = table.toSnapshot()
    expect(snapshot.leases[0]![1]).toBeLessThanOrEqual(1_700_000_001_100)
  })

  test('lengthens no life where the process is paused while it is reloaded', () => {
    table.register('a', 100)
    const snapshot = thawed(table.toSnapshot())
    clock.readMs = 10
    table.reload(snapshot)
    expect(table.deadlineOf('a')).toBeLessThanOrEqual(1_100)
  })

  test('is rounded down and reloaded rounded down: no life ever gets longer, by whatever clocks', () => {
    const part = fc.integer({ min: 0, max: 4_000 }).map((n) => n / 256)
    fc.assert(
      fc.property(part, fc.array(fc.tuple(part, part, part), { maxLength: 20 }), (ttlMs, lives) => {
        let [owner, originMs] = [newTable(), 0]
        owner.register('a', 500 + ttlMs)
        const endMs = () => owner.deadlineOf('a')! - originMs
        for (const [aliveMs, goneMs, nextOriginMs] of lives) {
          clock.advance(aliveMs)
          const beforeMs = endMs()
          const snapshot = owner.toSnapshot()
          expect(snapshot.leases[0]![1]).toBeLessThanOrEqual(clock.wallNow() + (beforeMs - clock.now()))
          clock.advance(goneMs)
          originMs = nextOriginMs
          owner = newTable({
            clock: { now: () => clock.now() + nextOriginMs, wallNow: () => clock.wallNow() },
          })
          owner.reload(thawed(snapshot))
          expect(endMs()).toBeLessThanOrEqual(beforeMs)
          expect(endMs()).toBeGreaterThan(beforeMs - 2)
        }
      }),
    )
  })
})

describe('data that is no snapshot', () => {
  const wrong: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['a text', '{}'],
    ['a list', []],
    ['an empty object', {}],
    ['another format', { format: 2, takenAtMs: 0, leases: [] }],
    ['a format that is no text either', { format: { toString: 1, valueOf: 1 }, takenAtMs: 0, leases: [] }],
    ['no time', { format: 1, leases: [] }],
    ['a time that is a text', { format: 1, takenAtMs: '0', leases: [] }],
    ['a time that is no text either', { format: 1, takenAtMs: Symbol('now'), leases: [] }],
    ['an endless time', { format: 1, takenAtMs: FOREVER, leases: [] }],
    ['no leases', { format: 1, takenAtMs: 0 }],
    ['leases in an object', { format: 1, takenAtMs: 0, leases: { a: 10 } }],
    ['a lease that is none', { format: 1, takenAtMs: 0, leases: [null] }],
    ['a lease without a deadline', { format: 1, takenAtMs: 0, leases: [['a']] }],
    ['a lease with too much', { format: 1, takenAtMs: 0, leases: [['a', 1, 2]] }],
    ['a lease that is a text of two letters', { format: 1, takenAtMs: 0, leases: ['ab'] }],
    ['a hole', { format: 1, takenAtMs: 0, leases: new Array(1) }],
    ['a deadline that is a text', { format: 1, takenAtMs: 0, leases: [['a', '10']] }],
    ['a deadline that is no text either', { format: 1, takenAtMs: 0, leases: [['a', Object.create(null)]] }],
    ['a deadline that is no number', { format: 1, takenAtMs: 0, leases: [['a', Number.NaN]] }],
    ['a key that is none', { format: 1, takenAtMs: 0, leases: [[1, 10]] }],
    // biome-ignore format: one lease after the other
    ['a key twice', { format: 1, takenAtMs: 0, leases: [['a', 10], ['a', 20]] }],
    // biome-ignore format: one lease after the other
    ['a good lease and a bad one', { format: 1, takenAtMs: 1.7e12, leases: [['new', 1.8e12], ['b']] }],
  ]

  test.each(wrong)('is refused and leaves the table as it was: %s', (_, data) => {
    table.register('a', 10)
    heard.length = 0
    expect(() => table.reload(data)).toThrow(MalformedLeases)
    expect([...table]).toEqual([['a', 1_010]])
    expect([table.nextDeadlineMs, heard]).toEqual([1_010, []])
    clock.advance(10)
    expect(table.evictExpired()).toBe(1)
  })

  test('is refused, whatever it is', () => {
    const almost = fc.record(
      {
        format: fc.oneof(fc.constant(1), fc.anything()),
        takenAtMs: fc.oneof(fc.constant(0), fc.anything()),
        leases: fc.oneof(
          fc.array(fc.oneof(fc.tuple(fc.string(), fc.double()), fc.anything())),
          fc.anything(),
        ),
      },
      { requiredKeys: [] },
    )
    table.register('a', 10)
    const before = [...table]
    fc.assert(
      fc.property(fc.oneof(almost, fc.anything()), (data) => {
        const other = newTable()
        other.reload(table.toSnapshot())
        try {
          other.reload(data)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedLeases)
          expect([...other]).toEqual(before)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
