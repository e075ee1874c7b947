import { expect, test } from 'vitest'
import { Deadline } from '../../src/time/clock.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

test('its signal aborts with a TimeoutError when the time is over, and not before', () => {
  const clock = new VirtualClock()
  using deadline = new Deadline(clock, 1_000)
  clock.advance(999)
  expect(deadline.signal.aborted).toBe(false)
  clock.advance(1)
  expect(deadline.signal.reason).toMatchObject({ name: 'TimeoutError' })
})

test('one that was disposed of leaves its signal alone', () => {
  const clock = new VirtualClock()
  const deadline = new Deadline(clock, 1_000)
  deadline[Symbol.dispose]()
  clock.advance(2_000)
  expect(deadline.signal.aborted).toBe(false)
})
