import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MachineTime, PAUSE_MS_MAX } from '../../src/group/machine-time.ts'

const HOUR_MS = 3_600_000
const YEAR_MS = 365 * 24 * HOUR_MS
const START_MS = 1_790_000_000_000
const IN_2099_MS = START_MS + 73 * YEAR_MS

/** How far time has come after entries of these timestamps, from that of the first. */
function passed(...timestampsMs: number[]): number {
  const time = new MachineTime()
  for (const timestampMs of timestampsMs) time.advance(START_MS + timestampMs)
  return time.ms - START_MS
}

test('the first entry begins it, in whole milliseconds', () => {
  const time = new MachineTime()
  expect([time.ms, time.advance(5.9), time.ms]).toEqual([0, true, 5])
})

test("with one clock it is that clock's time, and never goes back", () => {
  expect(passed(0, 10, 10.9, 25)).toBe(25)
  expect(passed(0, 500, 100, 499)).toBe(500)
  expect(passed(0, PAUSE_MS_MAX)).toBe(PAUSE_MS_MAX)
})

describe('one writer in the year 2099', () => {
  const far = IN_2099_MS - START_MS

  test('moves nothing with one entry, and time goes on at its pace behind it', () => {
    expect(passed(0, 1_000, far, 2_000, 60_000)).toBe(60_000)
  })

  test('may go on writing in turns with others: the time that passes on its clock is time', () => {
    expect(passed(0, far, 1_000, far + 1_000, 2_000, far + 2_000, 3_000)).toBe(3_000)
  })

  test('may be the only one from then on', () => {
    expect(passed(0, far, far + 5_000, far + 9_000)).toBe(9_000)
  })

  test('may be the first: the others go on from there', () => {
    const time = new MachineTime()
    for (const timestampMs of [IN_2099_MS, START_MS, START_MS + 7_000]) time.advance(timestampMs)
    expect(time.ms).toBe(IN_2099_MS + 7_000)
  })
})

test.each([
  ['a second', 1_001],
  ['an hour', HOUR_MS],
  ['a year', YEAR_MS],
  ['to 1970', START_MS],
])('a clock that is put back by %s does not stop it', (_by, stepMs) => {
  expect(passed(0, 10_000, 10_000 - stepMs, 10_500 - stepMs, 11_000 - stepMs)).toBe(11_000)
})

test('a clock that is put back costs at most as much time as that', () => {
  expect(passed(0, 10_000, 10_000 - 2_000, 15_000 - 2_000)).toBe(13_000)
})

test('a clock that is put back and right again counts no time twice', () => {
  expect(passed(0, 10_000, 10_000 - HOUR_MS, 15_000 - HOUR_MS, 15_000, 20_000)).toBe(20_000)
})

test('a clock that is ahead by less than a pause may be moves it ahead, once', () => {
  expect(passed(0, HOUR_MS, 1_000, HOUR_MS + 1_000, 2_000, HOUR_MS + 2_000)).toBe(HOUR_MS + 2_000)
})

test('clocks that are apart by seconds, and go past each other, do not move it ahead again and again', () => {
  const clocks = fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 2, maxLength: 4 })
  const entries = fc.array(fc.record({ clock: fc.nat(3), afterMs: fc.nat(3_000) }), {
    minLength: 500,
    maxLength: 1_000,
  })
  fc.assert(
    fc.property(clocks, entries, (offsets, steps) => {
      const time = new MachineTime()
      const first = START_MS + offsets[0]!
      time.advance(first)
      let realMs = 0
      for (const { clock, afterMs } of steps) {
        realMs += afterMs
        time.advance(START_MS + realMs + offsets[clock % offsets.length]!)
        // Timestamps do not tell a pause from the way to another clock, so it is not just once as far.
        const apartMs = Math.max(...offsets) - Math.min(...offsets)
        expect(time.ms - first - realMs).toBeLessThanOrEqual(6 * (apartMs + 1_000))
      }
    }),
    { numRuns: 300 },
  )
})

test('a pause that is too long does not count, and what follows does', () => {
  expect(passed(0, PAUSE_MS_MAX + 1, PAUSE_MS_MAX + 8_000)).toBe(7_999)
})

test('no more clocks are told apart than a snapshot may carry', () => {
  const time = new MachineTime()
  for (let n = 0; n < 100; n++) time.advance(START_MS + n * YEAR_MS)
  expect(time.clocks.length).toBe(8)
  expect(time.ms).toBe(START_MS)
})

test('it says what an entry to come would make of it', () => {
  const time = new MachineTime()
  expect(time.at(START_MS)).toBe(0)
  time.advance(START_MS)
  expect([time.at(START_MS + 9.5), time.at(START_MS - YEAR_MS)]).toEqual([START_MS + 9, START_MS])
  expect(time.at(IN_2099_MS)).toBeUndefined()
  time.advance(IN_2099_MS)
  expect([time.at(IN_2099_MS + 9), time.at(START_MS + 9)]).toEqual([START_MS + 9, START_MS + 9])
})

test('a replica that begins with a snapshot has the same time ever after', () => {
  const clocks = fc.array(fc.integer({ min: 0, max: 80 * YEAR_MS }), { minLength: 1, maxLength: 12 })
  const entries = fc.array(
    fc.record({ clock: fc.nat(11), afterMs: fc.oneof(fc.nat(5_000), fc.nat(2 * PAUSE_MS_MAX)) }),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(clocks, entries, fc.nat(60), (offsets, steps, at) => {
      const whole = new MachineTime()
      let joiner = new MachineTime()
      let realMs = 0
      let before = 0
      for (const [n, { clock, afterMs }] of steps.entries()) {
        if (n <= at) joiner = new MachineTime(whole.ms, whole.clocks)
        realMs += afterMs
        const timestampMs = realMs + offsets[clock % offsets.length]!
        expect(joiner.advance(timestampMs)).toBe(whole.advance(timestampMs))
        expect(whole.ms).toBeGreaterThanOrEqual(before)
        before = whole.ms
      }
      expect([joiner.ms, joiner.clocks]).toEqual([whole.ms, whole.clocks])
    }),
    { numRuns: 300 },
  )
})
