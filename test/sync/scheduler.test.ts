import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Assignment,
  hedge,
  type ProviderLoad,
  schedule,
} from '../../src/sync/fetching/chunks/scheduler.ts'

const WINDOW = 4
const LIMITS = { rangeChunks: 3 }
const follower = (id: string, fields: Partial<ProviderLoad> = {}): ProviderLoad => ({
  id,
  leads: false,
  listed: 100,
  inFlight: 0,
  window: WINDOW,
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
  [
    'nobody for what it has not told of',
    numbers(0, 5),
    [follower('a', { listed: 2 }), leader('l', { listed: 4 })],
    ['a:0,1', 'l:2,3'],
  ],
  [
    'who has told of more where the others have not',
    [7],
    [follower('a', { listed: 7 }), leader('l')],
    ['l:7'],
  ],
])('%s', (_what, wanted, providers, assignments) => {
  expect(schedule(wanted, providers, LIMITS).map(text)).toEqual(assignments)
})

test('every wanted chunk is asked of one provider at most, the lowest first, and no window overflows', () => {
  const wantedChunks = fc.uniqueArray(fc.nat(40)).map((list) => list.sort((a, b) => a - b))
  const providers = fc.uniqueArray(
    fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd'),
      leads: fc.boolean(),
      listed: fc.nat(40),
      inFlight: fc.nat(6),
      window: fc.integer({ min: 1, max: 6 }),
      failures: fc.nat(2),
    }),
    { selector: ({ id }) => id },
  )
  fc.assert(
    fc.property(wantedChunks, providers, (wanted, loads) => {
      const assignments = schedule(wanted, loads, LIMITS)
      const asked = assignments.flatMap(({ first, count }) => numbers(first, first + count - 1))
      expect(asked).toEqual(wanted.slice(0, asked.length))
      for (const { id, inFlight, window, listed } of loads) {
        const mine = assignments.filter(({ provider }) => provider === id)
        const more = mine.reduce((sum, { count }) => sum + count, 0)
        if (more > 0) expect(inFlight + more).toBeLessThanOrEqual(window)
        for (const { first, count } of mine) {
          expect(count).toBeLessThanOrEqual(LIMITS.rangeChunks)
          expect(first + count).toBeLessThanOrEqual(listed)
        }
      }
      const next = wanted[asked.length]
      if (next === undefined) return
      for (const { id, inFlight, window, listed } of loads) {
        const mine = assignments.filter(({ provider }) => provider === id)
        const load = mine.reduce((sum, { count }) => sum + count, inFlight)
        if (listed > next) expect(load).toBeGreaterThanOrEqual(window)
      }
    }),
  )
})

const late = (provider: string, ...indexes: number[]) => indexes.map((index) => ({ index, provider }))

test.each<[what: string, chunks: ReturnType<typeof late>, providers: ProviderLoad[], assignments: string[]]>([
  ['nothing late', [], [follower('a')], []],
  ['somebody else than who owes it', late('a', 3), [follower('a'), leader('l')], ['l:3']],
  ['nobody where only that one is there', late('a', 3), [follower('a')], []],
  ['nobody whose window is full', late('a', 3), [follower('b', { inFlight: 4 })], []],
  ['nobody who has not told of it', late('a', 3), [follower('b', { listed: 3 })], []],
  ['nobody who has others to send', late('a', 3), [follower('b', { inFlight: 1 })], []],
  ['the lowest first, one of each', late('a', 1, 2, 5), [follower('b'), leader('l')], ['b:1', 'l:2']],
  [
    'each of a different one than owes it',
    [...late('a', 1), ...late('b', 2)],
    [follower('a'), follower('b')],
    ['b:1', 'a:2'],
  ],
])('late chunks are asked of %s', (_what, chunks, providers, assignments) => {
  expect(hedge(chunks, providers).map(text)).toEqual(assignments)
})
