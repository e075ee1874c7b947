import { expect, test } from 'vitest'
import { SLICE_MS, Slices } from '../../src/expiry/slices.ts'
import { VirtualClock } from '../../src/expiry/virtual-clock.ts'

test('a slice is due once its time is used up, and anew after a rest', async () => {
  const clock = new VirtualClock()
  const slices = new Slices(clock)
  clock.advance(SLICE_MS - 1)
  expect(slices.due()).toBe(false)
  clock.advance(1)
  expect(slices.due()).toBe(true)
  await slices.rest()
  expect(slices.due()).toBe(false)
  clock.advance(SLICE_MS)
  expect(slices.due()).toBe(true)
})

test('a rest lets others use the event loop', async () => {
  const clock = new VirtualClock()
  let others = false
  setImmediate(() => {
    others = true
  })
  await new Slices(clock, 1).rest()
  expect(others).toBe(true)
})
