import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { OffersFile } from '../../src/checkpoint/offers-file.ts'
import { MalformedLeases } from '../../src/leases/errors.ts'
import { LeaseTable } from '../../src/leases/lease-table.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { PLACES, type Place } from './places.ts'

let place: Place
let clock: VirtualClock
let path: string

describe.each(PLACES)('on $on', ({ make }) => {
  beforeEach(async () => {
    place = await make()
    path = join(place.directory, 'offers.json')
    clock = new VirtualClock()
  })
  afterEach(() => place[Symbol.asyncDispose]())

  const offers = () => new OffersFile(path, place.storage, clock)

  test('an offer lives no longer after a restart than before, and time away counts', async () => {
    const leases = new LeaseTable<string>({ clock })
    leases.register('e:7', 10_000)
    leases.register('e:9', 1_000)
    await offers().write(leases.toSnapshot())
    clock.advance(1_000)
    const read = await offers().read()
    expect([...read]).toEqual([['e:7', 10_000]])
    clock.jumpWall(-3_600_000)
    const later = await offers().read()
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
    await offers().write(leases.toSnapshot())
    clock.jumpWall(stepMs)
    expect((await offers().read()).deadlineOf('e:7')).toBe(leftMs)
  })

  test('no file is no offers', async () => {
    expect((await offers().read()).size).toBe(0)
  })

  test.each(['', '{', 'null', '{"format":1,"takenAtMs":0,"leases":[[7,1]]}'])(
    'a file of %j is an error with a code',
    async (text) => {
      await place.storage.write(path, Buffer.from(text))
      await expect(offers().read()).rejects.toThrow(MalformedLeases)
    },
  )
})
