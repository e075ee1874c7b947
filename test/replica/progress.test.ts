import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { memoryLog } from '../../src/log/memory.ts'
import { bytesCodec } from '../../src/machine/codec.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Position } from '../../src/position.ts'
import { createReplica } from '../../src/replica/start.ts'
import { Cluster, leads, next, type Started } from './cluster.ts'
import { HostilePeer } from './hostile.ts'
import { line } from './journal.ts'
import { freePort, SlowLink } from './slow-link.ts'

const TTL_MS = 2_000
const OPTIONS = { ttlMs: TTL_MS, leaseMs: 1_500, chunkBytes: 8 * 1024 }
/** So long a `mark()` may wait at most, whatever others do. */
const BUSY_MS_MAX = 2_000

async function fill({ replica }: Started, lines: number): Promise<void> {
  for (let n = 0; n < lines; n++) await replica.submit(line(randomBytes(3_000).toString('base64')))
}

/** Write, and have the group capture, for so long. Resolves with the longest that a `mark()` took. */
async function markOften(started: Started, forMs: number): Promise<number> {
  const untilMs = performance.now() + forMs
  let longestMs = 0
  while (performance.now() < untilMs) {
    await started.replica.submit(line('more'))
    const beganMs = performance.now()
    await started.replica.mark()
    longestMs = Math.max(longestMs, performance.now() - beganMs)
    await delay(100)
  }
  return longestMs
}

/** Resolves with how long it took from now until the log is pruned past an anchor. */
async function prunedPast({ replica }: Started, anchor: Position): Promise<number> {
  const beganMs = performance.now()
  while ((await next(replica, 'pruned')).upTo < anchor.index);
  return performance.now() - beganMs
}

describe('a member that holds an anchor and makes no progress', () => {
  test.each<[what: string, bytesPerSecond: number]>([
    ['which only says that it needs it', 0],
    ['which fetches 6 kB a second', 6_000],
  ])('%s, costs others nothing', async (_what, bytesPerSecond) => {
    await using cluster = new Cluster()
    const prune = { keepEntries: 0, intervalMs: 200 }
    const [leader, follower] = await cluster.startLed(1, { ...OPTIONS, prune })
    await fill(leader, 60)
    const anchor = await leader.replica.mark()
    await Promise.all([leader, follower!].map(({ replica }) => replica.rootAt(anchor)))
    await using peer = await HostilePeer.member(cluster.log, { state: 'catching-up', needs: anchor.index })
    const leaving = new AbortController()
    const trickling =
      bytesPerSecond > 0 ? trickle(peer, follower!, anchor, bytesPerSecond, leaving.signal) : undefined
    const [prunedMs, longestMs] = await Promise.all([
      prunedPast(leader, anchor),
      markOften(leader, 3 * TTL_MS),
    ])
    leaving.abort()
    expect(prunedMs).toBeLessThan(3 * TTL_MS)
    expect(longestMs).toBeLessThan(BUSY_MS_MAX)
    if (trickling !== undefined) expect(await trickling).toMatchObject({ name: 'Expired' })
  })
})

/** Fetch chunks one at a time, at a rate. Resolves with the error that ends it. */
async function trickle(
  peer: HostilePeer,
  { replica }: Started,
  anchor: Position,
  bytesPerSecond: number,
  signal: AbortSignal,
): Promise<unknown> {
  const stream = await peer.open(replica)
  for (let index = 0; !signal.aborted; index++) {
    const answer = await stream.ask({ type: 'chunks', anchor, first: index % 4, count: 1 })
    if (answer?.body.type === 'error') return answer.body.error
    await delay(((answer?.payload?.length ?? 0) / bytesPerSecond) * 1_000)
  }
  return undefined
}

test('a joiner behind a link of 0.3 MB/s with 60 ms round trips catches up, while others mark and prune', async () => {
  await using link = new SlowLink({ bytesPerSecond: 300_000, roundTripMs: 60 })
  const log = memoryLog()
  const start = async (lead: boolean) => {
    const machine = new ReplicatedMap<string, Uint8Array>({ values: bytesCodec })
    const port = await freePort()
    const announce = [await link.addressOf(port)]
    const replica = await createReplica({
      group: 'g',
      machine,
      log,
      lead,
      volatile: true,
      ttlMs: TTL_MS,
      leaseMs: 1_500,
      prune: { keepEntries: 0, intervalMs: 200 },
      listen: [`/ip4/127.0.0.1/tcp/${port}`],
      libp2p: { addresses: { announce } },
    })
    return { machine, replica }
  }
  const all = [await start(true)]
  const [leader] = all as [(typeof all)[0]]
  await leads(leader.replica)
  for (let n = 0; n < 2; n++) all.push(await start(false))
  for (let n = 0; n < 30; n++) await leader.machine.set(`k${n}`, randomBytes(100_000))
  await Promise.all(all.map(({ replica }) => replica.barrier()))
  await leader.replica.prune({ keepEntries: 0 })
  const joiner = await start(false)
  const caughtUp = next(joiner.replica, 'caught-up', 60_000)
  const done = new AbortController()
  const marking = (async () => {
    for (let n = 0; !done.signal.aborted; n++) {
      await leader.machine.set('n', Buffer.from(`${n}`))
      await leader.replica.mark()
      await delay(500)
    }
  })()
  const report = await caughtUp
  done.abort()
  await marking
  expect(report).toMatchObject({ anchorsLost: 0 })
  expect(joiner.machine.size).toBe(31)
  await Promise.all([...all, joiner].map(({ replica }) => replica.stop()))
})
