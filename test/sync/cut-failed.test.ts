import { beforeEach, expect, test } from 'vitest'
import { NoProvider } from '../../src/sync/errors.ts'
import { CutFailed } from '../../src/sync/wire/errors.ts'
import { ItemSnapshot, numberedItems } from '../snapshot/item-snapshot.ts'
import { at, groupWithJoiner, REQUEST_TIMEOUT_MS, type SyncGroup, type SyncReplica } from './sync-group.ts'

const ITEMS = numberedItems(40)
const WHY = 'an item of 33554433 bytes is beyond the limit of 33554432'
const hex = (items: readonly Uint8Array[]) => items.map((item) => Buffer.from(item).toString('hex'))

let group: SyncGroup
let leader: SyncReplica
let followers: SyncReplica[]
let joiner: SyncReplica

beforeEach(() => {
  ;({ group, leader, followers, joiner } = groupWithJoiner(ITEMS))
})

/** Its state cannot be cut from the `after`th item on. */
function breakCut(replica: SyncReplica, after: number): void {
  replica.makeSnapshot = (items) => ({
    size: items.length,
    *items() {
      yield* items.slice(0, after)
      throw new RangeError(WHY)
    },
    release() {},
  })
}

const failure = async () => (await group.until(joiner.catchUp().catch((error: Error) => error))) as NoProvider
const captures = (replica: SyncReplica) => replica.events.filter(({ type }) => type === 'captured').length

test.each([0, 39])(
  'a state that nobody can cut after item %i: who needs it is told why, after one capture',
  async (after) => {
    for (const replica of [leader, ...followers]) breakCut(replica, after)
    const error = await failure()
    expect(error).toBeInstanceOf(NoProvider)
    expect(error.message).toContain(`the state at e:101 cannot be cut into a snapshot: ${WHY}`)
    expect(error.cause).toBeInstanceOf(CutFailed)
    expect([...error.refusals.keys()].sort()).toEqual(['f1', 'f2', 'l'])
    expect([leader, ...followers].map(captures)).toEqual([1, 1, 1])
    expect(error.message).not.toContain('lapsed')
  },
)

test('a provider that cannot cut its state names the cause to who asks it for chunks', async () => {
  breakCut(followers[0]!, 39)
  const report = await group.until(joiner.catchUp())
  expect([report.anchor, report.anchorsLost]).toEqual([at(101), 0])
  const [fault] = joiner.faults.filter(({ peer }) => peer === 'f1')
  if (fault !== undefined) expect(fault.error).toEqual(expect.objectContaining({ name: 'CutFailed' }))
})

test('where only the leader cannot cut it, the others serve it', async () => {
  breakCut(leader, 39)
  const report = await group.until(joiner.catchUp())
  expect(hex(joiner.items)).toEqual(hex(ITEMS))
  expect(report.providersUsed).not.toContain('l')
})

test('what one silent member may yet offer is waited for, as long as for any anchor', async () => {
  for (const replica of [leader, ...followers]) breakCut(replica, 0)
  group.network.turn('f2', 'silent')
  const beganMs = group.clock.now()
  const error = await failure()
  expect(error.message).toContain(WHY)
  expect(group.clock.now() - beganMs).toBeGreaterThanOrEqual(REQUEST_TIMEOUT_MS)
  expect(error.refusals.has('f2')).toBe(false)
})

test('a state that can be cut again is served again', async () => {
  for (const replica of [leader, ...followers]) breakCut(replica, 0)
  await failure()
  for (const replica of [leader, ...followers]) replica.makeSnapshot = (items) => new ItemSnapshot(items)
  await group.pass(1_000)
  const report = await group.until(joiner.catchUp())
  expect([report.anchor, hex(joiner.items)]).toEqual([at(102), hex(ITEMS)])
})
