import { expect, test } from 'vitest'
import { MemberEvents } from '../../src/cli/events/member-events.ts'
import type { CatchUpProgress } from '../../src/group/catch-up-progress.ts'
import type { Member } from '../../src/group/membership.ts'

const member = (id: string, changes: Partial<Member> = {}): Member => ({
  id,
  epoch: 'e',
  addresses: ['/ip4/127.0.0.1/tcp/1'],
  state: 'in-sync',
  applied: 10,
  leads: 0,
  offers: [],
  needs: 0,
  checkpoint: 0,
  announcedAtMs: 1_000,
  untilMs: 6_000,
  ...changes,
})

const progress = (changes: Partial<CatchUpProgress>): CatchUpProgress => ({
  id: '0011223344556677',
  phase: 'fetching',
  anchor: 7,
  chunks: 0,
  chunksTotal: 8,
  bytes: 0,
  bytesTotal: 800,
  elapsedMs: 5,
  providers: [],
  cells: new Uint8Array(),
  ...changes,
})

test('who is there, comes, changes, leaves and falls silent', () => {
  const events = new MemberEvents()
  const at = (members: readonly Member[], nowMs: number) =>
    events.look(members, nowMs, 99).map(({ event, member, detail }) => ({ event, member, ...detail }))
  const asks = member('asks', { addresses: [] })
  expect(at([member('a'), asks], 1_000)).toEqual([
    { event: 'present', member: 'a', state: 'in-sync', position: 10, addresses: ['/ip4/127.0.0.1/tcp/1'] },
  ])
  expect(at([member('a'), member('b', { state: 'starting' })], 1_000)).toMatchObject([
    { event: 'joined', member: 'b', state: 'starting' },
  ])
  expect(at([member('a'), member('b', { state: 'following', applied: 3 })], 1_000)).toEqual([
    { event: 'state', member: 'b', state: 'following', from: 'starting', position: 3 },
  ])
  // Its announcement is gone before it expired.
  expect(at([member('b', { state: 'following' })], 5_999)).toEqual([
    { event: 'left', member: 'a', state: 'in-sync' },
  ])
  expect(at([], 6_000)).toEqual([{ event: 'silent', member: 'b', state: 'following', announcedMsAgo: 5_000 }])
  expect(at([member('b', { untilMs: 12_000 })], 7_000)).toMatchObject([{ event: 'joined', member: 'b' }])
  // A leader says that it has stopped instead of leaving.
  expect(at([member('b', { state: 'stopped' })], 7_000)).toMatchObject([{ event: 'left', member: 'b' }])
})

test('a catch-up is told when it begins, by its phases and quarters, and when it ends', () => {
  const events = new MemberEvents()
  const at = (catchUp: CatchUpProgress | undefined, state: Member['state'] = 'catching-up') =>
    events
      .look([member('a', { state, ...(catchUp && { catchUp }) })], 1_000, 99)
      .filter(({ event }) => event.startsWith('catch-up'))
      .map(({ event, detail }) => ({ event, ...detail }))
  const id = '0011223344556677'
  expect(at(progress({ phase: 'requesting', anchor: 0, chunksTotal: 0 }))).toMatchObject([
    { event: 'catch-up-began', id, phase: 'requesting', anchor: 0, providers: 0 },
  ])
  expect(at(progress({ chunks: 0 }))).toMatchObject([{ event: 'catch-up', phase: 'fetching', anchor: 7 }])
  expect(at(progress({ chunks: 1 }))).toEqual([])
  expect(at(progress({ chunks: 2 }))).toMatchObject([{ event: 'catch-up', chunks: 2, chunksTotal: 8 }])
  expect(at(progress({ chunks: 3 }))).toEqual([])
  expect(at(progress({ chunks: 8 }))).toMatchObject([{ event: 'catch-up', chunks: 8 }])
  // It took another anchor.
  expect(at(progress({ anchor: 9 }))).toMatchObject([{ event: 'catch-up', anchor: 9, chunks: 0 }])
  expect(at(progress({ id: 'ff', anchor: 9 }))).toMatchObject([
    { event: 'catch-up-ended', id, state: 'catching-up' },
    { event: 'catch-up-began', id: 'ff' },
  ])
  expect(at(undefined, 'in-sync')).toEqual([
    { event: 'catch-up-ended', id: 'ff', anchor: 9, state: 'in-sync' },
  ])
  expect(at(undefined, 'in-sync')).toEqual([])
})

test('a catch-up of a replica that is gone has ended', () => {
  const events = new MemberEvents()
  events.look([member('a', { catchUp: progress({}) })], 1_000, 99)
  expect(events.look([], 1_000, 99).map(({ event, detail }) => ({ event, ...detail }))).toMatchObject([
    { event: 'catch-up-ended', state: null },
    { event: 'left' },
  ])
})
