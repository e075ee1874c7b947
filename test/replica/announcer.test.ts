import { beforeEach, expect, test } from 'vitest'
import { VirtualClock } from '../../src/expiry/virtual-clock.ts'
import { Announcer } from '../../src/replica/announcer.ts'

const INTERVAL_MS = 100

let clock: VirtualClock
let announced: PromiseWithResolvers<void>[]
let errors: Error[]
let announcer: Announcer

beforeEach(() => {
  clock = new VirtualClock()
  announced = []
  errors = []
  announcer = new Announcer({
    clock,
    intervalMs: INTERVAL_MS,
    announce: () => {
      const one = Promise.withResolvers<void>()
      announced.push(one)
      return one.promise
    },
    onError: (error) => errors.push(error),
  })
})

const finish = async () => {
  announced.at(-1)!.resolve()
  await clock.turn()
}

test('it announces again and again, at its interval', async () => {
  announcer.soon()
  for (let n = 1; n <= 3; n++) {
    expect(announced).toHaveLength(n)
    await finish()
    clock.advance(INTERVAL_MS - 1)
    expect(announced).toHaveLength(n)
    clock.advance(1)
  }
})

test('what changes during an announcement is announced once after it', async () => {
  const first = announcer.now()
  const [second, third] = [announcer.now(), announcer.now()]
  expect(announced).toHaveLength(1)
  await finish()
  await first
  expect(announced).toHaveLength(2)
  await finish()
  await Promise.all([second, third])
  expect(announced).toHaveLength(2)
})

test('a failure is reported, and mended by the next interval', async () => {
  announcer.soon()
  announced[0]!.reject(new Error('the board is locked'))
  await clock.turn()
  expect(errors).toMatchObject([{ message: 'the board is locked' }])
  clock.advance(INTERVAL_MS)
  expect(announced).toHaveLength(2)
})

test('after stop it is silent, and what was under way has ended', async () => {
  announcer.soon()
  let stopped = false
  const stopping = announcer.stop().then(() => {
    stopped = true
  })
  await clock.turn()
  expect(stopped).toBe(false)
  await finish()
  await stopping
  announcer.soon()
  clock.advance(10 * INTERVAL_MS)
  expect(announced).toHaveLength(1)
})
