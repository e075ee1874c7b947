import { beforeEach, expect, test } from 'vitest'
import {
  PROVIDER_FAILURES_LAST,
  PROVIDER_FAILURES_MAX,
  PROVIDER_REST_MS,
  ProviderPool,
} from '../../src/sync/fetching/chunks/provider-pool.ts'
import { Expired, Failed, UnknownAnchor } from '../../src/sync/wire/errors.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

let clock: VirtualClock
let pool: ProviderPool

beforeEach(() => {
  clock = new VirtualClock()
  pool = new ProviderPool(clock)
})

/** Fail so many times, each time after the rest. */
function fail(provider: string, times: number): void {
  for (let n = 0; n < times; n++) {
    clock.advance(PROVIDER_REST_MS * PROVIDER_FAILURES_LAST)
    expect(pool.open(provider)).toBeDefined()
    pool.failed(provider, new Failed('a loose cable'))
  }
}

test('a provider that failed rests, the longer the more often it did', () => {
  for (const failures of [1, 2, 3]) {
    expect(pool.open('a')).toMatchObject({ status: 'opening', failures: failures - 1 })
    pool.failed('a', new Failed('a loose cable'))
    clock.advance(PROVIDER_REST_MS * failures - 1)
    expect([pool.open('a'), pool.linked]).toEqual([undefined, 0])
    clock.advance(1)
  }
  expect(pool.open('a')).toBeDefined()
})

test('a provider that failed often gets another chance only while nobody else is linked', () => {
  fail('a', PROVIDER_FAILURES_MAX)
  clock.advance(PROVIDER_REST_MS * PROVIDER_FAILURES_MAX)
  pool.open('b')
  expect(pool.open('a')).toBeUndefined()
  pool.failed('b', new Failed('a loose cable'))
  expect(pool.open('a')).toBeDefined()
})

test('one that failed less often gets it anyway', () => {
  fail('a', PROVIDER_FAILURES_MAX - 1)
  clock.advance(PROVIDER_REST_MS * PROVIDER_FAILURES_MAX)
  pool.open('b')
  expect(pool.open('a')).toBeDefined()
})

test('the chances end', () => {
  fail('a', PROVIDER_FAILURES_LAST)
  clock.advance(1_000_000)
  expect([pool.open('a'), pool.complaints]).toEqual([undefined, ['a: a loose cable']])
})

test.each([
  ['a proven fault', new ProvenFault('another hash'), false],
  ['a expired offer', new Expired('too late'), false],
  ['an offer it does not know of yet', new UnknownAnchor('what?'), true],
])('after %s a provider is gone at once; it comes back: %s', (_what, error, comesBack) => {
  pool.open('a')
  pool.failed('a', error)
  expect(pool.get('a')?.status).toBe('gone')
  clock.advance(1_000_000)
  expect(pool.open('a') !== undefined).toBe(comesBack)
})

test('Busy is no failure: its offer is kept alive while it rests', () => {
  pool.reserve('reserve')
  for (const provider of ['busy', 'failed', 'gone']) pool.open(provider)
  pool.busy('busy', 700)
  pool.failed('failed', new Failed('a loose cable'))
  pool.failed('gone', new Expired('too late'))
  expect(pool.present().map(([provider]) => provider)).toEqual(['reserve', 'busy'])
  clock.advance(699)
  expect(pool.open('busy')).toBeUndefined()
  clock.advance(1)
  expect(pool.open('busy')).toMatchObject({ failures: 0 })
})
