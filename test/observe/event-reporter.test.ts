import { expect, test, vi } from 'vitest'
import { EventReporter } from '../../src/observe/event-reporter.ts'
import type { ProcessEvent } from '../../src/observe/events.ts'

test('the time of an event is that of the wall clock, also after it was set, and the order stays', () => {
  const told: ProcessEvent[] = []
  const reporter = new EventReporter((event) => told.push(event))
  const clock = vi.spyOn(Date, 'now')
  try {
    for (const atMs of [1_000_000, 9_000_000, 2_000_000]) {
      clock.mockReturnValue(atMs)
      reporter.happened({ type: 'log', detail: { connected: atMs > 1_000_000 } })
    }
  } finally {
    clock.mockRestore()
  }
  expect(told.map(({ atMs }) => atMs)).toEqual([1_000_000, 9_000_000, 2_000_000])
})
