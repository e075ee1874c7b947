import { expect, test } from 'vitest'
import { sleep, systemClock } from '../../src/time/clock.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

test('a sleep ends when its time has come, not before', async () => {
  const clock = new VirtualClock()
  let awake = false
  const slept = sleep(clock, 10).then(() => {
    awake = true
  })
  clock.advance(9)
  await clock.turn()
  expect(awake).toBe(false)
  clock.advance(1)
  await slept
})

test('a sleep that is aborted rejects with the reason, and its timer is gone', async () => {
  const clock = new VirtualClock()
  const stop = new AbortController()
  const slept = sleep(clock, 10, stop.signal)
  stop.abort(new Error('enough'))
  await expect(slept).rejects.toThrow('enough')
  clock.advance(10)
})

test('a sleep under a signal that was aborted before rejects at once', async () => {
  await expect(sleep(systemClock, 60_000, AbortSignal.abort(new Error('too late')))).rejects.toThrow(
    'too late',
  )
})

test('a long-lived signal does not gather listeners from sleeps that ended', async () => {
  const clock = new VirtualClock()
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--
    remove(...args)
  }
  for (let n = 0; n < 3; n++) {
    const slept = sleep(clock, 1, signal)
    clock.advance(1)
    await slept
  }
  expect(listeners).toBe(0)
})
