import { beforeEach, expect, test } from 'vitest'
import { LogRewound, LogUnavailable } from '../../src/log/errors.ts'
import { SpotChecks } from '../../src/log/jetstream/spot-checks.ts'
import type { LogEntry } from '../../src/log/log.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

/** The entries of the stream's leader, by index; undefined while it does not answer. */
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

test('of entries that are delivered fast, one of each full batch is compared', async () => {
  using reader = checks.reader(0)
  for (let n = 0; n < 5; n++) reader.delivered(entries(1 + n * 1_024, 1_024))
  await checks.settled()
  expect(compared).toEqual([1_024, 2_048, 3_072, 4_096, 5_120])
  expect(reader.signal.aborted).toBe(false)
})

test('an entry that the leader does not have is reported to the readers that have got it', async () => {
  using reader = checks.reader(0)
  using another = checks.reader(0)
  another.delivered(entries(1, 1_024))
  reader.delivered(entries(1, 1_024))
  held!.set(2_048, 'another')
  reader.delivered(entries(1_025, 1_024))
  await checks.settled()
  expect(reader.signal.reason).toMatchObject({ name: 'LogRewound', index: 2_048 })
  expect(another.signal.aborted).toBe(false)
})

test('entries are compared again with the next leader, and from time to time with the same one', async () => {
  using reader = checks.reader(0)
  for (let n = 0; n < 100; n++) reader.delivered(entries(1 + n * 1_024, 1_024))
  await checks.settled()
  compared = []
  await checks.look('a')
  expect(compared.length).toBe((100 * 1_024) / 64)
  compared = []
  await checks.look('a')
  expect(compared.length).toBe(4)
  // Only in the middle: the servers have the same entries again after it.
  held!.set(10 * 1_024 + 64, 'another')
  await checks.look('b')
  expect(reader.signal.reason).toMatchObject({ index: 10 * 1_024 + 64 })
})

test('a comparison without an answer is made again at the next look', async () => {
  using reader = checks.reader(0)
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
  using reader = checks.reader(0)
  reader.delivered(entries(1, 3, 20_000))
  await checks.look('a')
  expect(compared).toEqual([])
})

test('of entries that arrive one by one, one is compared each tenth of a second', async () => {
  using reader = checks.reader(0)
  for (let index = 1; index <= 10; index++) {
    reader.delivered(entries(index, 1))
    clock.advance(40)
  }
  await checks.settled()
  expect(compared).toEqual([1, 4, 7, 10])
})

test('entries that were delivered two minutes ago are not compared any more', async () => {
  using reader = checks.reader(0)
  reader.delivered(entries(1, 1_024))
  clock.advance(120_000)
  reader.delivered(entries(1_025, 1_024))
  clock.advance(1)
  await checks.settled()
  compared = []
  await checks.look('a')
  expect(Math.min(...compared)).toBe(1_024 + 64)
})

test('what was delivered to an earlier reader says nothing of one that goes on before it', async () => {
  {
    using before = checks.reader(0)
    before.delivered(entries(1, 10))
    await checks.settled()
  }
  // The log was put back to entry 6, and written again.
  for (let index = 7; index <= 10; index++) held!.set(index, 'another')
  using reader = checks.reader(6)
  const others = entries(7, 4).map((entry) => ({ ...entry, id: 'another' }))
  reader.delivered(others)
  await checks.look('a')
  expect(reader.signal.aborted).toBe(false)
  // One that goes on behind it has what the earlier one was given.
  using behind = checks.reader(10)
  await checks.look('b')
  expect(behind.signal.reason).toMatchObject({ name: 'LogRewound', index: 10 })
})
