import { randomUUID } from 'node:crypto'
import { type JetStreamManager, jetstreamManager, type StreamConfig } from '@nats-io/jetstream'
import { connect, type NatsConnection, nanos } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { streamName } from '../../src/log/jetstream/names.ts'
import { decodeCommand } from '../../src/machines/map/command.ts'
import type { Cluster, NatsServer, NatsServers, ProcessEvent } from '../../src/testing/index.ts'
import { startCluster, startNatsServers } from '../../src/testing/index.ts'
import { describeNatsClusters } from '../log/nats.ts'
import { deposeTheLeader } from './depose.ts'
import {
  expectSameRoots,
  isCaughtUp,
  joinerStoppedMidway,
  openLog,
  pause,
  pruneAll,
  readLog,
} from './support.ts'

const OPTIONS = {
  volatile: true,
  chunkBytes: 4_096,
  ttlMs: 30_000,
  requestTimeoutMs: 20_000,
  fetchTimeoutMs: 5_000,
  // Elections among NATS servers take up to ten seconds.
  leaseMs: 4_000,
}
/** Enough chunks that a joiner can be caught in the middle. */
const STATE = { count: 60_000, batch: 1_000, valueBytes: 300 }
const OUTAGE_MS = 10_000
/** Servers elect leaders meanwhile, more than once where the machine is busy. */
const PATIENT = { timeoutMs: 90_000 }

describeNatsClusters('replicas on three NATS servers', () => {
  let nats: NatsServers
  let nc: NatsConnection
  let jsm: JetStreamManager
  let group: string

  beforeAll(async () => {
    nats = await startNatsServers({ servers: 3 })
  })
  beforeEach(async () => {
    group = randomUUID()
    nc = await connect({ servers: nats.urls, maxReconnectAttempts: -1, reconnectTimeWait: 100 })
    jsm = await jetstreamManager(nc, { checkAPI: false })
  })
  afterEach(async () => {
    await nats?.start()
    await nc?.close()
  })
  afterAll(() => nats?.stop())

  function start(replicas = 3): Promise<Cluster> {
    const log = { servers: nats.urls, replicas: 3 } as const
    return startCluster({ replicas, group, options: OPTIONS, log })
  }

  /** The server that leads the group's stream. */
  async function streamLeader(): Promise<NatsServer> {
    for (;;) {
      const info = await jsm.streams.info(streamName(group)).catch(() => undefined)
      const leader = nats.servers.find(({ name }) => name === info?.cluster?.leader)
      if (leader !== undefined) return leader
    }
  }

  async function reconfigure(changes: Partial<StreamConfig>): Promise<void> {
    await jsm.streams.update(streamName(group), changes)
  }

  test.each(['leads', 'follows'])('a server that %s the stream is killed during a catch-up', async (role) => {
    await using cluster = await start()
    await cluster.replicas[0]!.fill(STATE)
    await pruneAll(cluster)
    const leader = await streamLeader()
    const victim = role === 'leads' ? leader : nats.servers.find((server) => server !== leader)!

    const joiner = await joinerStoppedMidway(cluster)
    await victim.kill()
    joiner.resume()
    await joiner.waitFor(isCaughtUp, PATIENT)
    expect(await joiner.size()).toBe(STATE.count)
    await expectSameRoots(cluster)
  })

  test.each(['leads', 'follows'])(
    'a server that %s the stream is killed during heavy appends: every acknowledged write is there once',
    async (role) => {
      await using cluster = await start()
      const leader = await streamLeader()
      const victim = role === 'leads' ? leader : nats.servers.find((server) => server !== leader)!
      const counts = [6_000, 6_000, 6_000]
      const filled = cluster.replicas.map((replica, n) =>
        replica.fill({ count: counts[n]!, prefix: `writer-${n}-`, concurrency: 1_000 }),
      )
      const firstWritten = async () => (await cluster.replicas[0]!.size()) > 3_000
      await cluster.waitUntil('a part is written', firstWritten, PATIENT)
      await victim.kill()
      await Promise.all(filled)

      await expectSameRoots(cluster)
      for (const replica of cluster.replicas) expect(await replica.size()).toBe(18_000)
      const written = new Map<string, number>()
      for (const { kind, payload } of await readLog(cluster)) {
        if (kind !== 'command') continue
        const key = keyOf(payload)
        written.set(key, (written.get(key) ?? 0) + 1)
      }
      expect(written.size).toBe(18_000)
      expect([...written].filter(([, times]) => times > 1)).toEqual([])
    },
  )

  test('all servers are gone for ten seconds: replicas say so, read, serve, and go on by themselves', async () => {
    await using cluster = await start()
    const [first] = cluster.replicas
    await first!.fill(STATE)
    await first!.set('before', 1)
    await pruneAll(cluster)
    const joiner = await joinerStoppedMidway(cluster)

    await nats.kill()
    const outage = Date.now() + OUTAGE_MS
    for (const replica of cluster.replicas) {
      if (replica !== joiner)
        await replica.waitFor((event) => event.type === 'log' && !event.detail.connected)
    }
    expect((await first!.status()).logConnected).toBe(false)
    expect((await first!.status()).state).toBe('following')
    expect(await first!.get('before')).toBe(1)
    // The offers are still there, and so are those who may fetch them.
    joiner.resume()
    await joiner.waitFor(hasEveryChunk, PATIENT)
    const writing = first!.set('meanwhile', 2)
    await new Promise((resolve) => setTimeout(resolve, outage - Date.now()))

    await nats.start()
    await writing
    await joiner.waitFor(isCaughtUp, PATIENT)
    for (const replica of cluster.replicas) {
      await replica.inSync()
      expect(await replica.size()).toBe(STATE.count + 2)
      expect((await replica.status()).logConnected).toBe(true)
    }
    await expectSameRoots(cluster)
  })

  test('a leading replica that wakes after it was deposed can do nothing', async () => {
    await using cluster = await start()
    await deposeTheLeader(cluster)
  })

  test("the stream's age limit overtakes a paused follower: it catches up from a snapshot", async () => {
    await using cluster = await start()
    const leader = await cluster.leader()
    const follower = cluster.replicas.find((replica) => replica !== leader)!
    await leader.fill({ count: 1_000 })
    await follower.barrier()
    const { position } = await follower.status()
    await pause(cluster, follower)
    await leader.fill({ count: 6_000, from: 1_000 })
    await using log = await openLog(cluster, 'a test')
    await reconfigure({ max_age: nanos(1_000), duplicate_window: nanos(1_000) })
    // Two requests of 1,024 entries may be under way to the follower, and wait in its socket: it misses none of them.
    const aged = async () => (await log.bounds()).first > position.index + 3 * 1_024
    await cluster.waitUntil('the limit has taken what it needs', aged, PATIENT)
    await reconfigure({ max_age: 0 })

    follower.resume()
    await follower.waitFor(isCaughtUp, PATIENT)
    expect(await follower.size()).toBe(7_000)
    await expectSameRoots(cluster)
  })

  test('a stream that is made anew stops its replicas, which go on reading', async () => {
    await using cluster = await start()
    const [first] = cluster.replicas
    await first!.set('kept', 1)
    await first!.barrier()
    await jsm.streams.delete(streamName(group))
    await using anew = await openLog(cluster, 'an operator')

    for (const replica of cluster.replicas) {
      const { detail } = await replica.waitFor(
        (event) => event.type === 'state' && event.detail.state === 'halted',
      )
      expect(detail).toMatchObject({ reason: { name: 'EpochChanged' } })
      expect(await replica.inSync().catch((error: Error) => error.name)).toBe('EpochChanged')
    }
    expect(await first!.get('kept')).toBe(1)
    expect((await anew.bounds()).newest.index).toBe(0)
  })
})

function keyOf(payload: Uint8Array): string {
  const command = decodeCommand(payload)
  if (command.type !== 'set') throw new Error(`who wrote a ${command.type}?`)
  return command.key
}

function hasEveryChunk({ type, detail }: ProcessEvent): boolean {
  if (type !== 'sync' || detail.type !== 'session' || detail.state.status !== 'fetching') return false
  return detail.state.chunks === detail.state.chunksTotal
}
