import { beforeEach, describe, expect, test } from 'vitest'
import { UpgradeRequired } from '../../src/group/errors.ts'
import { GroupState } from '../../src/group/group-state.ts'
import type { LogEntry } from '../../src/log/log.ts'
import type { DurableState } from '../../src/machine/machine.ts'
import { KeptState } from '../../src/replica/disk/kept-state.ts'
import { ApplyFailed, StateOfAnotherLog } from '../../src/replica/errors.ts'
import { Applier } from '../../src/replica/following/applier.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { controlEntry } from '../group/entries.ts'
import { Journal, line } from './journal.ts'

/** What was done with the machine and its state, and what was told of it, in order. */
let told: string[]

class Disk implements DurableState {
  note: Uint8Array | undefined
  failure: Error | undefined

  commit(note: Uint8Array | undefined, { flush = false }: { readonly flush?: boolean } = {}): void {
    if (this.failure !== undefined) throw this.failure
    this.note = note
    const { index } = note === undefined ? {} : JSON.parse(Buffer.from(note).toString())
    told.push(`${flush ? 'flush' : 'commit'} ${index ?? 'nothing'}`)
  }

  discard(): void {
    this.note = undefined
    told.push('discard')
  }
}

class DurableJournal extends Journal {
  readonly durable = new Disk()

  override apply(command: Uint8Array): number {
    told.push(`apply ${Buffer.from(command)}`)
    return super.apply(command)
  }
}

const command = (index: number): LogEntry => ({
  ...{ index, id: `id-${index}`, epoch: 'e', author: 'me', kind: 'command', timestampMs: 1000 + index },
  payload: line(`line ${index}`),
})
const listener = {
  decided: ({ type }: { readonly type: string }) => void told.push(`decided ${type}`),
  skipped: () => void told.push('skipped'),
}
const { signal } = new AbortController()

let journal: DurableJournal
let group: GroupState
let kept: KeptState
let applier: Applier<number>

function begin(): void {
  group = new GroupState()
  kept = new KeptState(journal.durable, 'g')
  kept.belongTo('e', { giveUp: false })
  applier = new Applier({ machine: journal, epoch: 'e', self: 'me', clock: new VirtualClock(), group, kept })
}

beforeEach(() => {
  told = []
  journal = new DurableJournal()
  begin()
})

function apply(...entries: readonly LogEntry[]): Promise<void> {
  const last = entries.at(-1)!
  return applier.apply({ entries, newest: { index: last.index, timestampMs: 0 } }, listener, signal)
}

/** Tells when a write of this replica at `index` resolves. */
async function write(index: number): Promise<void> {
  applier.writes
    .track(async () => ({ first: index, firstId: `id-${index}` }))
    .then(
      ({ result }) => told.push(`wrote ${index} as ${result}`),
      (error: Error) => told.push(`${error.name} at ${index}`),
    )
  await new Promise(setImmediate)
}

test('a batch is one commit, and its writers hear of it after that', async () => {
  await write(1)
  await write(2)
  await apply(command(1), command(2), command(3))
  await new Promise(setImmediate)
  expect(told).toEqual([
    'apply line 1',
    'apply line 2',
    'apply line 3',
    'commit 3',
    'wrote 1 as 1',
    'wrote 2 as 2',
  ])
})

test('what a control entry decides is told when all before it is committed: a marker is captured then', async () => {
  await apply(command(1), controlEntry(2, 'me', { type: 'claim', term: 1 }), command(3))
  expect(told).toEqual(['apply line 1', 'commit 2', 'decided leader', 'apply line 3', 'commit 3'])
})

test('commands with conditions are committed with the batch, whether they are applied or not, and so are their keys', async () => {
  const key = Buffer.from('order 1')
  const guarded = (index: number, conditions: { key?: Uint8Array; expect?: number }) =>
    controlEntry(index, 'me', { type: 'guarded', command: line(`line ${index}`), ...conditions })
  await apply(controlEntry(1, 'me', { type: 'claim', term: 1, format: 2 }))
  told = []
  await write(3)
  await write(4)
  await apply(guarded(2, { key }), guarded(3, { key }), guarded(4, { expect: 1 }), command(5))
  await new Promise(setImmediate)
  expect(told).toEqual(['apply line 2', 'apply line 5', 'commit 5', 'wrote 3 as undefined', 'Conflict at 4'])
  begin()
  expect([group.appliedOf(key), group.lastCommand]).toEqual([2, 5])
})

test('an entry that does nothing is committed with its place, too', async () => {
  await apply(controlEntry(1, 'me', { type: 'claim', term: 9 }), command(2))
  expect(told).toEqual(['commit 1', 'decided void', 'apply line 2', 'commit 2'])
})

test('where the disk takes no commit, nobody hears of a write, and the place is that of the last one', async () => {
  await apply(command(1))
  await write(3)
  journal.durable.failure = new Error('the disk is full')
  const error = await apply(command(2), command(3)).catch((failure: unknown) => failure)
  expect(error).toBeInstanceOf(ApplyFailed)
  expect(applier.applied).toBe(1)
  applier.fail(error as Error)
  await new Promise(setImmediate)
  expect(told.slice(2)).toEqual(['apply line 2', 'apply line 3', 'ApplyFailed at 3'])
})

test('what was applied before a command that fails is not committed without it', async () => {
  await apply(command(1))
  await expect(apply(command(2), { ...command(3), payload: line('unbearable') })).rejects.toThrow(ApplyFailed)
  expect([applier.applied, kept.newest?.position.index]).toEqual([1, 1])
})

test('what was applied before an upgrade that is not spoken is committed: the state stays readable, and is of its place', async () => {
  await apply(controlEntry(1, 'boss', { type: 'claim', term: 1 }))
  await write(2)
  const upgrade = { type: 'upgrade', term: 1, format: 2, from: '', to: 'm/2' } as const
  await expect(apply(command(2), controlEntry(3, 'boss', upgrade))).rejects.toThrow(UpgradeRequired)
  await new Promise(setImmediate)
  expect([applier.applied, kept.newest?.position.index, group.entryId]).toEqual([2, 2, 'id-2'])
  expect(told.slice(2)).toEqual(['apply line 2', 'commit 2', 'wrote 2 as 1'])
})

test('the next life goes on with the same group, time and place', async () => {
  await apply(controlEntry(1, 'boss', { type: 'claim', term: 1 }), command(2))
  const { timeMs } = group
  begin()
  expect(applier.cursor).toEqual({ index: 2, id: 'id-2' })
  expect([group.leader, group.term, group.timeMs, group.entryId]).toEqual(['boss', 1, timeMs, 'id-2'])
})

describe('what it keeps', () => {
  const later = { index: 9, control: new GroupState().encode() }

  test('an anchor that was agreed on is flushed, and known in the next life', async () => {
    await apply(command(1), command(2))
    kept.seal(2)
    expect(told.at(-1)).toBe('flush 2')
    await apply(command(3))
    begin()
    expect([kept.sealed, kept.newest?.position.index]).toEqual([2, 3])
    // One that is not in the state is not vouched for, and an older one tells nothing new.
    kept.seal(4)
    kept.seal(1)
    expect(kept.sealed).toBe(2)
  })

  test('a snapshot that is installed was agreed on; one that the machine does not take changes nothing', () => {
    const full = new Error('full')
    expect(() => kept.install(later.index, later.control, () => thrown(full))).toThrow('full')
    expect(kept.newest).toBeUndefined()
    kept.install(later.index, later.control, (note) => journal.durable.commit(note))
    expect([kept.sealed, kept.newest?.position]).toEqual([9, { epoch: 'e', index: 9 }])
  })

  test('a state that is wrong is not begun with, even if more is applied to it, until it is replaced', async () => {
    await apply(command(1))
    kept.seal(1)
    kept.distrust()
    await apply(command(2))
    expect([journal.durable.note, kept.newest, kept.sealed]).toEqual([undefined, undefined, 0])
    kept.install(later.index, later.control, (note) => journal.durable.commit(note))
    begin()
    expect(kept.newest?.position.index).toBe(9)
  })

  test('another group, another log and no log are refused; another log can be preferred', async () => {
    await apply(command(1))
    expect(() => new KeptState(journal.durable, 'other')).toThrow(StateOfAnotherLog)
    expect(() => kept.belongTo('f', { giveUp: false })).toThrow(StateOfAnotherLog)
    expect(() => kept.belongTo(new Error('there is none'), { giveUp: false })).toThrow('there is none')
    expect(kept.newest?.position.index).toBe(1)
    kept.belongTo('f', { giveUp: true })
    expect([told.at(-1), kept.newest]).toEqual(['discard', undefined])
  })

  test('a note of a newer version is refused', () => {
    const note = { format: 2, group: 'g', epoch: 'e', index: 1 }
    journal.durable.note = Buffer.from(JSON.stringify(note))
    expect(() => new KeptState(journal.durable, 'g')).toThrow('format 2')
  })
})

function thrown(error: Error): never {
  throw error
}
