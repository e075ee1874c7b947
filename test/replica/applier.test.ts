import { beforeEach, expect, test } from 'vitest'
import { GroupState } from '../../src/group/group-state.ts'
import type { Position } from '../../src/position.ts'
import { Applier } from '../../src/replica/following/applier.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { controlEntry } from '../group/entries.ts'
import { Journal } from './journal.ts'

const ANCHOR: Position = { epoch: 'e', index: 9 }

let journal: Journal
let group: GroupState
let applier: Applier<number>
/** The state that a snapshot carries: another leader's, of a later term. */
let carried: Uint8Array

beforeEach(() => {
  journal = new Journal()
  journal.lines = ['old']
  group = new GroupState()
  group.apply(controlEntry(1, 'before', { type: 'claim', term: 1 }))
  applier = new Applier({ machine: journal, epoch: 'e', self: 'me', clock: new VirtualClock(), group })
  const later = new GroupState()
  for (const term of [1, 2]) later.apply(controlEntry(term, 'after', { type: 'claim', term }))
  carried = later.encode()
})

const seen = () => [journal.lines, group.leader, group.term, applier.applied]

test('an install replaces the machine and the group together, and the group stays the same object', async () => {
  const building = applier.beginInstall(new AbortController().signal, () => 'journal/1')
  await building.finish!()
  building.commit(ANCHOR, carried)
  expect(seen()).toEqual([[], 'after', 2, 9])
})

test.each<[what: string, spoil: () => void]>([
  [
    'a group state that does not decode',
    () => {
      carried = Buffer.from('ff', 'hex')
    },
  ],
  [
    'a machine that does not take it',
    () => {
      journal.install = () => ({
        add: () => {},
        commit: () => {
          throw new Error('the journal is full')
        },
      })
    },
  ],
])('%s leaves everything as it was', async (_what, spoil) => {
  spoil()
  const building = applier.beginInstall(new AbortController().signal, () => 'journal/1')
  await building.finish!()
  expect(() => building.commit(ANCHOR, carried)).toThrow()
  expect(seen()).toEqual([['old'], 'before', 1, 0])
})

test('an install that is not wanted any more changes nothing', async () => {
  const stop = new AbortController()
  const building = applier.beginInstall(stop.signal, () => 'journal/1')
  await building.finish!()
  stop.abort(new Error('stopped'))
  expect(() => building.commit(ANCHOR, carried)).toThrow('stopped')
  expect(seen()).toEqual([['old'], 'before', 1, 0])
})
