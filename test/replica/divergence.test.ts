import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { encodeAnnouncement } from '../../src/group/announcement.ts'
import { GROUP_FORMAT } from '../../src/group/formats.ts'
import type { Divergence } from '../../src/replica/events.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { AnchorGone, Disputed } from '../../src/sync/errors.ts'
import { Cluster, leads, next, type Started, when } from './cluster.ts'
import { line } from './journal.ts'

const named = (name: string) => expect.objectContaining({ name })
const LINES = ['a', 'b', 'c']
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** Its machine has a mind of its own from now on. */
function spoil({ journal }: Started): void {
  journal.twist = (text) => (text === 'b' ? 'something else' : text)
}

/**
 * A replica that can be kept from reaching any other. Over a connection that another made it reaches that one, so none
 * is let in, unless it is `reachable`.
 */
class Island {
  alone = true
  readonly init: Partial<ReplicaInit<number>>

  constructor({ reachable = false } = {}) {
    const denyInboundConnection = () => this.alone && !reachable
    this.init = { libp2p: { connectionGater: { denyDialPeer: () => this.alone, denyInboundConnection } } }
  }
}

/** What a replica tells of divergences, from now on. */
function divergences({ replica }: Started): Divergence[] {
  const told: Divergence[] = []
  replica.addEventListener('divergence', ({ detail }) => void told.push(detail))
  return told
}

async function write({ replica }: Started, all: readonly Started[]): Promise<void> {
  for (const text of LINES) await replica.submit(line(text))
  await Promise.all(all.map((one) => one.replica.barrier()))
}

async function newLeader(candidates: readonly Started[]): Promise<Replica<number>> {
  return await Promise.race(candidates.map(({ replica }) => leads(replica).then(() => replica)))
}

/** Why each anchor was lost that a replica had chosen. */
function lost({ replica }: Started): AnchorGone[] {
  const errors: AnchorGone[] = []
  replica.addEventListener('sync', ({ detail }) => {
    if (detail.type === 'anchor-lost') errors.push(detail.error)
  })
  return errors
}

describe.each(['follower', 'leader'])('a machine of one %s in three that is not deterministic', (role) => {
  test('is caught by one snapshot, by name, everywhere; the others go on, and serve a joiner', async () => {
    await using cluster = new Cluster()
    const island = new Island()
    const three: Started[] = []
    for (let n = 0; n < 3; n++) {
      const isWrong = role === 'leader' ? n === 0 : n === 2
      three.push(await cluster.start({ ttlMs: 60_000, ...(isWrong && island.init) }))
      if (n === 0) await leads(three[0]!.replica)
    }
    const wrong = three[role === 'leader' ? 0 : 2]!
    const right = three.filter((one) => one !== wrong)
    spoil(wrong)
    await write(three[0]!, three)

    const told = three.map(divergences)
    const named = Promise.all(three.map(({ replica }) => next(replica, 'divergence')))
    const anchor = await three[0]!.replica.mark()
    const wrongRoot = await wrong.replica.rootAt(anchor)
    await named
    const [sealed, other] = await Promise.all(right.map(({ replica }) => replica.rootAt(anchor)))
    expect(other).toEqual(sealed)
    expect(wrongRoot).not.toEqual(sealed)

    // It cannot reach the others, and so stays as it is.
    expect([wrong.replica.state, wrong.replica.offers]).toEqual(['catching-up', []])
    const leader = await newLeader(right)
    expect(await leader.prune({ keepEntries: 0 })).toBe(anchor.index - 1)
    const joiner = await cluster.start({ lead: false })
    const ofJoiner = divergences(joiner)
    const [report] = await Promise.all([next(joiner.replica, 'caught-up'), joiner.replica.inSync()])
    expect([report.anchor, report.providersUsed.includes(wrong.replica.id)]).toEqual([anchor, false])
    expect(joiner.journal.lines).toEqual(LINES)
    expect(await joiner.replica.rootAt(anchor)).toEqual(sealed)
    await leader.submit(line('d'))
    await joiner.replica.barrier()
    expect(joiner.journal.lines).toEqual([...LINES, 'd'])

    island.alone = false
    await when(wrong.replica, 'state', () => wrong.replica.state === 'in-sync')
    await wrong.replica.barrier()
    expect(wrong.journal.lines).toEqual([...LINES, 'd'])
    for (const list of [...told, ofJoiner]) {
      expect(list).toEqual([{ anchor, replica: wrong.replica.id, root: wrongRoot, sealed }])
    }
  })
})

test('a leader in the minority says at once that it does not lead, and another takes office before a lease has passed', async () => {
  await using cluster = new Cluster()
  const leaseMs = 60_000
  const island = new Island()
  const wrong = await cluster.start({ leaseMs, ...island.init })
  await leads(wrong.replica)
  const right = [await cluster.start({ leaseMs }), await cluster.start({ leaseMs })]
  await Promise.all(right.map(({ replica }) => replica.inSync()))
  spoil(wrong)
  await write(wrong, [wrong, ...right])
  const announcements = cluster.announcements(wrong.replica.id)
  expect((await announcements.next()).value).toMatchObject({ state: 'in-sync', leads: 1 })
  const stateThen = next(wrong.replica, 'divergence').then(() => wrong.replica.state)
  await wrong.replica.mark()
  expect(await stateThen).toBe('catching-up')
  const after = []
  for await (const { state, leads, offers } of announcements) {
    if (state !== 'in-sync') after.push({ state, leads, offers })
    if (after.at(-1)?.offers.length === 0) break
  }
  expect(after.every(({ state, leads }) => state === 'catching-up' && leads === 0)).toBe(true)
  await newLeader(right)
}, 20_000)

test('a leader in the minority appends no marker and prunes nothing, though the log names nobody else', async () => {
  await using cluster = new Cluster()
  const wrong = await cluster.start(new Island({ reachable: true }).init)
  await leads(wrong.replica)
  const others = [
    await cluster.start({ lead: false, requestTimeoutMs: 600 }),
    await cluster.start({ lead: false, requestTimeoutMs: 600 }),
  ]
  await Promise.all(others.map(({ replica }) => replica.inSync()))
  spoil(wrong)
  await write(wrong, [wrong, ...others])
  const found = next(wrong.replica, 'divergence')
  await wrong.replica.mark()
  await found
  const { replica } = others[0]!
  await replica.barrier()
  const { position } = replica
  await expect(replica.mark()).rejects.toEqual(named('NotLeader'))
  await expect(wrong.replica.prune({ keepEntries: 0 })).rejects.toEqual(named('NotLeader'))
  await replica.barrier()
  expect(replica.position).toEqual(position)
  expect([wrong.replica.state, replica.leader]).toEqual(['catching-up', wrong.replica.id])
})

test('a replica that is no elector finds its own divergence, and tells it by its own name', async () => {
  await using cluster = new Cluster()
  const all = await cluster.startLed(5)
  // An electorate is the leader and the first four others, by their ids.
  const [, ...others] = [...all].sort((a, b) => (a.replica.id < b.replica.id ? -1 : 1))
  const outsider = others.at(-1) === all[0] ? others.at(-2)! : others.at(-1)!
  spoil(outsider)
  await write(all[0], all)
  const told = all.map(divergences)
  const found = next(outsider.replica, 'divergence')
  const caughtUp = next(outsider.replica, 'caught-up')
  const anchor = await all[0].replica.mark()
  const { replica, sealed } = await found
  expect([replica, sealed]).toEqual([outsider.replica.id, await all[0].replica.rootAt(anchor)])
  await caughtUp
  expect(told.map((list) => list.length)).toEqual(all.map((one) => (one === outsider ? 1 : 0)))
})

describe('two replicas that differ one to one', () => {
  test('dispute: nobody is wrong, nobody offers the anchor, and a joiner installs nothing', async () => {
    await using cluster = new Cluster()
    const [one, two] = await cluster.startLed(1, { ttlMs: 60_000 })
    const both = [one, two!]
    spoil(two!)
    await write(one, both)
    const told = both.map(divergences)
    const disputed = Promise.all(both.map(({ replica }) => next(replica, 'disputed')))
    const anchor = await one.replica.mark()
    const roots = new Map<string, Uint8Array>()
    for (const { replica } of both) roots.set(replica.id, await replica.rootAt(anchor))
    for (const detail of await disputed) expect(detail).toEqual({ anchor, roots })
    expect(both.map(({ replica }) => replica.offers)).toEqual([[], []])
    expect(await one.replica.prune({ keepEntries: 0 })).toBeGreaterThan(3)

    const joiner = await cluster.start({ lead: false })
    const errors = lost(joiner)
    const failed = await joiner.replica.inSync().catch((error: Error) => error)
    expect(failed).toMatchObject({ name: 'StateLost', cause: { name: 'NoProvider' } })
    const dispute = errors.findLast((error) => error instanceof Disputed)!
    expect([dispute instanceof AnchorGone, dispute.name]).toEqual([true, 'Disputed'])
    // Each anchor was named once.
    const anchors = errors.map((error) => error.anchor.index)
    expect(anchors).toEqual([...new Set(anchors)])
    expect(anchors.every((index) => index > anchor.index)).toBe(true)
    for (const { replica } of both) {
      const root = await replica.rootAt(dispute.anchor)
      expect(dispute.roots.get(replica.id)).toEqual(root)
      expect(dispute.message).toContain(`${replica.id} attests ${hex(root)}`)
    }
    const { message } = (failed as { cause: Error }).cause
    expect(errors.some((error) => error instanceof Disputed && message.includes(error.message))).toBe(true)
    expect(joiner.journal.lines).toEqual([])
    expect(() => joiner.replica.assertReadable()).toThrow()
    expect(told).toEqual([[], []])
    expect(both.map(({ replica }) => replica.state)).toEqual(['in-sync', 'in-sync'])
  })

  test('do not keep anybody from replaying the log', async () => {
    await using cluster = new Cluster()
    const [one, two] = await cluster.startLed(1)
    spoil(two!)
    await write(one, [one, two!])
    const joiner = await cluster.start({ lead: false, snapshotAfter: 2, requestTimeoutMs: 600 })
    const errors = lost(joiner)
    await joiner.replica.inSync()
    expect([joiner.journal.lines, errors.some((error) => error instanceof Disputed)]).toEqual([LINES, true])
  })
})

describe('an elector that is dead, and was announced a moment ago', () => {
  test('keeps an anchor from being sealed; the next one has other electors, and is', async () => {
    await using cluster = new Cluster()
    const [one] = await cluster.startLed(0, { requestTimeoutMs: 1_000 })
    await write(one, [one])
    await one.replica.prune({ keepEntries: 0 })
    const handle = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'dead' })
    const { epoch, index: applied } = one.replica.position
    const nothing = { addresses: [], leads: 0, offers: [], needs: 0, checkpoint: 0, format: GROUP_FORMAT }
    const announcement = encodeAnnouncement({ epoch, state: 'in-sync', applied, ...nothing })
    await handle.notices.announce('dead', announcement, 60_000)

    const joiner = await cluster.start({ lead: false, requestTimeoutMs: 1_000 })
    const errors = lost(joiner)
    joiner.replica.addEventListener('sync', ({ detail }) => {
      // By now its announcement ends.
      if (detail.type === 'anchor-lost') void handle.notices.withdraw('dead')
    })
    const [report] = await Promise.all([next(joiner.replica, 'caught-up'), joiner.replica.inSync()])
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('never sealed')])
    expect([report.anchorsLost, report.anchor.index > errors[0]!.anchor.index]).toEqual([1, true])
    expect(joiner.journal.lines).toEqual(LINES)
  })
})

describe('what is on disk', () => {
  test('is never a state that is known to be wrong', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-divergence-'))
    try {
      await using cluster = new Cluster()
      const [one, two] = await cluster.startLed(1)
      const wrong = await cluster.start({ lead: false, dataDir, ...new Island().init })
      await wrong.replica.inSync()
      spoil(wrong)
      await write(one, [one, two!, wrong])
      const found = next(wrong.replica, 'divergence')
      await one.replica.mark()
      await found
      await wrong.replica.stop()
      expect(await readdir(join(dataDir, 'checkpoints'), { recursive: true })).toEqual(['chunks'])
    } finally {
      await rm(dataDir, { recursive: true })
    }
  })
})
