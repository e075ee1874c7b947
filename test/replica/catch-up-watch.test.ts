import { describe, expect, test } from 'vitest'
import type { Member } from '../../src/group/membership.ts'
import { CatchUpWatch } from '../../src/replica/membership/catch-up-watch.ts'
import { ChunkMap } from '../../src/sync/fetching/chunks/chunk-map.ts'
import type { SessionState } from '../../src/sync/fetching/session-state.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { Cluster, type Started } from './cluster.ts'
import { Journal, line } from './journal.ts'

const ID = '0123456789abcdef'
const anchor = { epoch: 'e', index: 7 }
const PROGRESS = { chunks: 0, chunksTotal: 0, bytes: 0, bytesTotal: 0, providers: [] }
const CAUGHT_UP = {
  ...{ catchUp: ID, anchor, providersUsed: [], bytesFetched: 0, anchorsLost: 0 },
  phasesMs: { request: 0, cut: 0, fetch: 0, install: 0 },
}

/** A watch on a session that goes as the test says. */
class Scene {
  readonly clock = new VirtualClock()
  readonly status = { state: 'catching-up' as Member['state'] }
  /** What each peer has sent. */
  sent: Record<string, number> = {}
  readonly sync = {
    chunkMap: undefined as ChunkMap | undefined,
    received: () => new Map(Object.entries(this.sent)),
  }
  members: Member[] = []
  /** When the watch had something announced. */
  readonly told: number[] = []
  readonly watch = new CatchUpWatch({
    clock: this.clock,
    status: this.status,
    sync: this.sync,
    membership: { list: () => this.members },
    announcer: { soon: () => this.told.push(this.clock.now()) },
  })

  session(state: SessionState, catchUp = ID): void {
    this.watch.happened({ type: 'sync', detail: { type: 'session', state, catchUp } })
  }

  /** The session has begun to fetch so many chunks of 10 bytes. */
  fetching(chunks: number): ChunkMap {
    this.session({ status: 'requesting' })
    this.session({ status: 'choosing', anchor })
    this.sync.chunkMap = new ChunkMap()
    for (let n = 0; n < chunks; n++) this.sync.chunkMap.add(10)
    return this.sync.chunkMap
  }

  enter(state: Member['state']): void {
    const previous = this.status.state
    this.status.state = state
    this.watch.happened({ type: 'state', detail: { state, previous, reason: undefined } })
  }
}

describe('the progress of a catch-up', () => {
  test('tells its phases, from the first question until the replica is in sync', () => {
    const scene = new Scene()
    const seen: unknown[] = [scene.watch.progress]
    const see = () => seen.push(scene.watch.progress?.phase, scene.watch.progress?.anchor)
    scene.session({ status: 'requesting' })
    see()
    scene.session({ status: 'choosing', anchor })
    see()
    scene.session({ status: 'fetching', anchor, ...PROGRESS })
    see()
    scene.session({ status: 'verifying', anchor })
    see()
    scene.session({ status: 'installing', anchor })
    see()
    scene.session({ status: 'done', ...CAUGHT_UP })
    see()
    scene.enter('following')
    see()
    scene.enter('in-sync')
    see()
    expect(seen).toEqual([
      ...[undefined, 'requesting', 0, 'choosing', 7, 'fetching', 7, 'verifying', 7, 'installing', 7],
      ...['replaying', 7, 'replaying', 7, undefined, undefined],
    ])
  })

  test('has chunks, bytes, providers and the time since it began', () => {
    const scene = new Scene()
    const map = scene.fetching(4)
    map.take(0, 10, 'a')
    map.take(1, 10, 'b')
    map.hedge(2)
    map.take(2, 10, 'b')
    scene.sent = { b: 1_000 }
    scene.clock.advance(500)
    scene.sent = { b: 2_000 }
    scene.clock.advance(250)
    expect(scene.watch.progress).toEqual({
      id: ID,
      ...{
        phase: 'fetching',
        anchor: 7,
        chunks: 3,
        chunksTotal: 4,
        bytes: 30,
        bytesTotal: 40,
        elapsedMs: 750,
      },
      providers: [
        { peer: 'b', chunks: 2, bytesPerSecond: 2_667 },
        { peer: 'a', chunks: 1, bytesPerSecond: 0 },
      ],
      cells: Uint8Array.of(0x12, 0x11, 0x31, 0),
    })
  })

  test('keeps what was fetched when the session is over, and nobody sends any more', () => {
    const scene = new Scene()
    scene.fetching(1).take(0, 10, 'a')
    scene.sent = { a: 1_000 }
    scene.clock.advance(250)
    scene.session({ status: 'installing', anchor })
    scene.sync.chunkMap = undefined
    scene.sent = {}
    scene.session({ status: 'done', ...CAUGHT_UP })
    scene.clock.advance(250)
    expect(scene.watch.progress).toMatchObject({ phase: 'replaying', chunks: 1, chunksTotal: 1 })
    expect(scene.watch.progress?.providers).toEqual([{ peer: 'a', chunks: 1, bytesPerSecond: 0 }])
    expect(scene.watch.chunkMap?.at(0).peer).toBe('a')
  })

  test('begins anew with another anchor, under the same id', () => {
    const scene = new Scene()
    scene.fetching(1).take(0, 10, 'a')
    scene.clock.advance(250)
    scene.sync.chunkMap = undefined
    scene.session({ status: 'requesting' })
    expect(scene.watch.progress).toMatchObject({ id: ID, phase: 'requesting', anchor: 0, chunks: 0 })
    expect(scene.watch.progress?.elapsedMs).toBe(250)
  })

  test('is of another catch-up after one that failed, and after one that was replayed', () => {
    const scene = new Scene()
    const seen = () => [scene.watch.progress?.id, scene.watch.progress?.elapsedMs]
    scene.session({ status: 'requesting' })
    scene.clock.advance(100)
    expect(seen()).toEqual([ID, 100])
    scene.session({ status: 'failed', reason: new Error('nobody serves') })
    expect(seen()).toEqual([undefined, undefined])
    scene.session({ status: 'requesting' }, 'aa')
    scene.session({ status: 'done', ...CAUGHT_UP }, 'aa')
    scene.clock.advance(100)
    expect(seen()).toEqual(['aa', 100])
    scene.session({ status: 'requesting' }, 'bb')
    expect(seen()).toEqual(['bb', 0])
  })

  test.each(['in-sync', 'halted', 'stopped'] as const)(
    'is over with the state %s, even before that is told',
    (state) => {
      const scene = new Scene()
      scene.session({ status: 'requesting' })
      scene.status.state = state
      expect(scene.watch.progress).toBeUndefined()
    },
  )

  test('does not begin again when an installation is done after the replica halted', () => {
    const scene = new Scene()
    scene.session({ status: 'requesting' })
    scene.session({ status: 'installing', anchor })
    scene.enter('halted')
    const { length } = scene.told
    scene.session({ status: 'done', ...CAUGHT_UP })
    scene.clock.advance(1_000)
    expect([scene.watch.progress, scene.told.slice(length)]).toEqual([undefined, []])
  })

  test('has at most 15 providers: those that sent most', () => {
    const scene = new Scene()
    const map = scene.fetching(100)
    for (let n = 0; n < 100; n++) map.take(n, 10, `p${n % 20}`)
    const more = scene.fetching(60)
    for (let n = 0; n < 60; n++) more.take(n, 10, n < 40 ? `p${n % 20}` : 'most')
    scene.clock.advance(250)
    const { providers } = scene.watch.progress!
    expect([providers.length, providers[0]]).toEqual([15, { peer: 'most', chunks: 20, bytesPerSecond: 0 }])
  })
})

describe('what is announced of a catch-up', () => {
  test('is what changed, four times a second at most', () => {
    const scene = new Scene()
    const map = scene.fetching(40)
    for (let n = 0; n < 40; n++) {
      scene.clock.advance(25)
      map.take(n, 10, 'a')
    }
    scene.clock.advance(10_000)
    expect(scene.told).toEqual([0, 250, 500, 750, 1_000, 1_250])
  })

  test('is nothing while there is no catch-up, nor after it', () => {
    const scene = new Scene()
    scene.clock.advance(1_000)
    scene.fetching(2).take(0, 10, 'a')
    scene.enter('in-sync')
    const before = scene.told.length
    scene.sync.chunkMap!.take(1, 10, 'a')
    scene.clock.advance(10_000)
    expect([before, scene.told.length]).toEqual([1, 1])
  })

  test.each([
    { members: 200, joiners: 1, every: 1_750 },
    { members: 20, joiners: 10, every: 1_750 },
    { members: 3, joiners: 2, every: 250 },
  ])('is read 125 times a second at most: by $members members, of which $joiners catch up', (row) => {
    const scene = new Scene()
    const map = scene.fetching(200)
    const joiner = { catchUp: scene.watch.progress }
    scene.members = Array.from({ length: row.members }, (_, n) => (n < row.joiners ? joiner : {})) as never
    for (let n = 0; n < 30; n++) {
      scene.clock.advance(250)
      map.take(n, 10, 'a')
    }
    const pauses = scene.told.slice(2).map((atMs, n) => atMs - scene.told[n + 1]!)
    expect(pauses.length).toBeGreaterThan(2)
    expect(pauses).toEqual(pauses.map(() => row.every))
  })
})

/** Its catch-up stays where the state is built, until it goes on. */
class HeldJournal extends Journal {
  readonly goOn = Promise.withResolvers<void>()

  override install(): ReturnType<Journal['install']> {
    return Object.assign(super.install(), { finish: () => this.goOn.promise })
  }
}

test('a third replica sees how far a joiner is, its version and its machine', async () => {
  await using cluster = new Cluster()
  const [leader, other] = (await cluster.startLed(1)) as [Started, Started]
  for (let n = 0; n < 20; n++) await leader.replica.submit(line(`line ${n}`))
  await leader.replica.mark()
  await leader.replica.prune({ keepEntries: 0 })
  const journal = new HeldJournal()
  const { replica: joiner } = await cluster.start({ lead: false }, journal)
  const seen = () => other.replica.members.find(({ id }) => id === joiner.id)
  await expect.poll(() => seen()?.catchUp?.phase, { timeout: 20_000 }).toBe('installing')
  const { catchUp, version, signature } = seen()!
  expect(catchUp).toMatchObject({ id: joiner.catchUp?.id, anchor: joiner.catchUp?.anchor })
  expect(catchUp!.chunks).toBeGreaterThan(0)
  expect(catchUp!.chunks).toBe(catchUp!.chunksTotal)
  const ids = [leader.replica.id, other.replica.id]
  expect(ids).toEqual(expect.arrayContaining(catchUp!.providers.map(({ peer }) => peer)))
  expect(catchUp!.cells.every((cell) => (cell & 0x10) !== 0)).toBe(true)
  const map = joiner.chunkMap!
  expect([map.length, map.here]).toEqual([catchUp!.chunksTotal, catchUp!.chunks])
  expect(ids).toContain(map.at(0).peer)
  expect(version).toMatch(/^\d+\.\d+\.\d+/)
  expect(signature).toBe(journal.signature)
  journal.goOn.resolve()
  await joiner.inSync()
  await expect.poll(() => seen()?.state, { timeout: 20_000 }).toBe('in-sync')
  expect([seen()?.catchUp, joiner.catchUp, joiner.chunkMap]).toEqual([undefined, undefined, undefined])
})
