import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Assignment, type ProviderLoad, schedule } from '../../src/sync/scheduler.ts'

const LIMITS = { windowChunks: 4, rangeChunks: 3 }
const follower = (id: string, fields: Partial<ProviderLoad> = {}): ProviderLoad => ({
  id,
  leads: false,
  inFlight: 0,
  failures: 0,
  ...fields,
})
const leader = (id: string, fields: Partial<ProviderLoad> = {}) => follower(id, { leads: true, ...fields })
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

/** An assignment as text: whom, which. */
const text = ({ provider, first, count }: Assignment) =>
  `${provider}:${numbers(first, first + count - 1).join(',')}`

test.each<[what: string, wanted: number[], providers: ProviderLoad[], assignments: string[]]>([
  ['nothing wanted', [], [follower('a')], []],
  ['nobody to ask', [0, 1], [], []],
  ['nobody with room', [0, 1], [follower('a', { inFlight: 4 }), leader('b', { inFlight: 5 })], []],
  ['a range no longer than allowed, a window no fuller', numbers(0, 9), [follower('a')], ['a:0,1,2', 'a:3']],
  ['what is in flight takes room', numbers(0, 9), [follower('a', { inFlight: 2 })], ['a:0,1']],
  ['ranges hold neighbours only', [0, 2, 3, 9], [follower('a')], ['a:0', 'a:2,3', 'a:9']],
  ['few chunks are spread', [0, 1, 2], [follower('a'), follower('b'), follower('c')], ['a:0', 'b:1', 'c:2']],
  [
    'the leader only for what the followers have no room for',
    numbers(0, 9),
    [leader('l'), follower('a'), follower('b')],
    ['a:0,1,2', 'b:3,4,5', 'a:6', 'b:7', 'l:8,9'],
  ],
  ['the leader not at all where followers suffice', [0, 1], [leader('l'), follower('a')], ['a:0', 'a:1']],
  ['the leader if there is nobody else', [0, 1], [leader('l')], ['l:0,1']],
  [
    'who failed least first, a leader that never failed before a follower that did',
    numbers(0, 4),
    [follower('a', { failures: 1 }), follower('b', { failures: 2 }), leader('l')],
    ['l:0,1', 'l:2,3', 'a:4'],
  ],
  ['the least loaded first', [0, 1], [follower('a', { inFlight: 1 }), follower('b')], ['b:0', 'a:1']],
])('%s', (_what, wanted, providers, assignments) => {
  expect(schedule(wanted, providers, LIMITS).map(text)).toEqual(assignments)
})

test('every wanted chunk is asked of one provider at most, the lowest first, and no window overflows', () => {
  const wantedChunks = fc.uniqueArray(fc.nat(40)).map((list) => list.sort((a, b) => a - b))
  const providers = fc.uniqueArray(
    fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd'),
      leads: fc.boolean(),
      inFlight: fc.nat(6),
      failures: fc.nat(2),
    }),
    { selector: ({ id }) => id },
  )
  fc.assert(
    fc.property(wantedChunks, providers, (wanted, loads) => {
      const assignments = schedule(wanted, loads, LIMITS)
      const asked = assignments.flatMap(({ first, count }) => numbers(first, first + count - 1))
      expect(asked).toEqual(wanted.slice(0, asked.length))
      for (const { id, inFlight } of loads) {
        const mine = assignments.filter(({ provider }) => provider === id)
        const more = mine.reduce((sum, { count }) => sum + count, 0)
        if (more > 0) expect(inFlight + more).toBeLessThanOrEqual(LIMITS.windowChunks)
        for (const { count } of mine) expect(count).toBeLessThanOrEqual(LIMITS.rangeChunks)
      }
      const room = loads.reduce((sum, { inFlight }) => sum + Math.max(0, LIMITS.windowChunks - inFlight), 0)
      expect(asked.length).toBe(Math.min(wanted.length, room))
    }),
  )
})
