import { beforeEach, expect, test } from 'vitest'
import { AnchorProgress } from '../../src/group/anchor-progress.ts'
import { encodeAnnouncement } from '../../src/group/announcement.ts'
import { decodeGroupState } from '../../src/group/carried-state.ts'
import { decodeControl, encodeControl } from '../../src/group/control.ts'
import { UpgradeRequired } from '../../src/group/errors.ts'
import { GroupState } from '../../src/group/group-state.ts'
import { Membership } from '../../src/group/membership.ts'
import { Versions } from '../../src/group/versions.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import type { Positions } from '../../src/replica/following/positions.ts'
import { ReplicaHost, type ReplicaHostInit } from '../../src/replica/snapshots/replica-host.ts'
import { SealReader } from '../../src/replica/snapshots/seal-reader.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { ItemSnapshot } from '../snapshot/item-snapshot.ts'

const SEAL_TIMEOUT_MS = 15_000

let clock: VirtualClock
let log: Log
let rival: Log
let state: GroupState
let init: ReplicaHostInit
let host: ReplicaHost
let captured: ItemSnapshot
let stopping: AbortController
let reached: Positions['reached']

beforeEach(async () => {
  clock = new VirtualClock()
  captured = new ItemSnapshot([])
  stopping = new AbortController()
  reached = async () => void (await apply())
  const backend = memoryLog({ epoch: 'e', now: () => 0 })
  log = await backend.open({ group: 'g', signature: 's', author: 'a' })
  rival = await backend.open({ group: 'g', signature: 's', author: 'b' })
  state = new GroupState({ signature: 's', versions: new Versions({ signature: 's/2', older: ['s'] }) })
  const membership = new Membership({ log, clock, epoch: 'e' })
  init = {
    groupName: 'g',
    self: 'a',
    log,
    clock,
    chunkBytes: 1024,
    sealTimeoutMs: SEAL_TIMEOUT_MS,
    membership,
    progress: new AnchorProgress({
      clock,
      ttlMs: 10_000,
      sealTimeoutMs: SEAL_TIMEOUT_MS,
      leaseMs: 5_000,
      log,
      group: state,
    }),
    group: state,
    status: { state: 'in-sync', failure: undefined },
    reporter: { trouble: undefined },
    stopping: stopping.signal,
    positions: {
      reached: (position, options) => reached(position, options),
      barrier: async () => {},
      current: { epoch: 'e', index: 0 },
    },
    announcer: { pin: async () => {} },
    machine: { capture: () => captured },
    seals: new SealReader(log),
  }
  host = new ReplicaHost(init)
  await log.append([{ kind: 'control', payload: encodeControl({ type: 'claim', term: 1 }) }])
})

async function announce(...members: string[]): Promise<void> {
  for (const id of members) {
    const announcement = { addresses: [], applied: 0, leads: 0, offers: [], needs: 0, checkpoint: 0 }
    const data = encodeAnnouncement({ epoch: 'e', state: 'in-sync', ...announcement })
    await log.notices.announce(id, data, 1_000_000)
  }
}

/** Apply what the log has. Returns its newest electorate. */
async function apply(): Promise<readonly string[]> {
  state.restore(decodeGroupState(new GroupState().encode()))
  let electorate: readonly string[] = []
  for await (const { entries } of log.read({ index: 0 })) {
    for (const entry of entries) {
      state.apply(entry)
      const control = decodeControl(entry.payload)
      if (control?.type === 'marker') electorate = control.electorate
    }
  }
  return electorate
}

async function mark(): Promise<readonly string[]> {
  await apply()
  await host.appendMarker('j')
  return await apply()
}

/** Another replica takes office. */
async function depose(): Promise<void> {
  await rival.append([{ kind: 'control', payload: encodeControl({ type: 'claim', term: 2 }) }])
}

/** This replica has attested the newest anchor, and so have these. */
async function attest(...others: string[]): Promise<void> {
  const { newest } = await log.bounds()
  const payload = encodeControl({ type: 'attestation', anchor: newest.index, root: Buffer.alloc(32) })
  for (const author of ['a', ...others]) {
    const seal = state.seal(newest.index)!
    seal.attest(author, Buffer.alloc(32))
    if (author === 'a') await log.append([{ kind: 'control', payload }])
  }
}

test('a leader that stops writes no marker: it would apply none, and name no anchor', async () => {
  await mark()
  const { newest } = await log.bounds()
  expect(host.leader()).toBe('a')
  stopping.abort()
  expect(host.leader()).toBeUndefined()
  await expect(host.appendMarker('j')).rejects.toMatchObject({ name: 'NotLeader', leader: undefined })
  expect((await log.bounds()).newest).toEqual(newest)
})

test('a leader that is told to stop waits no more for its marker, which it will not apply', async () => {
  await apply()
  const marked = Promise.withResolvers<void>()
  reached = async (_position, { signal } = {}) => {
    marked.resolve()
    await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  }
  const appending = host.appendMarker('a')
  await marked.promise
  stopping.abort()
  await expect(appending).rejects.toMatchObject({ name: 'NotLeader', leader: undefined })
})

test('a session hears when the members change, as long as it listens', async () => {
  let heard = 0
  const leave = host.onMembersChanged(() => {
    heard++
  })
  await announce('b')
  await host.refreshMembers()
  expect([heard, host.members().map(({ id }) => id)]).toEqual([1, ['b']])
  leave()
  await announce('c')
  await host.refreshMembers()
  expect(heard).toBe(1)
})

test('a marker that follows the claim of another replica is no anchor', async () => {
  await apply()
  await depose()
  await expect(host.appendMarker('j')).rejects.toMatchObject({ name: 'NotLeader', leader: 'b' })
})

test.each([
  's/2',
  // Of the group's own format alone.
  's',
])('a marker that follows an upgrade to %s is written again, as the group speaks now', async (to) => {
  await apply()
  const [format, from] = [2, 's']
  await log.append([
    { kind: 'control', payload: encodeControl({ type: 'upgrade', term: 1, format, from, to: to }) },
  ])
  const anchor = await host.appendMarker('j')
  expect([anchor.index, state.signature]).toEqual([4, to])
  expect([state.seal(3), state.seal(4)?.state]).toEqual([undefined, 'open'])
})

test('a replica that does not lead appends no marker', async () => {
  await depose()
  await apply()
  await expect(host.appendMarker('j')).rejects.toMatchObject({ name: 'NotLeader', leader: 'b' })
  expect((await log.bounds()).newest.index).toBe(2)
})

test('every member in sync is an elector, up to five, and this replica among them', async () => {
  await announce('a', 'b', 'c', 'd', 'e', 'f')
  expect(await mark()).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('of two, the one that says nothing is left out for a while, and asked again then', async () => {
  await announce('a', 'b')
  expect(await mark()).toEqual(['a', 'b'])
  await attest()
  clock.advance(SEAL_TIMEOUT_MS - 1)
  expect(await mark()).toEqual(['a', 'b'])
  clock.advance(1)
  expect(await mark()).toEqual(['a'])
  clock.advance(5 * SEAL_TIMEOUT_MS)
  expect(await mark()).toEqual(['a', 'b'])
})

test('where this replica has not attested in time either, nobody is blamed', async () => {
  await announce('a', 'b')
  await mark()
  clock.advance(SEAL_TIMEOUT_MS)
  expect(await mark()).toEqual(['a', 'b'])
})

test('where there are three, three are named, silent or not', async () => {
  await announce('a', 'b', 'c', 'd')
  await mark()
  await attest()
  clock.advance(SEAL_TIMEOUT_MS)
  expect(await mark()).toHaveLength(3)
})

test('what this replica has is told with the size of its chunks; nothing is no state, and released at once', () => {
  expect(host.ownState()).toBeUndefined()
  expect(captured.released).toBe(1)
  captured = new ItemSnapshot([Buffer.from('an item')])
  expect(host.ownState()).toEqual({ snapshot: captured, chunkBytes: 1024 })
  expect(captured.released).toBe(0)
})

test('an anchor from before an upgrade is passed over by who speaks only the newer version', async () => {
  await mark()
  const { newest } = await log.bounds()
  const anchor = { epoch: 'e', index: newest.index }
  const group = new GroupState({ signature: 's', versions: new Versions({ signature: 's/2' }) })
  const newer = new ReplicaHost({ ...init, group, status: { state: 'catching-up', failure: undefined } })
  expect([await newer.isReadable(anchor), await host.isReadable(anchor)]).toEqual([false, true])
})

test('a leader names no anchor from before an upgrade, and those after it are for who speaks the version', async () => {
  await mark()
  const before = await log.bounds()
  const upgrade = { type: 'upgrade', term: 1, format: 2, from: 's', to: 's/2' } as const
  await log.append([{ kind: 'control', payload: encodeControl(upgrade) }])
  await mark()
  const after = await log.bounds()
  const isReadable = ({ newest: { index } }: typeof after) => host.isReadable({ epoch: 'e', index })
  expect([await isReadable(before), await isReadable(after)]).toEqual([false, true])

  const group = new GroupState({ signature: 's', versions: new Versions({ signature: 's' }) })
  const older = new ReplicaHost({ ...init, group, status: { state: 'catching-up', failure: undefined } })
  const anchor = { epoch: 'e', index: after.newest.index }
  await expect(older.isReadable(anchor)).rejects.toThrow(UpgradeRequired)
})
