import { expect, test } from 'vitest'
import { AnchorProgress } from '../../src/group/anchor-progress.ts'
import type { Announcement, PruneWish } from '../../src/group/announcement.ts'
import { groupPolicy, prunableTo } from '../../src/group/pruning.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const NOBODY: Announcement = {
  epoch: 'e',
  addresses: [],
  state: 'in-sync',
  applied: 0,
  leads: 0,
  offers: [],
  needs: 0,
  checkpoint: 0,
}
const progress = new AnchorProgress({
  clock: new VirtualClock(),
  ttlMs: 10_000,
  sealTimeoutMs: 15_000,
  leaseMs: 5_000,
  log: {},
  group: { seal: () => undefined },
})
const offering = (...anchors: number[]) => ({
  ...NOBODY,
  offers: anchors.map((anchor) => ({ anchor, remainingMs: 0, ready: false })),
})
const needing = (needs: number) => ({ ...NOBODY, needs })

test.each<[what: string, applied: number, keep: number, members: Announcement[], upTo: number]>([
  ['an empty log', 0, 0, [], 0],
  ['nothing pinned', 100, 0, [NOBODY], 100],
  ['some are kept', 100, 30, [NOBODY], 70],
  ['more are kept than there are', 100, 1000, [NOBODY], 0],
  ['an offer pins its marker', 100, 0, [offering(40)], 39],
  ['the oldest of several offers', 100, 0, [offering(60, 40), offering(50)], 39],
  ['a joiner pins the anchor it catches up from', 100, 0, [needing(20), offering(40)], 19],
  [
    'a member that has installed it needs only what it has not applied',
    100,
    0,
    [{ ...needing(20), applied: 35 }],
    35,
  ],
  ['a member that needs nothing pins nothing', 100, 0, [needing(0)], 100],
  ['a pin behind what is kept', 100, 70, [offering(40)], 30],
  ['the very first entry', 100, 0, [offering(1)], 0],
])('%s: %i applied, %i kept', (_what, applied, keep, members, upTo) => {
  const list = members.map((member, n) => ({ ...member, id: `${n}`, announcedAtMs: 0, untilMs: 1 }))
  expect(prunableTo({ applied, keepEntries: keep, volatile: true, progress }, list)).toBe(upTo)
})

test.each<[what: string, checkpoints: number[], upTo: number]>([
  ['no member has one', [0, 0], 0],
  ['one member has one', [0, 40], 40],
  ['the newest of several', [60, 40], 60],
  ['a checkpoint ahead of what the leader applied', [150], 100],
])('without volatile, not past a checkpoint: %s', (_what, checkpoints, upTo) => {
  const members = checkpoints.map((checkpoint, n) => ({
    ...NOBODY,
    checkpoint,
    id: `${n}`,
    announcedAtMs: 0,
    untilMs: 1,
  }))
  expect(prunableTo({ applied: 100, keepEntries: 0, volatile: false, progress }, members)).toBe(upTo)
})

test.each<[what: string, wishes: (PruneWish | undefined)[], policy: PruneWish | undefined]>([
  ['no member has one', [undefined, undefined], undefined],
  ['one member has one', [undefined, { keepEntries: 5, volatile: true }], { keepEntries: 5, volatile: true }],
  [
    'the most that one keeps is kept',
    [
      { keepEntries: 5, volatile: false },
      { keepEntries: 9, volatile: false },
    ],
    { keepEntries: 9, volatile: false },
  ],
  [
    'one that is not volatile speaks for all',
    [
      { keepEntries: 5, volatile: true },
      { keepEntries: 5, volatile: false },
    ],
    { keepEntries: 5, volatile: false },
  ],
])("the group's policy: %s", (_what, wishes, policy) => {
  expect(groupPolicy(wishes)).toEqual(policy)
})
