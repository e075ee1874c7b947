import { expect, test } from 'vitest'
import { TimeLeft } from '../../src/observe/time-left.ts'
import { Rate } from '../../src/time/rate.ts'

test('a rate is of the last second, whatever was before', () => {
  const rate = new Rate(1_000)
  expect(rate.perSecond).toBe(0)
  for (let n = 0; n <= 40; n++) rate.sample(n * 250, n < 20 ? 0 : (n - 19) * 100)
  expect(rate.perSecond).toBe(400)
  for (let n = 41; n <= 44; n++) rate.sample(n * 250, 2_100)
  expect(rate.perSecond).toBe(0)
})

test('a value that falls begins anew, and time that stands still is one sample', () => {
  const rate = new Rate(1_000)
  rate.sample(0, 1_000)
  rate.sample(500, 5)
  expect(rate.perSecond).toBe(0)
  rate.sample(500, 10)
  rate.sample(1_000, 60)
  expect(rate.perSecond).toBe(100)
  rate.restart()
  rate.sample(1_500, 1_000_000)
  expect(rate.perSecond).toBe(0)
})

test('the time that a catch-up still takes follows from how fast it went, by its own clock', () => {
  const timeLeft = new TimeLeft()
  const catchUp = {
    ...{ member: 'a', id: 'f', phase: 'fetching' as const, anchor: 7, chunks: 0, chunksTotal: 0 },
    ...{ bytesTotal: 10_000, providers: [], cells: '' },
  }
  const left = (elapsedMs: number, bytes: number, changes = {}) =>
    timeLeft.of([{ ...catchUp, elapsedMs, bytes, ...changes }])[0]!.leftMs
  expect(left(0, 0)).toBeUndefined()
  expect(left(1_000, 1_000)).toBe(9_000)
  // It announced nothing new.
  expect(left(1_000, 1_000)).toBe(9_000)
  expect(left(2_000, 4_000)).toBe(3_000)
  expect(left(2_500, 10_000, { phase: 'verifying' })).toBeUndefined()
  // Another anchor begins anew, and what ended is forgotten.
  expect(left(3_000, 11, { anchor: 8 })).toBeUndefined()
  expect(left(4_000, 10_000)).toBeUndefined()
})
