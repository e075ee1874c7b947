import { expect, test } from 'vitest'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

test('time stands still until it is moved', () => {
  const clock = new VirtualClock()
  const ran: string[] = []
  clock.schedule(1, () => ran.push('one'))
  expect([clock.now(), ran]).toEqual([0, []])
  clock.advance(1)
  expect([clock.now(), ran]).toEqual([1, ['one']])
})

test('what falls due runs in order of time, and in the order it was scheduled where the time is the same', () => {
  const clock = new VirtualClock()
  const ran: [string, number][] = []
  for (const [name, delayMs] of [
    ['late', 30],
    ['first', 10],
    ['second', 10],
    ['never', 41],
    ['now', 0],
    ['past', -5],
  ] as const) {
    clock.schedule(delayMs, () => ran.push([name, clock.now()]))
  }
  clock.advance(40)
  expect(ran).toEqual([
    ['now', 0],
    ['past', 0],
    ['first', 10],
    ['second', 10],
    ['late', 30],
  ])
  expect(clock.now()).toBe(40)
})

test('what a timer schedules runs too if it falls within', () => {
  const clock = new VirtualClock()
  const ticks: number[] = []
  const tick = () => {
    ticks.push(clock.now())
    clock.schedule(10, tick)
  }
  clock.schedule(10, tick)
  clock.advance(35)
  expect(ticks).toEqual([10, 20, 30])
})

test('a timer may cancel one that is due at the same moment', () => {
  const clock = new VirtualClock()
  const ran: string[] = []
  clock.schedule(5, () => {
    ran.push('first')
    second.cancel()
  })
  const second = clock.schedule(5, () => ran.push('second'))
  clock.advance(5)
  expect(ran).toEqual(['first'])
})

test('a turn lets what is waiting go on, without moving time', async () => {
  const clock = new VirtualClock()
  let resumed = false
  void Promise.resolve().then(() => {
    resumed = true
  })
  await clock.turn()
  expect([resumed, clock.now()]).toEqual([true, 0])
})

test('the wall clock goes on with time, and jumps when it is told to, while time stands still', () => {
  const clock = new VirtualClock()
  clock.advance(5)
  expect(clock.wallNow()).toBe(5)
  clock.jumpWall(1_000)
  expect([clock.now(), clock.wallNow()]).toEqual([5, 1_005])
  clock.advance(5)
  clock.jumpWall(-2_000)
  expect([clock.now(), clock.wallNow()]).toEqual([10, -990])
})

test('a jump of the wall clock makes nothing due, and delays nothing', () => {
  const clock = new VirtualClock()
  const ran: number[] = []
  clock.schedule(10, () => ran.push(clock.now()))
  clock.jumpWall(1_000)
  clock.advance(9)
  expect(ran).toEqual([])
  clock.jumpWall(-5_000)
  clock.advance(1)
  expect(ran).toEqual([10])
})
