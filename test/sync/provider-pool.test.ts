import { beforeEach, expect, test } from 'vitest'
import { Links } from '../../src/sync/fetching/provider-pool.ts'
import { PROVIDER_FAILURES_LAST, PROVIDER_FAILURES_MAX, PROVIDER_REST_MS } from '../../src/sync/limits.ts'
import { Expired, Failed, UnknownAnchor } from '../../src/sync/wire/errors.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

let clock: VirtualClock
let links: Links

beforeEach(() => {
  clock = new VirtualClock()
  links = new Links(clock)
})

/** Fail so many times, each time after the rest. */
function fail(provider: string, times: number): void {
  for (let n = 0; n < times; n++) {
    clock.advance(PROVIDER_REST_MS * PROVIDER_FAILURES_LAST)
    expect(links.open(provider)).toBeDefined()
    links.failed(provider, new Failed('a loose cable'))
  }
}

test('a provider that failed rests, the longer the more often it did', () => {
  for (const failures of [1, 2, 3]) {
    expect(links.open('a')).toMatchObject({ status: 'opening', failures: failures - 1 })
    links.failed('a', new Failed('a loose cable'))
    clock.advance(PROVIDER_REST_MS * failures - 1)
    expect([links.open('a'), links.linked]).toEqual([undefined, 0])
    clock.advance(1)
  }
  expect(links.open('a')).toBeDefined()
})

test('a provider that failed often gets another chance only while nobody else is linked', () => {
  fail('a', PROVIDER_FAILURES_MAX)
  clock.advance(PROVIDER_REST_MS * PROVIDER_FAILURES_MAX)
  links.open('b')
  expect(links.open('a')).toBeUndefined()
  links.failed('b', new Failed('a loose cable'))
  expect(links.open('a')).toBeDefined()
})

test('one that failed less often gets it anyway', () => {
  fail('a', PROVIDER_FAILURES_MAX - 1)
  clock.advance(PROVIDER_REST_MS * PROVIDER_FAILURES_MAX)
  links.open('b')
  expect(links.open('a')).toBeDefined()
})

test('the chances end', () => {
  fail('a', PROVIDER_FAILURES_LAST)
  clock.advance(1_000_000)
  expect([links.open('a'), links.complaints]).toEqual([undefined, ['a: a loose cable']])
})

test.each([
  ['a proven fault', new ProvenFault('another hash'), false],
  ['a lapsed offer', new Expired('too late'), false],
  ['an offer it does not know of yet', new UnknownAnchor('what?'), true],
])('after %s a provider is gone at once; it comes back: %s', (_what, error, comesBack) => {
  links.open('a')
  links.failed('a', error)
  expect(links.get('a')?.status).toBe('gone')
  clock.advance(1_000_000)
  expect(links.open('a') !== undefined).toBe(comesBack)
})

test('Busy is no failure: its offer is kept alive while it rests', () => {
  links.reserve('reserve')
  for (const provider of ['busy', 'failed', 'gone']) links.open(provider)
  links.busy('busy', 700)
  links.failed('failed', new Failed('a loose cable'))
  links.failed('gone', new Expired('too late'))
  expect(links.present().map(([provider]) => provider)).toEqual(['reserve', 'busy'])
  clock.advance(699)
  expect(links.open('busy')).toBeUndefined()
  clock.advance(1)
  expect(links.open('busy')).toMatchObject({ failures: 0 })
})
