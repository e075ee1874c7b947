import { once } from 'node:events'
import { expect, test, vi } from 'vitest'
import { systemClock } from '../../src/time/clock.ts'

test('time does not stand still, and never goes back', async () => {
  const before = systemClock.now()
  await new Promise<void>((resolve) => void systemClock.schedule(5, resolve))
  expect(systemClock.now()).toBeGreaterThan(before)
})

test('what was due already runs soon, without a complaint from Node', async () => {
  const warned = once(process, 'warning', { signal: AbortSignal.timeout(50) })
  await new Promise<void>((resolve) => void systemClock.schedule(-5, resolve))
  await expect(warned).rejects.toMatchObject({ name: 'AbortError' })
})

test('a timer that is cancelled does not run', async () => {
  let ran = false
  systemClock
    .schedule(1, () => {
      ran = true
    })
    .cancel()
  await new Promise<void>((resolve) => void systemClock.schedule(10, resolve))
  expect(ran).toBe(false)
})

test.each([2 ** 31 - 1, 2 ** 31, 2 ** 33])('a timer of %d ms runs then, and not at once', (delayMs) => {
  vi.useFakeTimers()
  try {
    const ran = vi.fn()
    systemClock.schedule(delayMs, ran)
    const cancelled = vi.fn()
    const timer = systemClock.schedule(delayMs, cancelled)
    vi.advanceTimersByTime(delayMs - 1)
    expect(ran).not.toHaveBeenCalled()
    timer.cancel()
    vi.advanceTimersByTime(1)
    expect([ran.mock.calls.length, cancelled.mock.calls.length]).toEqual([1, 0])
  } finally {
    vi.useRealTimers()
  }
})

test('a timer that never runs out does not run', async () => {
  let ran = false
  const timer = systemClock.schedule(Number.POSITIVE_INFINITY, () => {
    ran = true
  })
  await new Promise<void>((resolve) => void systemClock.schedule(10, resolve))
  timer.cancel()
  expect(ran).toBe(false)
})

test('the wall clock tells the date, in whole milliseconds', () => {
  const before = Date.now()
  const wallMs = systemClock.wallNow()
  expect(Number.isInteger(wallMs)).toBe(true)
  expect([wallMs >= before, wallMs <= Date.now()]).toEqual([true, true])
})
