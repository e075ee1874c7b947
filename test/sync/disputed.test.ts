import { beforeEach, expect, test } from 'vitest'
import { Disputed, NoProvider } from '../../src/sync/errors.ts'
import { numberedItems } from '../snapshot/item-snapshot.ts'
import { at, REQUEST_TIMEOUT_MS, SyncGroup, type SyncReplica } from './sync-group.ts'

const ITEMS = numberedItems(10)
const OTHERS = numberedItems(10, 5)
const hex = (items: readonly Uint8Array[]) => items.map((item) => Buffer.from(item).toString('hex'))

let group: SyncGroup
let leader: SyncReplica
let follower: SyncReplica
let joiner: SyncReplica

beforeEach(() => {
  group = new SyncGroup()
  ;[leader] = group.add(['l'], ITEMS) as [SyncReplica]
  ;[follower] = group.add(['f'], OTHERS) as [SyncReplica]
  ;[joiner] = group.add(['j'], []) as [SyncReplica]
  group.leader = 'l'
})

const disputes = () =>
  joiner.events.flatMap((event) =>
    event.type === 'anchor-lost' && event.error instanceof Disputed ? [event.error] : [],
  )

test('a disputed anchor is left for a newer one, and the loss tells who attested what', async () => {
  group.onSealed.add(() => {
    // Somebody mended it.
    follower.items = ITEMS
  })
  const report = await group.until(joiner.catchUp())
  expect([report.anchor, report.anchorsLost]).toEqual([at(102), 1])
  expect(hex(joiner.items)).toEqual(hex(ITEMS))
  const [dispute] = disputes()
  expect([dispute?.anchor, dispute?.roots]).toEqual([at(101), group.seals.get(101)!.attestations])
  for (const [who, root] of group.seals.get(101)!.attestations) {
    expect(dispute?.message).toContain(`${who} attests ${Buffer.from(root).toString('hex')}`)
  }
})

test('while dispute follows dispute nothing is installed, and after a while the reason names them', async () => {
  const beganMs = group.clock.now()
  const failed = await group.until(joiner.catchUp().catch((error: unknown) => error))
  expect(failed).toBeInstanceOf(NoProvider)
  const newest = disputes().at(-1)!
  expect((failed as Error).message).toContain(newest.message)
  expect([...(failed as NoProvider).refusals.keys()]).toEqual(['l', 'f'])
  // It takes its time, since every anchor costs the others a capture.
  const tookMs = group.clock.now() - beganMs
  expect(tookMs).toBeGreaterThan(REQUEST_TIMEOUT_MS / 2)
  expect(tookMs).toBeLessThan(2 * REQUEST_TIMEOUT_MS)
  const anchors = disputes().map(({ anchor }) => anchor.index)
  // At once, and after pauses of 1, 2, 4 and 8 seconds.
  expect(anchors).toEqual([101, 102, 103, 104])
  expect([joiner.installs, leader.offered, follower.offered]).toEqual([0, [], []])
})

test('when the leader is gone after a dispute the reason still names it', async () => {
  group.onSealed.add(() => {
    group.leader = undefined
  })
  const failed = await group.until(joiner.catchUp().catch((error: unknown) => error))
  expect(failed).toBeInstanceOf(NoProvider)
  expect(disputes()).toHaveLength(1)
  expect((failed as Error).message).toContain(disputes()[0]!.message)
})
