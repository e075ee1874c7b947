import { beforeEach, expect, test } from 'vitest'
import { ServerClock } from '../../../src/log/jetstream/server-clock.ts'

const SERVER_MS = 1_800_000_000_000

let nowMs: number
let clock: ServerClock

beforeEach(() => {
  nowMs = 5_000
  clock = new ServerClock({ now: () => nowMs })
  clock.heard(SERVER_MS)
})

test('ages grow with our own clock', () => {
  expect(clock.ageMs(SERVER_MS - 100)).toBe(100)
  nowMs += 250
  expect(clock.ageMs(SERVER_MS - 100)).toBe(350)
})

test('a timestamp that arrives late does not put the clock back', () => {
  nowMs += 1_000
  clock.heard(SERVER_MS + 100)
  expect(clock.ageMs(SERVER_MS)).toBe(1_000)
})

test('a timestamp that arrives sooner than those before puts it forward', () => {
  nowMs += 1_000
  clock.heard(SERVER_MS + 1_500)
  expect(clock.ageMs(SERVER_MS)).toBe(1_500)
})

test('no age is negative', () => {
  expect(clock.ageMs(SERVER_MS + 50)).toBe(0)
})

test("a server's clock that runs slower than ours, or is put back, is followed within two minutes", () => {
  for (let minute = 0; minute < 3; minute++) {
    nowMs += 60_000
    clock.heard(SERVER_MS - 10_000 + (minute + 1) * 60_000)
  }
  expect(clock.ageMs(SERVER_MS - 10_000 + 180_000)).toBe(0)
})

test('the last timestamp counts even if it came long ago', () => {
  nowMs += 600_000
  expect(clock.ageMs(SERVER_MS)).toBe(600_000)
})
