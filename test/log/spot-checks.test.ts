import { beforeEach, expect, test } from 'vitest'
import { LogRewound, LogUnavailable } from '../../src/log/errors.ts'
import { SpotChecks } from '../../src/log/jetstream/spot-checks.ts'
import type { LogEntry } from '../../src/log/log.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

/** What the stream's leader has, by index; undefined while nobody answers. */
let held: Map<number, string> | undefined
let compared: number[]
let clock: VirtualClock
let checks: SpotChecks

beforeEach(() => {
  held = new Map()
  compared = []
  clock = new VirtualClock()
  const confirm = async (index: number, id: string) => {
    compared.push(index)
    if (held === undefined) throw new LogUnavailable()
    const found = held.get(index)
    if (found !== undefined && found !== id) throw new LogRewound(index, index)
  }
  checks = new SpotChecks({ confirm, clock, random: () => 0.5 })
})

function entries(first: number, count: number, payloadBytes = 1): LogEntry[] {
  const payload = new Uint8Array(payloadBytes)
  return Array.from({ length: count }, (_, n) => {
    const index = first + n
    return { index, id: `id ${index}`, timestampMs: 0, author: 'a', epoch: 'e', kind: 'command', payload }
  })
}

test('of what is delivered fast, one entry of each full batch is compared', async () => {
  using reader = checks.reader()
  for (let n = 0; n < 5; n++) reader.delivered(entries(1 + n * 1_024, 1_024))
  await checks.settled()
  expect(compared).toEqual([1_024, 2_048, 3_072, 4_096, 5_120])
  expect(reader.signal.aborted).toBe(false)
})

test('an entry that the leader does not have is told to those who have read so far', async () => {
  using reader = checks.reader()
  using another = checks.reader()
  another.delivered(entries(1, 1_024))
  reader.delivered(entries(1, 1_024))
  held!.set(2_048, 'another')
  reader.delivered(entries(1_025, 1_024))
  await checks.settled()
  expect(reader.signal.reason).toMatchObject({ name: 'LogRewound', index: 2_048 })
  expect(another.signal.aborted).toBe(false)
})

test('what was the same is compared again with the next leader, and by and by with the same one', async () => {
  using reader = checks.reader()
  for (let n = 0; n < 100; n++) reader.delivered(entries(1 + n * 1_024, 1_024))
  await checks.settled()
  compared = []
  await checks.look('a')
  expect(compared.length).toBe((100 * 1_024) / 64)
  compared = []
  await checks.look('a')
  expect(compared.length).toBe(4)
  // In the middle alone: the servers have the same again after it.
  held!.set(10 * 1_024 + 64, 'another')
  await checks.look('b')
  expect(reader.signal.reason).toMatchObject({ index: 10 * 1_024 + 64 })
})

test('what nobody answers is compared at the next look', async () => {
  using reader = checks.reader()
  for (let n = 0; n < 30; n++) reader.delivered(entries(1 + n * 1_024, 1_024))
  await checks.settled()
  held = undefined
  await checks.look('b')
  expect(reader.signal.aborted).toBe(false)
  held = new Map([[1_024, 'another']])
  await checks.look('b')
  expect(reader.signal.reason).toMatchObject({ index: 1_024 })
})

test('large entries are not asked for', async () => {
  using reader = checks.reader()
  reader.delivered(entries(1, 3, 20_000))
  await checks.look('a')
  expect(compared).toEqual([])
})

test('of what comes in one by one, an entry is compared each tenth of a second', async () => {
  using reader = checks.reader()
  for (let index = 1; index <= 10; index++) {
    reader.delivered(entries(index, 1))
    clock.advance(40)
  }
  await checks.settled()
  expect(compared).toEqual([1, 4, 7, 10])
})

test('what was delivered two minutes ago is not compared any more', async () => {
  using reader = checks.reader()
  reader.delivered(entries(1, 1_024))
  clock.advance(120_000)
  reader.delivered(entries(1_025, 1_024))
  clock.advance(1)
  await checks.settled()
  compared = []
  await checks.look('a')
  expect(Math.min(...compared)).toBe(1_024 + 64)
})
