import { expect, test } from 'vitest'
import type { CatchUpProgress } from '../../src/group/catch-up-progress.ts'
import type { Member } from '../../src/group/membership.ts'
import type { LogHold } from '../../src/group/pruning.ts'
import type { SilentMember } from '../../src/group/silent-members.ts'
import {
  anchorsOf,
  catchUpsOf,
  holdsOf,
  membersOf,
  namedMembers,
  offersOf,
} from '../../src/observe/page/view-of.ts'

const SELF = { id: 'm050', state: 'in-sync', applied: 1_000, leader: 'm001', newest: 1_000 } as const
const CATCH_UP: CatchUpProgress = {
  ...{
    id: 'f',
    phase: 'fetching',
    anchor: 7,
    chunks: 1,
    chunksTotal: 2,
    bytes: 10,
    bytesTotal: 20,
    elapsedMs: 5,
  },
  providers: [{ peer: 'm001', chunks: 1, bytesPerSecond: 3 }],
  cells: Uint8Array.of(0x11, 0),
}

function member(id: string, changes: Partial<Member> = {}): Member {
  return {
    ...{ id, epoch: 'e', addresses: ['/ip4/127.0.0.1/tcp/1'], state: 'in-sync', applied: 900, leads: 0 },
    ...{ offers: [], needs: 0, checkpoint: 0, announcedAtMs: 100, untilMs: 10_000 },
    ...changes,
  } as Member
}

const many = (count: number, changes: Partial<Member> = {}) =>
  Array.from({ length: count }, (_, n) => member(`m${String(n).padStart(3, '0')}`, changes))

test('members have their lag behind the newest that was announced, and one that exaggerates changes no other', () => {
  const members = [member('m001', { leads: 3 }), member('m002', { applied: 950, leads: 2 }), member('m050')]
  const lags = (all: Member[]) => membersOf(all, [], SELF, 150).map(({ id, lag, leads }) => [id, lag, leads])
  expect(lags(members)).toEqual([
    ['m001', 50, true],
    ['m002', 0, false],
    ['m050', 0, false],
  ])
  expect(lags([...members, member('m060', { applied: 10 ** 15 })])).toEqual([
    ['m001', 100, true],
    ['m002', 50, false],
    ['m050', 0, false],
    ['m060', 0, false],
  ])
})

test('silent members are among the others by their ids', () => {
  const { epoch: _epoch, offers: _offers, ...silent } = member('m030', { applied: 800 })
  const gone = { ...silent, silentSinceMs: 120, tookLeave: true } as SilentMember
  const view = membersOf([member('m001'), member('m050')], [gone], SELF, 150)
  expect(view.map(({ id, silent, lag, ageMs }) => [id, silent, lag, ageMs])).toEqual([
    ['m001', false, 0, 50],
    ['m030', true, 100, 50],
    ['m050', false, 0, 50],
  ])
})

test('visitors, and members without a name that a PeerId could be, are left out', () => {
  const members = [member('m001'), member('visitor', { addresses: [] }), member('x'.repeat(201))]
  const named = (all: readonly Member[]) => namedMembers(all, 'm1500', 'm1700').map(({ id }) => id)
  expect(named(members)).toEqual(['m001'])
  // Names that others made up push neither this replica nor the leader out.
  expect(named(many(2_000)).length).toBe(1_000)
  expect(named(many(2_000)).slice(0, 3)).toEqual(['m1500', 'm1700', 'm000'])
})

test('the newest 500 offers are told, the own ones as they are', () => {
  const announced = Array.from({ length: 64 }, (_, n) => ({ anchor: n, remainingMs: 5_000, ready: true }))
  const own = { anchor: { epoch: 'e', index: 70 }, ready: false, remainingMs: 9_999.6 }
  const members = many(60, { offers: announced })
  members[50] = member('m050', { offers: [{ anchor: 70, remainingMs: 1, ready: true, servedBytes: 44 }] })
  const offers = offersOf(members, { id: 'm050', offers: [own], ttlMs: 4_000 }, 150)
  expect(offers).toHaveLength(500)
  expect(offers.at(-1)).toEqual({
    ...{ member: 'm050', anchor: 70, ready: false, remainingMs: 10_000, ttlMs: 4_000, servedBytes: 44 },
  })
  expect(offers.at(-2)).toEqual({
    ...{ member: 'm059', anchor: 63, ready: true, remainingMs: 4_950, ttlMs: 4_950, servedBytes: 0 },
  })
  expect(
    offersOf([member('m001', { offers: announced })], { id: '', offers: [], ttlMs: 1 }, 1e6)[0],
  ).toMatchObject({ remainingMs: 0, ttlMs: 1 })
})

test('catch-ups are told with their providers and chunks where there are few, the own one first', () => {
  const members = many(300, { catchUp: CATCH_UP })
  const own = { ...CATCH_UP, id: 'e' }
  const told = catchUpsOf(members, { id: 'm050', catchUp: own, chunkMap: undefined })
  expect(told).toHaveLength(200)
  expect(told[0]).toEqual({ ...own, member: 'm050', cells: '1100' })
  expect(new Set(told.map((catchUp) => catchUp.member)).size).toBe(200)
  expect(told.filter(({ cells }) => cells !== '').length).toBe(20)
  expect(told.at(-1)).toEqual({ ...CATCH_UP, member: 'm199', providers: [], cells: '' })
})

test('votes are told by the beginnings of their roots', () => {
  const root = new Uint8Array(32).fill(0xab)
  const electorate = ['a', '__proto__', 'x'.repeat(1_000)]
  const attested = new Map(electorate.map((elector) => [elector, root]))
  const [anchor] = anchorsOf([{ index: 7, electorate, attested, state: 'sealed' }])
  expect(anchor!.electorate).toEqual(['a', '__proto__', `${'x'.repeat(200)}…`])
  expect(Object.entries(anchor!.attested)).toEqual(anchor!.electorate.map((who) => [who, 'ab'.repeat(8)]))
  const state = 'open'
  const none = Array.from(
    { length: 30 },
    (_, index) => ({ index, electorate: [], attested: new Map(), state }) as const,
  )
  expect(anchorsOf(none).map(({ index }) => index)).toEqual(none.slice(10).map(({ index }) => index))
})

test('of what holds the log, what holds most of it', () => {
  const holds = Array.from(
    { length: 300 },
    (_, n): LogHold => ({ by: 'offer', upTo: (n * 7) % 300, member: `${n}` }),
  )
  expect(holdsOf(holds).map(({ upTo }) => upTo)).toEqual(Array.from({ length: 100 }, (_, n) => n))
})
