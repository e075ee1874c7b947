import { once } from 'node:events'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/expiry/clock.ts'

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

test('the wall clock tells the date, in whole milliseconds', () => {
  const before = Date.now()
  const wallMs = systemClock.wallNow()
  expect(Number.isInteger(wallMs)).toBe(true)
  expect([wallMs >= before, wallMs <= Date.now()]).toEqual([true, true])
})
