import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LeaseTable, type LeaseTransition } from '../../src/leases/lease-table.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const FOREVER = Number.POSITIVE_INFINITY

/** What a lease table is, but for its speed. */
type Model = Map<string, number>

type Step =
  | { readonly type: 'register' | 'revive'; readonly key: string; readonly ttlMs: number }
  | { readonly type: 'unregister'; readonly key: string }
  /** The first key that goes calls back. */
  | { readonly type: 'sweep'; readonly limit: number; readonly meanwhile?: Step }
  | { readonly type: 'pass' | 'jumpWall'; readonly ms: number }
  /** Time passes until a key is due, or until a moment before. */
  | { readonly type: 'reach'; readonly key: string; readonly beforeMs: number }
  | { readonly type: 'snapshot' | 'reload' | 'clear' }

// Few enough to meet again.
const KEYS = [...'abcdefghij']
const key = fc.constantFrom(...KEYS)
/** From milliseconds to centuries, with the powers of two, where buckets get wider. */
const ms = fc.oneof(
  fc.integer({ min: 0, max: 10 }),
  fc.integer({ min: 0, max: 5_000 }),
  fc.integer({ min: 0, max: 1e7 }),
  fc.tuple(fc.nat(43), fc.integer({ min: -2, max: 2 })).map(([n, more]) => Math.max(0, 2 ** n + more)),
)
const ttlMs = fc.oneof({ weight: 9, arbitrary: ms }, { weight: 1, arbitrary: fc.constant(FOREVER) })

const simple: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('register' as const), key, ttlMs }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('revive' as const), key, ttlMs }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('unregister' as const), key }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('pass' as const), ms }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('reach' as const), key, beforeMs: fc.nat(1) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('jumpWall' as const),
      ms: fc.tuple(ms, fc.constantFrom(1, -1)).map(([size, sign]) => size * sign),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constantFrom('snapshot' as const, 'reload' as const) }) },
  { weight: 1, arbitrary: fc.constant({ type: 'clear' as const }) },
)
const sweep: fc.Arbitrary<Step> = fc.record(
  {
    type: fc.constant('sweep' as const),
    limit: fc.constantFrom(0, 1, 2, 3, FOREVER),
    meanwhile: simple,
  },
  { requiredKeys: ['type', 'limit'] },
)
const steps = fc.array(fc.oneof({ weight: 5, arbitrary: simple }, { weight: 1, arbitrary: sweep }), {
  maxLength: 60,
  size: 'max',
})

/** A table and its model, side by side. */
class Run {
  readonly clock = new VirtualClock()
  readonly model: Model = new Map()
  readonly heard: LeaseTransition<string>[] = []
  readonly expected: LeaseTransition<string>[] = []
  readonly table = new LeaseTable<string>({
    clock: this.clock,
    audit: (transition) => this.heard.push(transition),
  })
  #written = { json: JSON.stringify(this.table.toSnapshot()), atWallMs: 0, leftMs: new Map<string, number>() }

  do(step: Step): void {
    const { table, model, clock } = this
    switch (step.type) {
      case 'register': {
        const deadlineMs = clock.now() + step.ttlMs
        this.#expect('created', step.key, deadlineMs, 'registered')
        model.set(step.key, deadlineMs)
        expect(table.register(step.key, step.ttlMs)).toBe(deadlineMs)
        break
      }
      case 'revive': {
        const deadlineMs = model.has(step.key) ? clock.now() + step.ttlMs : undefined
        if (deadlineMs !== undefined) {
          this.#expect('revived', step.key, deadlineMs, 'revived')
          model.set(step.key, deadlineMs)
        }
        expect(table.revive(step.key, step.ttlMs)).toBe(deadlineMs)
        break
      }
      case 'unregister':
        if (model.has(step.key)) this.#expect('released', step.key, undefined, 'unregistered')
        expect(table.unregister(step.key)).toBe(model.delete(step.key))
        break
      case 'sweep':
        this.#sweep(step.limit, step.meanwhile)
        break
      case 'pass':
        clock.advance(step.ms)
        break
      case 'reach': {
        const leftMs = (model.get(step.key) ?? 0) - step.beforeMs - clock.now()
        if (leftMs > 0 && leftMs < FOREVER) clock.advance(leftMs)
        break
      }
      case 'jumpWall':
        clock.jumpWall(step.ms)
        break
      case 'snapshot':
        this.#written = {
          json: JSON.stringify(table.toSnapshot()),
          atWallMs: clock.wallNow(),
          leftMs: new Map(Array.from(model, ([key, deadlineMs]) => [key, deadlineMs - clock.now()])),
        }
        break
      case 'reload':
        this.#reload()
        break
      case 'clear':
        model.clear()
        table.clear()
        break
      default:
        step satisfies never
    }
  }

  check(): void {
    const { table, model, clock } = this
    const nowMs = clock.now()
    const due = [...model.keys()].filter((key) => model.get(key)! <= nowMs)
    expect(table.size).toBe(model.size)
    expect([...table]).toEqual([...model])
    for (const key of KEYS) {
      expect(table.has(key)).toBe(model.has(key))
      expect(table.deadlineOf(key)).toBe(model.get(key))
      expect(table.isExpired(key)).toBe(model.has(key) ? due.includes(key) : undefined)
    }
    expect(table.expired().sort()).toEqual(due.sort())
    for (const limit of [0, 1, 3]) {
      const some = table.expired(limit)
      expect([some.length, new Set(some).size]).toEqual(Array(2).fill(Math.min(limit, due.length)))
      expect(due).toEqual(expect.arrayContaining(some))
    }
    if (due.length > 0) expect(table.mayHaveExpired()).toBe(true)
    const nextMs = Math.min(...model.values())
    if (nextMs < FOREVER) expect(table.nextDeadlineMs).toBeLessThanOrEqual(nextMs)
    expect(this.heard).toEqual(this.expected)
  }

  #expect(
    type: LeaseTransition<string>['type'],
    key: string,
    deadlineMs: number | undefined,
    cause: string,
  ): void {
    this.expected.push({ type, key, oldDeadlineMs: this.model.get(key), deadlineMs, cause })
  }

  #sweep(limit: number, meanwhile: Step | undefined): void {
    const nowMs = this.clock.now()
    let gone = 0
    const evicted = this.table.evictExpired(limit, nowMs, (key, deadlineMs) => {
      this.#expect('expired', key, undefined, 'expired')
      expect(deadlineMs).toBeLessThanOrEqual(nowMs)
      expect(this.model.get(key)).toBe(deadlineMs)
      this.model.delete(key)
      if (++gone === 1 && meanwhile !== undefined) this.do(meanwhile)
      this.check()
    })
    expect(evicted).toBe(gone)
    expect(evicted).toBeLessThanOrEqual(limit)
    if (limit < FOREVER) return
    expect(this.table.mayHaveExpired(nowMs)).toBe(false)
    for (const deadlineMs of this.model.values()) expect(deadlineMs).toBeGreaterThan(nowMs)
  }

  #reload(): void {
    const { table, model, clock } = this
    const { json, atWallMs, leftMs } = this.#written
    const awayMs = Math.max(0, clock.wallNow() - atWallMs)
    model.clear()
    for (const [key, wasLeftMs] of leftMs) {
      if (wasLeftMs <= awayMs) continue
      const deadlineMs = clock.now() + wasLeftMs - awayMs
      this.#expect('created', key, deadlineMs, 'reloaded')
      model.set(key, deadlineMs)
    }
    expect(table.reload(JSON.parse(json))).toBe(model.size)
  }
}

test('a table behaves as a plain Map from key to deadline, whatever happens in whatever order', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const run = new Run()
      for (const step of all) {
        run.do(step)
        run.check()
      }
    }),
    { numRuns: 1_000 },
  )
})

test('a table in which tens of thousands of keys come and go stays exact', () => {
  // Arrays of so many choices would take fast-check minutes: the choices come from its seed.
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = randomFrom(seed)
      const upTo = (n: number) => Math.floor(random() * n)
      const clock = new VirtualClock()
      const table = new LeaseTable<number>({ clock })
      const model = new Map<number, number>()
      for (let round = 0; round < 20; round++) {
        for (let n = 0; n < 5_000; n++) {
          const key = upTo(30_000)
          // As many lives of milliseconds as of days.
          const ttlMs = Math.floor(2 ** (random() * 27))
          const choice = random()
          if (choice < 0.6) {
            model.set(key, table.register(key, ttlMs))
          } else if (choice < 0.8) {
            const deadlineMs = table.revive(key, ttlMs)
            expect(deadlineMs).toBe(model.has(key) ? clock.now() + ttlMs : undefined)
            if (deadlineMs !== undefined) model.set(key, deadlineMs)
          } else {
            expect(table.unregister(key)).toBe(model.delete(key))
          }
        }
        clock.advance(Math.floor(2 ** (random() * 26)))
        const nowMs = clock.now()
        const due = new Set([...model.keys()].filter((key) => model.get(key)! <= nowMs))
        expect(new Set(table.expired())).toEqual(due)
        // All of them, or some and the rest later.
        let left = round % 3 === 0 ? due.size >> 1 : FOREVER
        while (left > 0 && table.mayHaveExpired()) {
          left -= 100
          table.evictExpired(100, nowMs, (key, deadlineMs) => {
            if (!due.delete(key) || model.get(key) !== deadlineMs) expect.fail(`${key} was not due`)
            model.delete(key)
          })
        }
        if (left === FOREVER) expect(due.size).toBe(0)
        expect([...table]).toEqual([...model])
        if (round % 8 === 7) table.reload(JSON.parse(JSON.stringify(table.toSnapshot())))
        for (const [key, deadlineMs] of model) {
          if (deadlineMs <= nowMs && !table.has(key)) model.delete(key)
        }
      }
      clock.advance(2 ** 28)
      expect([table.evictExpired(), table.size]).toEqual([model.size, 0])
    }),
    { numRuns: 5 },
  )
})

/** The same numbers from 0 to 1 for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
