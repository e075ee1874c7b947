import { beforeEach, describe, expect, test } from 'vitest'
import { begunWith, decodeGroupState } from '../../src/group/carried-state.ts'
import type { Control } from '../../src/group/control.ts'
import { UpgradeRequired } from '../../src/group/errors.ts'
import { GroupState } from '../../src/group/group-state.ts'
import { Versions } from '../../src/group/versions.ts'
import { controlEntry, entry } from './entries.ts'

const ROOT = new Uint8Array(32).fill(1)
const OTHER = new Uint8Array(32).fill(2)
const THIRD = new Uint8Array(32).fill(3)
const claim = (term: number): Control => ({ type: 'claim', term })
const prune = (term: number, upTo: number): Control => ({ type: 'prune', term, upTo })
const marker = (term: number, electorate: string[] = ['a', 'b', 'c']): Control => ({
  type: 'marker',
  term,
  electorate,
  requesters: ['d'],
  chunkBytes: 100,
})
const attestation = (anchor: number, root = ROOT): Control => ({ type: 'attestation', anchor, root })

let group: GroupState
let index: number

beforeEach(() => {
  group = new GroupState()
  index = 0
})

/** The group's state of a replica that installed a snapshot with these bytes. */
function restored(bytes: Uint8Array): GroupState {
  const state = new GroupState()
  state.apply(controlEntry(1, 'before', claim(1)))
  state.apply(controlEntry(2, 'before', marker(1)))
  state.restore(decodeGroupState(bytes))
  return state
}

const apply = (author: string, control: Control) => group.apply(controlEntry(++index, author, control))

test('before the first claim nobody leads', () => {
  expect([group.term, group.leader, group.claimIndex, group.timeMs]).toEqual([0, undefined, 0, 0])
  expect(apply('a', marker(0))).toMatchObject({ type: 'void' })
  expect(apply('a', prune(0, 1))).toMatchObject({ type: 'void' })
})

test('the first claim of a term wins, later ones of the same term are void', () => {
  expect(apply('a', claim(1))).toEqual({ type: 'leader', leader: 'a', term: 1 })
  expect(apply('b', claim(1))).toMatchObject({ type: 'void' })
  expect([group.leader, group.term, group.claimIndex]).toEqual(['a', 1, 1])
  expect(apply('b', claim(2))).toEqual({ type: 'leader', leader: 'b', term: 2 })
  expect([group.leader, group.term, group.claimIndex]).toEqual(['b', 2, 3])
})

test.each([0, 2, 7])('a claim of term %i on an empty log is void: terms are counted one by one', (term) => {
  expect(apply('a', claim(term))).toMatchObject({ type: 'void' })
  expect(group.leader).toBeUndefined()
})

test.each([
  ['an old term', 'a', 1],
  ['a term to come', 'b', 3],
  ['the newest term, but not its leader', 'a', 2],
])('a marker, a prune and a tick of %s do nothing', (_case, author, term) => {
  apply('a', claim(1))
  apply('b', claim(2))
  expect(apply(author, marker(term))).toMatchObject({ type: 'void' })
  expect(group.seal(index)).toBeUndefined()
  expect(apply(author, prune(term, 1))).toMatchObject({ type: 'void' })
  expect(apply(author, { type: 'tick', term })).toMatchObject({ type: 'void' })
})

test("the leader's marker says how to cut, for whom, and who attests", () => {
  apply('a', claim(1))
  expect(apply('a', marker(1))).toMatchObject({
    type: 'marker',
    index: 2,
    marker: { electorate: ['a', 'b', 'c'], requesters: ['d'], chunkBytes: 100 },
  })
})

test('an elector without an attestation of an overdue anchor is silent, until it attests a later one', () => {
  apply('a', claim(1))
  const mark = (electorate: string[]) => {
    apply('a', marker(1, electorate))
    return index
  }
  const attest = (who: string, anchor: number) =>
    apply(who, { type: 'attestation', anchor, root: Buffer.alloc(32) })
  const silent = (...overdue: number[]) => [...group.silent((anchor) => overdue.includes(anchor))]
  const first = mark(['a', 'b', 'c', 'd'])
  attest('a', first)
  attest('b', first)
  expect([silent(), silent(first)]).toEqual([[], ['c', 'd']])
  const second = mark(['a', 'c', 'd'])
  attest('c', second)
  expect([silent(first), silent(second)]).toEqual([['d'], ['a', 'd']])
  attest('a', second)
  expect(silent(first, second)).toEqual(['d'])
})

test('a snapshot says which entry was its newest: a log that was written again has another one there', () => {
  apply('a', claim(1))
  group.reached({ id: 'the id of an entry' })
  expect(restored(group.encode()).entryId).toBe('the id of an entry')
})

test('a prune goes as far as its leader says, and stops before itself', () => {
  apply('a', claim(1))
  index = 50
  expect(apply('a', prune(1, 3))).toEqual({ type: 'prune', upTo: 3 })
  expect(apply('a', prune(1, 99))).toEqual({ type: 'prune', upTo: 51 })
})

test.each([
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 3],
  [5, 3],
])('an electorate of %i seals with the attestation of %i', (size, majority) => {
  const electorate = ['a', 'b', 'c', 'd', 'e'].slice(0, size)
  apply('a', claim(1))
  apply('a', marker(1, electorate))
  const outcomes = electorate.map((author) => apply(author, attestation(2)).type)
  expect(outcomes.indexOf('sealed') + 1).toBe(majority)
  expect(outcomes.filter((type) => type === 'sealed')).toHaveLength(1)
  expect(group.seal(2)?.root).toEqual(ROOT)
})

test("an elector's first attestation counts, a second one and those of others do not", () => {
  apply('a', claim(1))
  apply('a', marker(1))
  expect(apply('a', attestation(2, OTHER)).type).toBe('attested')
  apply('a', attestation(2))
  apply('stranger', attestation(2))
  apply('b', attestation(2))
  expect(group.seal(2)?.root).toBeUndefined()
  expect(group.seal(2)?.attestations).toEqual(
    new Map([
      ['a', OTHER],
      ['b', ROOT],
    ]),
  )
  expect(apply('c', attestation(2))).toEqual({
    type: 'sealed',
    anchor: 2,
    root: ROOT,
    minority: new Map([['a', OTHER]]),
  })
})

test('a sealed root stays sealed; an elector that disagrees later is named, once', () => {
  apply('a', claim(1))
  apply('a', marker(1))
  apply('a', attestation(2))
  apply('b', attestation(2))
  const diverged = { type: 'diverged', anchor: 2, author: 'c', root: OTHER, sealed: ROOT }
  expect(apply('c', attestation(2, OTHER))).toEqual(diverged)
  expect(apply('c', attestation(2, OTHER)).type).toBe('attested')
  expect(apply('stranger', attestation(2, OTHER)).type).toBe('attested')
  expect(group.seal(2)?.root).toEqual(ROOT)
})

test('a dispute is reported once, with all attestations, and the anchor is never sealed', () => {
  apply('a', claim(1))
  apply('a', marker(1, ['a', 'b', 'c', 'd']))
  apply('a', attestation(2))
  apply('b', attestation(2, OTHER))
  expect(apply('c', attestation(2, THIRD))).toEqual({
    type: 'disputed',
    anchor: 2,
    roots: new Map([
      ['a', ROOT],
      ['b', OTHER],
      ['c', THIRD],
    ]),
  })
  expect(apply('d', attestation(2)).type).toBe('attested')
  expect(apply('d', attestation(2)).type).toBe('attested')
  expect([group.seal(2)?.root, group.seal(2)?.state]).toEqual([undefined, 'disputed'])
})

test('an elector named twice still has one vote of two', () => {
  apply('a', claim(1))
  apply('a', marker(1, ['a', 'a', 'b']))
  expect(apply('a', attestation(2)).type).toBe('attested')
  expect(apply('b', attestation(2)).type).toBe('sealed')
})

test('an attestation of an anchor that nobody marked is void', () => {
  expect(apply('a', attestation(77))).toMatchObject({ type: 'void', why: expect.stringContaining('77') })
})

test('attestations are counted for the newest sixteen anchors', () => {
  apply('a', claim(1))
  for (let n = 0; n < 17; n++) apply('a', marker(1))
  expect([group.seal(2), group.seal(3)]).toEqual([undefined, expect.anything()])
  expect(apply('a', attestation(2)).type).toBe('attested')
})

test('an entry that is no control entry of this version does nothing', () => {
  for (const payload of [new Uint8Array(0), Buffer.from('nonsense'), Buffer.alloc(10, 0xff)]) {
    expect(group.apply(entry(1, 'a', payload))).toMatchObject({ type: 'void' })
  }
})

test.each([0, 8 * 1024 * 1024 + 1])('a marker for chunks of %i bytes does nothing', (chunkBytes) => {
  apply('a', claim(1))
  expect(apply('a', { ...marker(1), chunkBytes } as Control)).toMatchObject({ type: 'void' })
})

test('a replica that installs a snapshot goes on with the same leader, term and time', () => {
  apply('a', claim(1))
  apply('b', claim(2))
  group.advance(1_700_000_000_123)
  const copy = restored(group.encode())
  expect([copy.leader, copy.term, copy.timeMs]).toEqual(['b', 2, 1_700_000_000_123])
  expect(copy.claimIndex).toBe(0)
  for (const one of [group, copy]) for (const ms of [4e12, 1_700_000_000_200, 4e12 + 5]) one.advance(ms)
  expect([group.timeMs, group.encode()]).toEqual([copy.timeMs, copy.encode()])
  expect(restored(group.encode()).encode()).toEqual(group.encode())
  const pristine = restored(new GroupState().encode())
  expect([pristine.leader, pristine.term, pristine.timeMs]).toEqual([undefined, 0, 0])
})

test('bytes that are no carried state change nothing', () => {
  apply('a', claim(1))
  const before = group.encode()
  expect(() => group.restore(decodeGroupState(Buffer.from('ff', 'hex')))).toThrow()
  expect(group.encode()).toEqual(before)
})

test('attestations of anchors before the installed snapshot are expected, and do not count', () => {
  apply('a', claim(1))
  const copy = restored(group.encode())
  const attest = (at: number, anchor: number) =>
    copy.apply(controlEntry(at, 'b', { type: 'attestation', anchor, root: Buffer.alloc(32) })).type
  expect(attest(60, 50)).toBe('attested')
  copy.apply(
    controlEntry(61, 'a', {
      type: 'marker',
      term: 1,
      electorate: ['b'],
      requesters: [],
      chunkBytes: 1_048_576,
    }),
  )
  expect([attest(62, 50), attest(63, 61), attest(64, 62)]).toEqual(['attested', 'sealed', 'void'])
})

test('the newest anchors are told with their votes, also after the seal, and after an install from its anchor on', () => {
  const electorate = ['a', 'b', 'c']
  const votes = () => group.anchors.map(({ attested, state }) => [[...attested.keys()], state])
  apply('a', claim(1))
  apply('a', marker(1))
  expect(group.anchors).toEqual([{ index: 2, electorate, attested: new Map(), state: 'open' }])
  apply('b', attestation(2))
  apply('a', attestation(2))
  apply('c', attestation(2, OTHER))
  expect(votes()).toEqual([[['b', 'a', 'c'], 'sealed']])
  expect(group.anchors[0]!.attested.get('c')).toEqual(OTHER)
  const later = Array.from({ length: 20 }, () => {
    apply('a', marker(1))
    return index
  })
  expect(group.anchors.map((anchor) => anchor.index)).toEqual(later.slice(-16))
  const copy = restored(group.encode())
  expect(copy.anchors).toEqual([])
  copy.installed(50, electorate)
  expect(copy.anchors).toEqual([{ index: 50, electorate, attested: new Map(), state: 'open' }])
})

test('a replica that installed an anchor counts its attestations like one that applied the marker', () => {
  apply('a', claim(1))
  const copy = restored(group.encode())
  copy.installed(50, ['a', 'b', 'c'])
  const attest = (author: string, root = ROOT, anchor = 50) =>
    copy.apply(controlEntry(60, author, { type: 'attestation', anchor, root })).type
  expect([attest('a'), attest('a', ROOT, 40), attest('b'), attest('c', OTHER)]).toEqual([
    'attested',
    'attested',
    'sealed',
    'diverged',
  ])
})

test('the carried state has the same bytes on every replica at a position, installed or applied', () => {
  const run = (start: GroupState) => {
    start.apply(controlEntry(10, 'c', claim(1)))
    start.advance(77)
    return Buffer.from(start.encode()).toString('hex')
  }
  expect(run(restored(new GroupState().encode()))).toBe(run(new GroupState()))
})

test('a log begins with a snapshot in its first entry alone, and the group goes on from there', () => {
  const fields = { root: ROOT, format: 2, signature: 'map/2', timeMs: 5_000, chunkBytes: 0 }
  const source = { group: 'old', epoch: 'e', index: 7 }
  const genesis = { type: 'genesis' as const, ...fields, source }
  expect(apply('import', genesis)).toEqual({ type: 'genesis', genesis })
  expect([group.term, group.leader, group.timeMs, group.entryId]).toEqual([0, undefined, 5_000, ''])
  expect([group.format, group.signature, group.lastCommand]).toEqual([2, 'map/2', 1])
  // What a replica has that begins with the snapshot itself.
  const begun = new GroupState()
  begun.restore(begunWith(genesis))
  expect(group.encode()).toEqual(begun.encode())
  // A claim of a release that knows only the first format is void.
  expect(apply('a', claim(1))).toMatchObject({ type: 'void' })
  expect(apply('a', { type: 'claim', term: 1, format: 2 })).toMatchObject({ type: 'leader' })
  expect([group.format, group.signature]).toEqual([2, 'map/2'])
  expect(apply('import', genesis)).toMatchObject({
    type: 'void',
    why: expect.stringContaining('first entry'),
  })
  expect([group.term, group.leader]).toEqual([1, 'a'])
})

describe('commands with conditions', () => {
  const guarded = (of: Partial<Control & { type: 'guarded' }>): Control => ({
    type: 'guarded',
    command: Buffer.from('x'),
    ...of,
  })
  const key = Uint8Array.from(Buffer.from('order 1'))

  test('are no-ops in format 1', () => {
    apply('a', claim(1))
    expect(apply('b', guarded({ key }))).toMatchObject({ type: 'void', format: 1 })
  })

  test('are judged from format 2 on, and what was applied with a key is in the state', () => {
    apply('a', { type: 'claim', term: 1, format: 2 })
    expect(apply('b', guarded({ key }))).toMatchObject({ type: 'met', guarded: { key } })
    group.commanded(index, key)
    expect(apply('c', guarded({ key }))).toEqual({ type: 'repeated', first: 2 })
    expect(apply('c', guarded({ expect: 1 }))).toEqual({ type: 'conflict', expected: 1, newest: 2 })
    expect(decodeGroupState(group.encode()).recent).toMatchObject([{ index: 2 }])
  })

  test('are judged alike by one that installed a snapshot', () => {
    apply('a', { type: 'claim', term: 1, format: 2 })
    group.commanded(2, key)
    const joiner = restored(group.encode())
    expect(joiner.apply(controlEntry(3, 'b', guarded({ key })))).toEqual({ type: 'repeated', first: 2 })
    expect(joiner.appliedOf(key)).toBe(2)
    expect(joiner.encode()).toEqual(group.encode())
  })

  test('know nothing of what was before the group went over to format 2', () => {
    apply('a', claim(1))
    group.commanded(++index, key)
    apply('a', { type: 'upgrade', term: 1, format: 2, from: '', to: '' })
    expect(apply('b', guarded({ key, expect: 2 }))).toEqual({ type: 'conflict', expected: 2, newest: 3 })
    expect(apply('b', guarded({ key, expect: 3 }))).toMatchObject({ type: 'met' })
  })
})

test('in the first format the machine stays at its version: a snapshot could not tell another one', () => {
  const upgrade = { type: 'upgrade', term: 1, from: '', to: 'm/2' } as const
  apply('a', claim(1))
  expect(apply('a', { ...upgrade, format: 1 })).toMatchObject({ type: 'void' })
  expect(apply('a', { ...upgrade, format: 2 })).toMatchObject({ type: 'upgraded', format: 2, to: 'm/2' })
  expect(restored(group.encode()).signature).toBe('m/2')
})

test('a marker of the version before is void after the upgrade: who installs its snapshot would read it in that version', () => {
  const upgrade = { type: 'upgrade', term: 1, format: 2, from: '', to: 'm/2' } as const
  const marks = (signature?: string): Control =>
    ({ ...marker(1), ...(signature && { signature }) }) as Control
  apply('a', claim(1))
  expect(apply('a', marks())).toMatchObject({ type: 'marker' })
  apply('a', upgrade)
  expect(apply('a', marks())).toMatchObject({ type: 'void' })
  expect(apply('a', marks('m/1'))).toMatchObject({ type: 'void' })
  expect(group.seal(index)).toBeUndefined()
  expect(apply('a', marks('m/2'))).toMatchObject({ type: 'marker' })
})

test('a process asks for an upgrade where the group goes over to a format that it does not speak', () => {
  group = new GroupState({ signature: '', versions: new Versions({ signature: '' }, 1) })
  apply('a', claim(1))
  const upgrade = { type: 'upgrade', term: 1, format: 2, from: '', to: '' } as const
  expect(() => group.assertSpoken(controlEntry(2, 'a', upgrade))).toThrow(UpgradeRequired)
  expect(() => group.assertSpoken(controlEntry(2, 'b', upgrade))).not.toThrow()
  expect(() => group.assertRestorable({ ...decodeGroupState(group.encode()), format: 2 })).toThrow(
    /format 2.*newer than 1/,
  )
})

test('from format 2 on a marker is of the version that the group speaks, or void', () => {
  group = new GroupState({ signature: 'm/1', versions: new Versions({ signature: 'm/1' }) })
  apply('a', { type: 'claim', term: 1, format: 2 })
  expect(apply('a', marker(1))).toMatchObject({ type: 'void', why: expect.stringContaining('no version') })
  const of = (signature: string) => ({ ...marker(1), signature }) as Control
  expect(apply('a', of('m/0'))).toMatchObject({ type: 'void', why: expect.stringContaining('m/0') })
  expect(apply('a', of('m/1'))).toMatchObject({ type: 'marker', index: 4 })
})
