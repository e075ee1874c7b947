import { beforeEach, describe, expect, test } from 'vitest'
import type { Control } from '../../src/group/control.ts'
import { Conflict, GroupOutdated, UpgradeRequired } from '../../src/group/errors.ts'
import { GroupState } from '../../src/group/group-state.ts'
import { Versions } from '../../src/group/versions.ts'
import type { LogEntry } from '../../src/log/log.ts'
import { Refusal } from '../../src/machine/errors.ts'
import type { StateMachine } from '../../src/machine/machine.ts'
import type { Position } from '../../src/position.ts'
import { Applier, type EntryListener } from '../../src/replica/following/applier.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { controlEntry } from '../group/entries.ts'
import { Journal, line } from './journal.ts'

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

test.each<[what: string, versions: Versions]>([
  ['a newer format of the group', new Versions({ signature: 'journal/2', older: ['journal/1'] }, 1)],
  ['a newer version of the machine', new Versions({ signature: 'journal/1' })],
])(
  'a snapshot of %s than this process speaks is refused, and leaves everything as it was',
  async (_what, versions) => {
    group = new GroupState({ signature: 'journal/1', versions })
    group.apply(controlEntry(1, 'before', { type: 'claim', term: 1 }))
    applier = new Applier({ machine: journal, epoch: 'e', self: 'me', clock: new VirtualClock(), group })
    const later = new GroupState({
      signature: 'journal/1',
      versions: new Versions({ signature: 'journal/2' }),
    })
    later.apply(controlEntry(1, 'after', { type: 'claim', term: 1 }))
    later.apply(
      controlEntry(2, 'after', { type: 'upgrade', term: 1, format: 2, from: 'journal/1', to: 'journal/2' }),
    )
    const building = applier.beginInstall(new AbortController().signal, () => 'journal/1')
    await building.finish!()
    expect(() => building.commit(ANCHOR, later.encode())).toThrow(UpgradeRequired)
    expect(seen()).toEqual([['old'], 'before', 1, 0])
  },
)

test('an install that is not wanted any more changes nothing', async () => {
  const stop = new AbortController()
  const building = applier.beginInstall(stop.signal, () => 'journal/1')
  await building.finish!()
  stop.abort(new Error('stopped'))
  expect(() => building.commit(ANCHOR, carried)).toThrow('stopped')
  expect(seen()).toEqual([['old'], 'before', 1, 0])
})

describe('commands with conditions', () => {
  const TAIL = { index: 9, timestampMs: 1_000 }
  const skipped: number[] = []
  const decided: string[] = []
  const listener: EntryListener = {
    decided: ({ type }) => decided.push(type),
    skipped: ({ index }) => skipped.push(index),
  }
  let index: number

  beforeEach(() => {
    skipped.length = 0
    decided.length = 0
    index = 0
    group = new GroupState()
    journal.lines = []
    applier = new Applier({ machine: journal, epoch: 'e', self: 'me', clock: new VirtualClock(), group })
  })

  const apply = async (...entries: LogEntry[]) => {
    await applier.apply({ entries, newest: TAIL }, listener, new AbortController().signal)
  }
  const next = (author: string, control: Control) => controlEntry(++index, author, control)
  const guarded = (text: string, conditions: { key?: Uint8Array; expect?: number }) =>
    next('me', { type: 'guarded', command: line(text), ...conditions })
  const begin = (format: number) => next('a', { type: 'claim', term: 1, format })
  const command = (text: string): LogEntry => ({
    ...guarded(text, {}),
    kind: 'command',
    payload: line(text),
  })
  const key = Buffer.from('key')

  test('are applied like commands where the conditions are met', async () => {
    await apply(begin(2), guarded('one', { key }), guarded('two', { expect: 2 }))
    expect(journal.lines).toEqual(['one', 'two'])
    expect([applier.commands, applier.commandBytes, group.lastCommand, applier.applied]).toEqual([2, 6, 3, 3])
    expect(decided).toEqual(['leader'])
  })

  test('are not applied where they are not, and nobody is told but the writer', async () => {
    await apply(begin(2), guarded('one', { key }), guarded('one', { key }), guarded('two', { expect: 1 }))
    expect([journal.lines, applier.commands, group.lastCommand]).toEqual([['one'], 1, 2])
    expect([decided, skipped]).toEqual([['leader'], []])
  })

  test('are no-ops in format 1, which everybody is told', async () => {
    await apply(begin(1), guarded('one', { key }))
    expect([journal.lines, decided]).toEqual([[], ['leader', 'void']])
  })

  test('conflict with commands without conditions, too', async () => {
    await apply(begin(2), command('plain'), guarded('one', { expect: 1 }), guarded('two', { expect: 2 }))
    expect(journal.lines).toEqual(['plain', 'two'])
  })

  test('are skipped where the command does not decode, and the key stays free', async () => {
    await apply(begin(2), guarded('malformed', { key }), guarded('one', { key }))
    expect([journal.lines, skipped, group.lastCommand]).toEqual([['one'], [2], 3])
  })

  test('leave the key free where the machine refuses the command', async () => {
    class Full extends Refusal {}
    const refusing: StateMachine<unknown> = {
      signature: 'refusing/1',
      apply: (bytes) => {
        if (journal.lines.length === 0 && Buffer.from(bytes).toString() === 'second') return new Full('no')
        return journal.apply(bytes)
      },
      capture: () => journal.capture(),
      install: () => journal.install(),
    }
    const clock = new VirtualClock()
    const picky = new Applier({ machine: refusing, epoch: 'e', self: 'me', clock, group })
    const entries = [
      begin(2),
      guarded('second', { key }),
      command('first'),
      guarded('second', { key }),
      guarded('second', { key }),
    ]
    await picky.apply({ entries, newest: TAIL }, listener, new AbortController().signal)
    expect(journal.lines).toEqual(['first', 'second'])
    expect(group.appliedOf(key)).toBe(4)
  })

  test.each([
    ['a conflict', () => guarded('one', { expect: 0 }), Conflict],
    ['a repeated one', () => guarded('again', { key }), { position: { index: 2 }, repeated: true }],
    ['one that is applied', () => guarded('two', { expect: 2 }), { position: { index: 3 }, result: 2 }],
  ])('tell the writer of %s', async (_what, make, told) => {
    await apply(begin(2), guarded('one', { key }))
    const entry = make()
    const write = applier.writes.track(async () => ({ first: entry.index, firstId: entry.id }))
    await new Promise(setImmediate)
    const applied = apply(entry)
    if (typeof told === 'function') await expect(write).rejects.toThrow(told)
    else expect(await write).toMatchObject(told)
    await applied
  })

  test('tell the writer that the group is of format 1', async () => {
    await apply(begin(1))
    const write = applier.writes.track(async () => ({ first: 2 }))
    await new Promise(setImmediate)
    await Promise.all([
      apply(guarded('one', { key })),
      expect(write).rejects.toThrow(new GroupOutdated('commands with conditions', 1)),
    ])
  })
})
