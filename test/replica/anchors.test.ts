import { beforeEach, describe, expect, test } from 'vitest'
import { decodeControl } from '../../src/group/control.ts'
import { GroupState } from '../../src/group/group-state.ts'
import { AppendUncertain, LogBusy, LogClosed } from '../../src/log/errors.ts'
import { Anchors } from '../../src/replica/snapshots/anchors.ts'
import { SnapshotSync } from '../../src/sync/snapshot-sync.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { controlEntry } from '../group/entries.ts'
import { ItemSnapshot, numberedItems } from '../snapshot/item-snapshot.ts'
import { MemoryNetwork } from '../sync/memory-network.ts'
import { StubHost } from '../sync/stub-host.ts'

const RETRY_MS = 500
const TTL_MS = 10_000
const ANCHOR = { epoch: 'e', index: 2 }
const MARKER = { electorate: ['me', 'other', 'another'], requesters: [], chunkBytes: 100 }

let clock: VirtualClock
let group: GroupState
let sync: SnapshotSync
/** Roots that were appended, or tried to be. */
let attested: Uint8Array[]
/** What the log says to each attestation, the first one first. */
let answers: Error[]
let problems: Error[]
/** Anchors whose sealed root was not this replica's. */
let diverged: number[]

beforeEach(async () => {
  clock = new VirtualClock()
  group = new GroupState()
  sync = new SnapshotSync({ host: new StubHost('me'), clock, ttlMs: TTL_MS }, new MemoryNetwork().join('me'))
  attested = []
  answers = []
  problems = []
  diverged = []
})

function makeAnchors(): Anchors {
  return new Anchors({
    self: 'me',
    epoch: 'e',
    clock,
    ttlMs: TTL_MS,
    sync,
    group,
    machine: { capture: () => new ItemSnapshot(numberedItems(3)) },
    log: {
      append: async ([entry]) => {
        const control = decodeControl(entry!.payload)
        if (control?.type === 'attestation') attested.push(control.root)
        const answer = answers.shift()
        if (answer !== undefined) throw answer
        return { first: 3, last: 3 }
      },
    },
    disk: undefined,
    divergences: { found: (anchor) => void diverged.push(anchor.index) },
    reporter: { problem: (error) => void problems.push(error) },
  })
}

/** The marker is applied, and the snapshot cut. */
async function mark(anchors = makeAnchors()): Promise<Uint8Array> {
  group.apply(controlEntry(1, 'other', { type: 'claim', term: 1 }))
  group.apply(controlEntry(2, 'other', { type: 'marker', term: 1, ...MARKER }))
  anchors.marked(2, MARKER, { index: 2, timestampMs: 1000 })
  const root = await anchors.root(2)!
  await clock.turn()
  return root
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms)
  await clock.turn()
}

test.each<[what: string, newestMs: number, captures: boolean]>([
  ['has gone on for as long as an offer lives', 50_000 + TTL_MS, true],
  ['has gone on for longer', 50_001 + TTL_MS, false],
  ['has gone on for a year', 365 * 24 * 3_600_000, false],
  ['ends with an entry of a writer who is known to be in the year 2099', 4_070_908_840_500, true],
  ['ends with an entry by a clock that was put back', 1_000, true],
])(
  'a marker is captured unless the log is older than an offer gets: it %s',
  async (_what, newestMs, captures) => {
    for (const timestampMs of [10_000, 4_070_908_800_000, 50_000]) group.advance(timestampMs)
    group.apply(controlEntry(1, 'other', { type: 'claim', term: 1 }))
    group.apply(controlEntry(2, 'other', { type: 'marker', term: 1, ...MARKER }))
    const anchors = makeAnchors()
    anchors.marked(2, MARKER, { index: 3, timestampMs: newestMs })
    const root = await anchors.root(2)
    await clock.turn()
    expect(attested).toEqual(captures ? [root] : [])
  },
)

describe('an attestation', () => {
  test.each([new LogBusy(1000), new AppendUncertain('the server left')])(
    'that the log may not have taken is appended again: %s',
    async (error) => {
      answers = [error, error]
      const root = await mark()
      expect([attested, problems]).toEqual([[root], [error]])
      await pass(RETRY_MS - 1)
      expect(attested).toHaveLength(1)
      await pass(1)
      await pass(RETRY_MS)
      expect(attested).toEqual([root, root, root])
      await pass(RETRY_MS)
      expect([attested.length, problems.length]).toEqual([3, 2])
    },
  )

  test('that fails for good is told, and left', async () => {
    const closed = new LogClosed()
    answers = [closed]
    await mark()
    await pass(2 * RETRY_MS)
    expect([attested.length, problems]).toEqual([1, [closed]])
  })

  test('is not appended again once the group agreed without it', async () => {
    answers = [new LogBusy(1000)]
    const root = await mark()
    for (const author of ['other', 'another']) {
      group.apply(controlEntry(3, author, { type: 'attestation', anchor: 2, root }))
    }
    await pass(2 * RETRY_MS)
    expect(attested).toHaveLength(1)
  })

  test('is not appended again once the snapshot was released', async () => {
    answers = [new LogBusy(1000)]
    await mark()
    sync.withdraw(ANCHOR)
    await pass(2 * RETRY_MS)
    expect(attested).toHaveLength(1)
  })

  test('is not appended for a later anchor of a state that is known to be wrong', async () => {
    const anchors = makeAnchors()
    const root = await mark(anchors)
    // One batch of the log holds the seal and the next marker.
    anchors.sealed(2, new Uint8Array(32))
    group.apply(controlEntry(3, 'other', { type: 'marker', term: 1, ...MARKER }))
    anchors.marked(3, MARKER, { index: 3, timestampMs: 1000 })
    await sync.whenCut({ epoch: 'e', index: 3 })
    await clock.turn()
    expect([attested, diverged]).toEqual([[root], [2]])
  })

  test('is appended although the group agreed on another root before this replica had its own', async () => {
    const anchors = makeAnchors()
    group.apply(controlEntry(1, 'other', { type: 'claim', term: 1 }))
    group.apply(controlEntry(2, 'other', { type: 'marker', term: 1, ...MARKER }))
    anchors.marked(2, MARKER, { index: 2, timestampMs: 1000 })
    anchors.sealed(2, new Uint8Array(32))
    const root = await anchors.root(2)!
    await clock.turn()
    expect([attested, diverged]).toEqual([[root], [2]])
  })

  test('is not appended again once the group cannot agree any more', async () => {
    answers = [new LogBusy(1000)]
    const anchors = makeAnchors()
    await mark(anchors)
    for (const [author, root] of [
      ['other', 1],
      ['another', 2],
      ['me', 3],
    ] as const) {
      group.apply(
        controlEntry(3, author, { type: 'attestation', anchor: 2, root: new Uint8Array(32).fill(root) }),
      )
    }
    expect(sync.offers).toHaveLength(1)
    anchors.disputed(2)
    await pass(2 * RETRY_MS)
    expect([attested.length, sync.offers, diverged]).toEqual([1, [], []])
  })
})
