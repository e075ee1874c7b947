import { expect, test } from 'vitest'
import { NoProvider, PeerUnavailable } from '../../src/sync/errors.ts'
import { LatencyTracker } from '../../src/sync/fetching/chunks/latency-tracker.ts'
import { FAULT_LENGTH_MAX, FAULTS_MAX, Faults } from '../../src/sync/fetching/faults.ts'
import { busyMs } from '../../src/sync/fetching/retry.ts'
import { Busy, Malformed } from '../../src/sync/wire/errors.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'

test('a peer is dropped on proof, and not for what it says or fails to do', () => {
  const faults = new Faults(() => {})
  expect(faults.add('a', new PeerUnavailable('silent'))).toBe(true)
  expect(faults.add('a', new Malformed('you sent nonsense, it says'))).toBe(true)
  expect(faults.isDropped('a')).toBe(false)
  expect(faults.add('a', new ProvenFault('another hash'))).toBe(true)
  expect([faults.isDropped('a'), faults.isDropped('b')]).toEqual([true, false])
})

test('the same fault again, and anything of a peer that was dropped, is no news', () => {
  const faults = new Faults(() => {})
  expect(faults.add('a', new PeerUnavailable('silent'))).toBe(true)
  expect(faults.add('b', new PeerUnavailable('silent'))).toBe(true)
  expect(faults.add('a', new PeerUnavailable('silent'))).toBe(false)
  faults.add('a', new ProvenFault('another hash'))
  expect(faults.add('a', new ProvenFault('bytes that are no message'))).toBe(false)
  expect(faults.list.map(({ peer, what }) => `${peer} ${what}`)).toEqual([
    'a silent',
    'b silent',
    'a another hash',
  ])
})

test('the newest faults are kept, and the beginning of each', () => {
  const faults = new Faults(() => {})
  for (let n = 0; n < FAULTS_MAX + 3; n++) faults.add('a', new PeerUnavailable(`${n} ${'x'.repeat(1000)}`))
  const { list } = faults
  expect([list.length, list[0]!.what.slice(0, 4)]).toEqual([FAULTS_MAX, '3 xx'])
  expect(list.every(({ what }) => what.length === FAULT_LENGTH_MAX)).toBe(true)
})

test('NoProvider tells who did what', () => {
  const faults = [
    { peer: 'a', what: 'another hash' },
    { peer: 'b', what: 'silent' },
  ]
  const error = new NoProvider('nobody is left', { faults })
  expect(error.message).toBe('nobody is left; a: another hash; b: silent')
  expect(error.faults).toEqual(faults)
})

test.each([
  [1000, 0, 1000],
  [1000, 0.5, 1250],
  [1000, 0.999, 1499.5],
  [1, 0, 100],
])('after Busy for %d ms, by chance %d, a peer is asked again after %d ms', (retryMs, chance, afterMs) => {
  expect(busyMs(new Busy('later', retryMs), () => chance)).toBe(afterMs)
})

test.each<[what: string, tookMs: number[], lateMs: number]>([
  ['nothing has arrived', [], 1000],
  ['chunks come at once', [1, 2, 3], 250],
  ['most chunks take a second', [1000, 1, 1000, 9000, 1000], 3000],
  ['chunks used to be slow, and are not any more', [...Array(64).fill(9000), ...Array(64).fill(200)], 600],
])('while %s, a chunk is late by its time', (_what, tookMs, lateMs) => {
  const pace = new LatencyTracker()
  for (const ms of tookMs) pace.arrived(ms)
  expect(pace.lateMs).toBe(lateMs)
})

test('each chunk that came twice doubles what is waited, up to eight times; and 64 that came once halve it', () => {
  const pace = new LatencyTracker()
  const after = (chunks: number, twice: number) => {
    for (let n = 0; n < chunks; n++) pace.arrived(10)
    for (let n = 0; n < twice; n++) pace.cameTwice()
    return pace.lateMs
  }
  expect([after(1, 0), after(0, 1), after(0, 1), after(0, 9)]).toEqual([250, 500, 1000, 2000])
  expect([after(63, 0), after(1, 0), after(64, 0), after(64, 0), after(640, 0)]).toEqual([
    2000, 1000, 500, 250, 250,
  ])
})
