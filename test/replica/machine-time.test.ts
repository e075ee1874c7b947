import { once } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { memoryLog } from '../../src/log/memory.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { leads, TIMES } from './cluster.ts'

const HOUR_MS = 3_600_000
const YEAR_MS = 365 * 24 * HOUR_MS
/** Long enough to be seen alive on two busy cores. */
const SHORT_MS = 500

/** How far the clock that stamps the log is from the right one. */
let aheadMs: number
let map: ReplicatedMap
let replica: Replica<unknown>

beforeEach(async () => {
  aheadMs = 0
  map = new ReplicatedMap()
  const log = memoryLog({ now: () => Date.now() + aheadMs })
  replica = (await createReplica({
    group: 'g',
    machine: map,
    log,
    volatile: true,
    ...TIMES,
  })) as Replica<unknown>
  await leads(replica)
})

afterEach(async () => {
  await replica.stop()
})

/** A key that is set now dies when its time is over, though nobody writes. */
async function expectTimeGoesOn(): Promise<void> {
  await map.set('short', 1, { ttlMs: SHORT_MS })
  expect(map.get('short')).toBe(1)
  await once(map, 'change', { signal: AbortSignal.timeout(10_000) })
  expect(map.get('short')).toBeUndefined()
}

test.each([
  ['in the year 2099', 73 * YEAR_MS],
  ['in 1970', -55 * YEAR_MS],
  ['an hour slow', -HOUR_MS],
])('an entry by a clock that is %s kills no key, and time goes on', async (_where, wrongMs) => {
  await map.set('lives', 1, { ttlMs: 60_000 })
  aheadMs = wrongMs
  await map.set('theirs', 1, { ttlMs: 60_000 })
  expect([map.get('lives'), map.get('theirs')]).toEqual([1, 1])
  await expectTimeGoesOn()
  aheadMs = 0
  await expectTimeGoesOn()
  expect([map.get('lives'), map.get('theirs')]).toEqual([1, 1])
})

test('while a key is to die in a month and nobody writes, no pause gets too long to count', async () => {
  const clock = new VirtualClock()
  clock.jumpWall(1_790_000_000_000)
  const log = memoryLog({ now: () => clock.wallNow() })
  const idle = new ReplicatedMap()
  await using one = await createReplica({ group: 'g', machine: idle, log, volatile: true, clock })
  const pass = async (ms: number) => {
    clock.advance(ms)
    for (let n = 0; n < 10; n++) await clock.turn()
  }
  while (one.leader !== one.id) await pass(100)
  await idle.set('mortal', 1, { ttlMs: 30 * 24 * HOUR_MS })
  const written = one.position.index
  for (let day = 1; day < 30; day++) await pass(24 * HOUR_MS)
  // The leader looks at the beginning of each step: at that of the fifth day more than half a week has passed.
  expect([idle.get('mortal'), one.position.index - written]).toEqual([1, 5])
  await pass(24 * HOUR_MS)
  await pass(1_000)
  expect(idle.get('mortal')).toBeUndefined()
})
