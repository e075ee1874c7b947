import { expect, test } from 'vitest'
import { Problems } from '../../src/replica/problems.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

/** How often a problem is told that comes every second for so long. */
function told(
  problems: Problems,
  clock: VirtualClock,
  seconds: number,
  problem: (second: number) => Error,
): number {
  let count = 0
  for (let second = 0; second < seconds; second++) {
    if (problems.isNews(problem(second))) count++
    clock.advance(1_000)
  }
  return count
}

test('a problem that stays is told at once, and then after 5 s, 10 s, 20 s and so on', () => {
  const clock = new VirtualClock()
  const problems = new Problems(clock)
  const times: number[] = []
  for (let second = 0; second < 100; second++) {
    if (problems.isNews(new Error('the disk is full'))) times.push(second)
    clock.advance(1_000)
  }
  expect(times).toEqual([0, 5, 15, 35, 75])
})

test('one of a day is told every five minutes', () => {
  const clock = new VirtualClock()
  expect(told(new Problems(clock), clock, 86_400, () => new Error('the disk is full'))).toBeLessThan(300)
})

test('what differs by a number is the same problem, by a name or a word another', () => {
  const clock = new VirtualClock()
  const problems = new Problems(clock)
  expect(told(problems, clock, 5, (second) => new Error(`waited for ${5000 + second} ms`))).toBe(1)
  expect(problems.isNews(new TypeError('waited for 5000 ms'))).toBe(true)
  expect(problems.isNews(new Error('waited for ever'))).toBe(true)
})

test('one that was over is told at once when it comes back', () => {
  const clock = new VirtualClock()
  const problems = new Problems(clock)
  expect(told(problems, clock, 20, () => new Error('the disk is full'))).toBe(3)
  clock.advance(60_000)
  expect(told(problems, clock, 20, () => new Error('the disk is full'))).toBe(3)
})
