import { expect, test } from 'vitest'
import { CatchUpMemory } from '../../../src/observe/page/client/catch-up-memory.ts'
import { chunksText, percent } from '../../../src/observe/page/client/catch-up-text.ts'
import { filled, readCells } from '../../../src/observe/page/client/chunk-cells.ts'
import { Countdown } from '../../../src/observe/page/client/countdown.ts'
import { duration, plain, shortId } from '../../../src/observe/page/client/format.ts'
import { HISTORY_MS, History } from '../../../src/observe/page/client/history.ts'
import { asEvent, kindOf, nameOf, textOf } from '../../../src/observe/page/client/live-event.ts'
import { PeerMarks } from '../../../src/observe/page/client/peer-marks.ts'
import { transitions } from '../../../src/observe/page/client/transitions.ts'
import { catchUpOf, memberOf, viewOf } from './views.ts'

test('cells tell what is here, from whom, and what was asked twice', () => {
  expect(readCells('00113220')).toEqual([
    { here: false, provider: undefined, hedged: false },
    { here: true, provider: 0, hedged: false },
    { here: true, provider: 1, hedged: true },
    { here: false, provider: undefined, hedged: true },
  ])
  expect(readCells('zz1')).toEqual([{ here: false, provider: undefined, hedged: false }])
  expect(readCells('11'.repeat(10_000))).toHaveLength(4_096)
  expect(filled('00113220')).toBe('10113210')
})

test('a deadline counts down by itself, and tells of a revival', () => {
  const countdown = new Countdown()
  expect(countdown.set(10_000, 0)).toBe(false)
  expect(countdown.remainingMs(4_000)).toBe(6_000)
  // The clocks of two machines do not run alike.
  expect(countdown.set(6_100, 4_000)).toBe(false)
  expect(countdown.set(10_000, 5_000)).toBe(true)
  expect(countdown.remainingMs(20_000)).toBe(0)
})

test('a replica keeps its letter, and one that is gone leaves it to another', () => {
  const marks = new PeerMarks()
  expect(['a', 'b', 'c'].map((peer) => marks.of(peer).letter)).toEqual(['A', 'B', 'C'])
  marks.keep(new Set(['a', 'c']))
  expect(['c', 'd', 'e'].map((peer) => marks.of(peer).letter)).toEqual(['C', 'B', 'D'])
  const many = Array.from({ length: 200 }, (_, n) => marks.of(`peer ${n}`).letter)
  expect(new Set(many).size).toBe(200)
})

test('the picture of the chunks says the same in words', () => {
  const marks = new PeerMarks()
  expect(chunksText(catchUpOf('joiner', { chunks: 3 }), marks)).toBe(
    '3 of 4 chunks: 2 from A …-of-ours, 1 were here already or came from others',
  )
  expect(chunksText(catchUpOf('joiner', { chunksTotal: 0 }), marks)).toBe('The chunks are not known yet')
  expect(percent(catchUpOf('joiner', { chunks: 999, chunksTotal: 1_000 }))).toBe(99)
})

test('a catch-up that ended stays for a while, until its replica begins another', () => {
  const memory = new CatchUpMemory()
  const members = [memberOf('joiner')]
  const running = viewOf({ members, catchUps: [catchUpOf('joiner')] })
  const states = (view = viewOf({ members }), nowMs = 0) =>
    memory.shown(view, nowMs).map(({ state, view: { id } }) => [state, id])
  expect(states(running)).toEqual([['running', 'catch-up of joiner']])
  expect(states()).toEqual([['done', 'catch-up of joiner']])
  expect(states(viewOf({ members: [] }), 1_000)).toEqual([['done', 'catch-up of joiner']])
  expect(states(viewOf({ catchUps: [catchUpOf('joiner', { id: 'next' })] }), 2_000)).toEqual([
    ['running', 'next'],
  ])
  expect(states(viewOf({ members: [memberOf('joiner', { state: 'lost' })] }), 3_000)).toEqual([
    ['ended', 'next'],
  ])
  expect(states(undefined, 100_000)).toEqual([])
})

test('only what changed is said aloud', () => {
  const before = viewOf({ catchUps: [catchUpOf('joiner')], members: [memberOf('joiner'), memberOf('other')] })
  expect(transitions(before, { ...before, atMs: 2_000_000 })).toEqual([])
  const after = viewOf({
    state: 'lost',
    reason: 'no peer serves a snapshot',
    anchors: [{ index: 90, electorate: [], attested: {}, state: 'sealed' }],
    members: [memberOf('joiner'), memberOf('other', { silent: true }), memberOf('new-one')],
  })
  expect(transitions(before, after)).toEqual([
    'This replica is lost: no peer serves a snapshot.',
    'joiner caught up.',
    'Anchor 90 is sealed.',
    'new-one is there.',
    'other fell silent.',
  ])
  expect(transitions(before, viewOf({ self: 'restarted' }))).toEqual([
    'The page shows replica …estarted now.',
  ])
})

test('the charts show the last minutes of one replica', () => {
  const history = new History()
  for (const atMs of [0, 1_000, HISTORY_MS + 500]) history.add(viewOf({ atMs }))
  expect(history.samples.map(({ atMs }) => atMs)).toEqual([1_000, HISTORY_MS + 500])
  history.add(viewOf({ atMs: 500 }))
  expect(history.samples.map(({ atMs }) => atMs)).toEqual([500])
  history.add(viewOf({ atMs: 600, self: 'another' }))
  expect(history.samples.map(({ atMs }) => atMs)).toEqual([600])
})

test('an event has a kind and a line, whatever is in it', () => {
  const fetched = {
    type: 'sync',
    atMs: 1,
    detail: { type: 'fetched', peer: 'replica-of-ours', anchor: { epoch: 'e', index: 1_200 }, bytes: 34_567 },
  }
  expect([kindOf(fetched), nameOf(fetched), textOf(fetched)]).toEqual([
    'catch-up',
    'fetched',
    'peer …-of-ours · anchor 1,200 · bytes 34.6 kB',
  ])
  const problem = { type: 'problem', atMs: 1, detail: { name: 'Lost', message: 'nobody\u202e serves' } }
  expect([kindOf(problem), textOf(problem)]).toEqual(['problems', 'name Lost · message nobody\ufffd serves'])
  for (const type of ['constructor', 'new in a later version'])
    expect(kindOf({ type, atMs: 1, detail: null })).toBe('problems')
  expect(asEvent({ type: 7 })).toBeUndefined()
  expect(asEvent(null)).toBeUndefined()
})

test('texts of peers are cut, and show what nobody would see', () => {
  expect(plain('a\u202eb\u0007c')).toBe('a\ufffdb\ufffdc')
  expect(plain('x'.repeat(1_000))).toHaveLength(301)
  expect(shortId('12D3KooWabcdefgh')).toBe('…abcdefgh')
  expect([0, 61_000, 3_700_000].map(duration)).toEqual(['0.0 s', '1 min 1 s', '1 h 1 min'])
})
