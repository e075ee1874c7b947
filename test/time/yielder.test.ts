import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, test } from 'vitest'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { SLICE_MS, SPANS, type Span, traceSync, Yielder } from '../../src/time/yielder.ts'

test('a slice is due once its time is used up, and anew after a rest', async () => {
  const clock = new VirtualClock()
  const yielder = new Yielder(clock, 'work')
  clock.advance(SLICE_MS - 1)
  expect(yielder.due()).toBe(false)
  clock.advance(1)
  expect(yielder.due()).toBe(true)
  await yielder.rest()
  expect(yielder.due()).toBe(false)
  clock.advance(SLICE_MS)
  expect(yielder.due()).toBe(true)
})

test('a rest lets others use the event loop', async () => {
  const clock = new VirtualClock()
  let others = false
  setImmediate(() => {
    others = true
  })
  await new Yielder(clock, 'work', 1).rest()
  expect(others).toBe(true)
})

test('whoever subscribes hears how long each span of work held the event loop', async () => {
  const heard: Span[] = []
  const hear = (message: unknown) => heard.push(message as Span)
  subscribe(SPANS, hear)
  try {
    const yielder = new Yielder(new VirtualClock(), 'build')
    await yielder.rest()
    yielder.pause()
    const beganMs = performance.now()
    const spin = () => {
      while (performance.now() - beganMs < 3);
      return 'done'
    }
    expect(traceSync('spin', spin)).toBe('done')
    expect(heard.map(({ what }) => what)).toEqual(['build', 'build', 'spin'])
    expect(heard[2]!.tookMs).toBeGreaterThan(2)
  } finally {
    unsubscribe(SPANS, hear)
  }
  traceSync('unheard', () => {})
  expect(heard).toHaveLength(3)
})
