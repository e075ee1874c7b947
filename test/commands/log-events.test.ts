import { expect, test } from 'vitest'
import type { GroupEvent } from '../../src/cli/events/group-event.ts'
import { LogEvents } from '../../src/cli/events/log-events.ts'
import type { Control } from '../../src/group/control.ts'
import type { LogEntry } from '../../src/log/log.ts'
import { controlEntry, entry } from '../group/entries.ts'

const ROOT = new Uint8Array(32).fill(1)
const OTHER = new Uint8Array(32).fill(2)
const LOG = { epoch: 'e', signature: 'm/1' }

const claim = (term: number): Control => ({ type: 'claim', term, format: 2 })
const tick = (term: number): Control => ({ type: 'tick', term })
const marker = (term: number, electorate: string[], signature = 'm/1'): Control => ({
  type: 'marker',
  term,
  electorate,
  requesters: [],
  chunkBytes: 100,
  signature,
})
const attestation = (anchor: number, root = ROOT): Control => ({ type: 'attestation', anchor, root })
const upgrade = (term: number, from: string, to: string): Control => ({
  type: 'upgrade',
  term,
  format: 2,
  from,
  to,
})

/** Entries from 1 on, each of an author. */
function logOf(...entries: readonly (readonly [author: string, control: Control])[]): LogEntry[] {
  return entries.map(([author, control], n) => controlEntry(n + 1, author, control))
}

function told(entries: readonly LogEntry[], from = 1): GroupEvent[] {
  const events = new LogEvents(LOG, from)
  return entries.filter(({ index }) => index >= from).flatMap((one) => events.take(one))
}

const brief = (events: readonly GroupEvent[]) =>
  events.map(({ event, index, member }) => `${index} ${event} ${member}`)

test('a seal is told when it is one, and who differs', () => {
  const entries = logOf(
    ['a', claim(1)],
    ['a', marker(1, ['a', 'b', 'c'])],
    ['a', attestation(2)],
    // No elector.
    ['x', attestation(2)],
    ['b', attestation(2, OTHER)],
    ['c', attestation(2)],
    ['a', { type: 'prune', term: 1, upTo: 99 }],
  )
  const events = told(entries)
  expect(brief(events)).toEqual([
    '1 leader a',
    '2 marked a',
    '3 attested a',
    '4 attested x',
    '5 attested b',
    '6 attested c',
    '6 sealed c',
    '6 divergence c',
    '7 prune a',
  ])
  const anchor = { epoch: 'e', index: 2 }
  expect(events[6]).toMatchObject({ atMs: 1000, detail: { anchor, root: ROOT } })
  expect(events[7]).toMatchObject({ detail: { anchor, replica: 'b', root: OTHER, sealed: ROOT } })
  // What is not there yet is not pruned.
  expect(events[8]).toMatchObject({ detail: { upTo: 6 } })
})

test('a dispute is told, and so is one who differs after the seal', () => {
  const entries = logOf(
    ['a', claim(1)],
    ['a', marker(1, ['a', 'b'])],
    ['a', attestation(2)],
    ['b', attestation(2, OTHER)],
    ['a', marker(1, ['a'])],
    ['a', attestation(5)],
    ['a', marker(1, ['a', 'b', 'c'])],
    ['a', attestation(7)],
    ['b', attestation(7)],
    ['c', attestation(7, OTHER)],
  )
  expect(brief(told(entries)).filter((line) => !/attested|marked/.test(line))).toEqual([
    '1 leader a',
    '4 disputed b',
    '6 sealed a',
    '9 sealed b',
    '10 divergence c',
  ])
})

test('what a deposed leader writes does nothing, and the machine time says nothing', () => {
  const entries = logOf(
    ['a', claim(1)],
    ['b', claim(2)],
    ['c', claim(2)],
    ['a', marker(1, ['a'])],
    ['b', tick(2)],
    ['b', upgrade(2, 'm/1', 'm/2')],
    ['b', marker(2, ['b'], 'm/1')],
    ['b', marker(2, ['b'], 'm/2')],
  )
  expect(brief(told(entries))).toEqual([
    '1 leader a',
    '2 leader b',
    '3 void c',
    '4 void a',
    '6 upgraded b',
    '7 void b',
    '8 marked b',
  ])
})

test('a log that begins with a snapshot says so', () => {
  const source = { group: 'old', epoch: 'o', index: 70 }
  const genesis: Control = {
    type: 'genesis',
    root: ROOT,
    format: 2,
    signature: 'm/1',
    timeMs: 5,
    chunkBytes: 0,
    source,
  }
  expect(told(logOf(['x', genesis]))).toMatchObject([
    { event: 'genesis', detail: { root: ROOT, signature: 'm/1', source } },
  ])
})

test('commands, entries of another epoch and what no release knows are not mistaken for anything', () => {
  const known = controlEntry(1, 'a', claim(1))
  const events = new LogEvents(LOG, 1)
  expect(events.take({ ...known, epoch: 'other' })).toEqual([])
  expect(events.take({ ...known, kind: 'command' })).toEqual([])
  const guarded: Control = { type: 'guarded', command: new Uint8Array(1) }
  expect(events.take(controlEntry(1, 'a', guarded))).toEqual([])
  expect(events.take(entry(1, 'a', new Uint8Array([255, 255])))).toMatchObject([{ event: 'void' }])
})

/** Three terms, each of another leader, with upgrades, seals and a claim that comes second. */
const LIFE = logOf(
  ['a', claim(1)],
  ['a', tick(1)],
  ['a', marker(1, ['a', 'b'])],
  ['a', attestation(3)],
  ['b', attestation(3)],
  ['b', claim(2)],
  ['c', claim(2)],
  ['b', tick(2)],
  ['b', upgrade(2, 'm/1', 'm/2')],
  ['b', marker(2, ['b', 'c'], 'm/2')],
  ['b', attestation(10)],
  ['c', attestation(10)],
  ['b', { type: 'prune', term: 2, upTo: 3 }],
  ['c', claim(3)],
  ['c', marker(3, ['c'], 'm/2')],
  ['c', attestation(15)],
  ['c', upgrade(3, 'm/2', 'm/3')],
  ['c', marker(3, ['c'], 'm/3')],
  ['c', attestation(18)],
)

test('read from its middle on, a log tells the same of what is marked there or later', () => {
  const whole = told(LIFE)
  /** Attestations alone tell nothing of a seal whose marker was not read. */
  const knowable = ({ event, index, detail }: GroupEvent, from: number) =>
    index! >= from && (event !== 'sealed' || detail.anchor.index >= from)
  for (const from of LIFE.keys()) {
    // There the claim that came second is the first that is read: only what follows says that it lost.
    if (from + 1 === 7) continue
    const expected = whole.filter((event) => knowable(event, from + 1))
    expect([from, ...brief(told(LIFE, from + 1))]).toEqual([from, ...brief(expected)])
  }
})

test('a claim that came second is not believed for longer than its rival says nothing', () => {
  expect(brief(told(LIFE, 7))).toEqual(['7 leader c', ...brief(told(LIFE, 8))])
})

test('an entry that a deposed leader left at the beginning is not believed for longer than its successor says nothing', () => {
  const entries = logOf(
    ['a', claim(1)],
    ['b', claim(2)],
    ['a', marker(1, ['a'])],
    ['b', marker(2, ['b'])],
    ['b', attestation(4)],
    ['a', marker(1, ['a'])],
  )
  expect(brief(told(entries, 3))).toEqual([
    '3 marked a',
    '4 marked b',
    '5 attested b',
    '5 sealed b',
    '6 void a',
  ])
})
