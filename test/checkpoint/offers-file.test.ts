import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OffersFile } from '../../src/checkpoint/offers-file.ts'
import { LeaseTable } from '../../src/leases/lease-table.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

let directory: string
let clock: VirtualClock
let path: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anchorage-offers-'))
  path = join(directory, 'offers.json')
  clock = new VirtualClock()
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test('an offer lives no longer after a restart than before, and time away counts', async () => {
  const leases = new LeaseTable<string>({ clock })
  leases.register('e:7', 10_000)
  leases.register('e:9', 1_000)
  await new OffersFile(path, clock).write(leases.toSnapshot())
  clock.advance(1_000)
  const read = await new OffersFile(path, clock).read()
  expect([...read]).toEqual([['e:7', 10_000]])
  clock.jumpWall(-3_600_000)
  const later = await new OffersFile(path, clock).read()
  expect(later.deadlineOf('e:7')! - clock.now()).toBeLessThanOrEqual(10_000)
})

test.each<[stepMs: number, leftMs: number | undefined]>([
  [-50 * 365 * 24 * 3_600_000, 10_000],
  [-1_000, 10_000],
  [1_000, 9_000],
  [50 * 365 * 24 * 3_600_000, undefined],
])('a step of the wall clock by %i ms makes no life longer: %s ms are left', async (stepMs, leftMs) => {
  clock.jumpWall(1_790_000_000_000)
  const leases = new LeaseTable<string>({ clock })
  leases.register('e:7', 10_000)
  await new OffersFile(path, clock).write(leases.toSnapshot())
  clock.jumpWall(stepMs)
  expect((await new OffersFile(path, clock).read()).deadlineOf('e:7')).toBe(leftMs)
})

test('no file is no offers', async () => {
  expect((await new OffersFile(path, clock).read()).size).toBe(0)
})

test.each(['', '{', 'null', '{"format":1,"takenAtMs":0,"leases":[[7,1]]}'])(
  'a file of %j is an error',
  async (text) => {
    await writeFile(path, text)
    await expect(new OffersFile(path, clock).read()).rejects.toThrow()
  },
)
