import { expect, test } from 'vitest'
import { isFresh, type Presence, Sightings } from '../../src/log/presence.ts'

const TTL_MS = 100
const YEAR_MS = 365 * 24 * 3_600_000
const STEPS_MS = [-70 * YEAR_MS, -600_000, -1_000, 1_000, 600_000, 70 * YEAR_MS]

const notice = (member: string, version: number, ageMs: number): Presence => ({
  member,
  version,
  ageMs,
  ttlMs: TTL_MS,
  data: new Uint8Array(),
})
/** The members that are fresh when the presences are read at this moment. */
const fresh = (sightings: Sightings, notices: readonly Presence[], nowMs: number) =>
  sightings
    .look(notices, nowMs)
    .filter(isFresh)
    .map(({ member }) => member)

test("the first sight of a presence relies on the backend's age", () => {
  const sightings = new Sightings()
  expect(sightings.look([notice('a', 1, 30)], 5_000)).toMatchObject([{ ageMs: 30 }])
  expect(sightings.look([notice('a', 1, 70)], 5_040)).toMatchObject([{ ageMs: 70 }])
  expect(fresh(new Sightings(), [notice('a', 1, TTL_MS)], 0)).toEqual([])
})

test.each(STEPS_MS)(
  'a presence that does not change goes on ageing, with the wall clock moved by %i ms',
  (step) => {
    const sightings = new Sightings()
    sightings.look([notice('a', 1, 0)], 0)
    expect(sightings.look([notice('a', 1, 40 + step)], 40)).toMatchObject([{ ageMs: 40 }])
    expect(fresh(sightings, [notice('a', 1, 99 + step)], 99)).toEqual(['a'])
    expect(fresh(sightings, [notice('a', 1, 100 + step)], 100)).toEqual([])
  },
)

test.each(STEPS_MS)(
  'a presence that is renewed stays fresh, with the wall clock moved by %i ms each time',
  (step) => {
    const sightings = new Sightings()
    for (let n = 0; n < 20; n++)
      expect(fresh(sightings, [notice('a', n, step * n)], n * (TTL_MS - 1))).toEqual(['a'])
  },
)

test.each(STEPS_MS)('a new presence is no older than the last look, with the wall clock at %i ms', (step) => {
  const sightings = new Sightings()
  sightings.look([], 1_000)
  const [seen] = sightings.look([notice('a', 1, step)], 1_060)
  expect(seen!.ageMs).toBeGreaterThanOrEqual(0)
  expect(seen!.ageMs).toBeLessThanOrEqual(60)
})

test("a reader that was stopped for long relies on the backend's age of later presences", () => {
  const sightings = new Sightings()
  sightings.look([notice('a', 1, 0), notice('b', 1, 0)], 0)
  expect(fresh(sightings, [notice('a', 9, 50_000), notice('b', 9, 10)], 60_000)).toEqual(['b'])
})
