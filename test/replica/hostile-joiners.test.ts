import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type Control, decodeControl } from '../../src/group/control.ts'
import type { Position } from '../../src/position.ts'
import { HASH_BYTES } from '../../src/snapshot/hash.ts'
import { LIVE_ANCHORS_MAX, REQUEST_BYTES_MAX } from '../../src/sync/limits.ts'
import type { RequestBody } from '../../src/sync/wire/messages.ts'
import { lengthPrefix } from '../../src/testing/simulation/hostile/lies.ts'
import { Cluster, next, type Started } from './cluster.ts'
import { gist, HostilePeer, Inspector, nextSync, requestFrame, type SpokenStream, synced } from './hostile.ts'
import { line } from './journal.ts'

const MIB = 1 << 20
/** Chunks that do not fit into a stream's window, which is 256 KiB. */
const LARGE_CHUNKS = { chunkBytes: MIB }

/** Write random lines, and prune them: the state is in no log any more. */
async function write({ replica }: Started, lines = 30, lineBytes = 10): Promise<void> {
  const text = () => randomBytes(lineBytes).toString('base64').slice(0, lineBytes)
  for (let n = 0; n < lines; n++) await replica.submit(line(text()))
  await replica.prune({ keepEntries: 0 })
}

/** An anchor that a replica offers, cut to the end. */
async function offered({ replica }: Started): Promise<Position> {
  const anchor = await replica.mark()
  await replica.rootAt(anchor)
  return anchor
}

/** A new replica gets what the others have, which it can from a snapshot only. */
async function honestJoins(cluster: Cluster, { journal }: Started): Promise<void> {
  const joiner = await cluster.start({ lead: false })
  const [report] = await Promise.all([next(joiner.replica, 'caught-up'), joiner.replica.inSync()])
  await joiner.replica.barrier()
  expect(joiner.journal.lines.length).toBeGreaterThan(0)
  expect(joiner.journal.lines).toEqual(journal.lines)
  expect(report.providersUsed).not.toEqual([])
}

const chunks = (anchor: Position, first: number, count: number): RequestBody => ({
  type: 'chunks',
  anchor,
  first,
  count,
})

const BUSY = { body: { error: { name: 'Busy', retryMs: expect.toSatisfy((ms: number) => ms > 0) } } }

/** What the entries of the log say that are there still. */
async function controls({ log }: HostilePeer): Promise<(Control | undefined)[]> {
  const { first } = await log.bounds()
  const found: (Control | undefined)[] = []
  for await (const { entries } of log.read({ index: first - 1 })) {
    for (const { kind, payload } of entries) if (kind === 'control') found.push(decodeControl(payload))
  }
  return found
}

const markersIn = (list: readonly (Control | undefined)[]) =>
  list.filter((one) => one?.type === 'marker').length

describe('a stranger', () => {
  test('is told Unauthorized, whatever it sends, and nothing else', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0)
    await write(leader)
    const anchor = await offered(leader)
    await using stranger = await HostilePeer.stranger(cluster.log)
    const bodies: RequestBody[] = [
      { type: 'offers' },
      { type: 'snapshot', position: anchor },
      { type: 'manifest', anchor, from: 0 },
      chunks(anchor, 0, 1),
      { type: 'keepAlive', anchor },
      { type: 'offer', offer: { anchor, remainingMs: 1, ready: true } },
    ]
    const sent = [
      ...bodies.map((body) => requestFrame(1, body)),
      Buffer.concat(bodies.map((body) => requestFrame(1, body).subarray())),
      Buffer.alloc(1000, 0xff),
      randomBytes(100_000),
    ]
    const before = { newest: await stranger.newest(), revived: leader.replica.counts.get('revived') }
    const ignored = synced(leader.replica, 'ignored')
    const answers = sent.map(async (bytes) => {
      const stream = await stranger.open(leader.replica)
      stream.sendBytes(bytes)
      return await stream.rest()
    })
    for (const each of await Promise.all(answers)) {
      expect(each.map(gist)).toEqual(['Unauthorized'])
      expect(each[0]).toMatchObject({
        id: 0,
        body: { error: { message: 'announce yourself to the group first' } },
      })
    }
    expect(leader.replica.counts.get('refused')).toBe(sent.length)
    expect({ newest: await stranger.newest(), revived: leader.replica.counts.get('revived') }).toEqual(before)
    expect(ignored).toEqual([])
    await honestJoins(cluster, leader)
  })
})

describe('a member that asks for too much', () => {
  test('opens streams over several connections, beyond what a peer may: Busy, until one ends', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0, { limits: { streamsPerPeer: 4 } })
    await write(leader)
    await using member = await HostilePeer.member(cluster.log)
    const streams: SpokenStream[] = []
    for (let n = 0; n < 2; n++) {
      const connection = await member.connect(leader.replica)
      for (let m = 0; m < 2; m++) streams.push(await member.open(leader.replica, connection))
      for (const stream of streams) expect(gist(await stream.ask({ type: 'offers' }))).toBe('offers')
    }
    const known = member.node.getConnections()
    for (const connection of [...known, await member.connect(leader.replica)]) {
      const refused = await member.open(leader.replica, connection)
      refused.send({ type: 'offers' })
      const answers = await refused.rest()
      expect(answers).toMatchObject([BUSY])
    }
    await honestJoins(cluster, leader)
    await streams[0]!.raw.close()
    await streams[0]!.over
    const another = await member.open(leader.replica)
    expect(gist(await another.ask({ type: 'offers' }))).toBe('offers')
  })

  test('has more requests in flight than a peer may: Busy', async () => {
    await using cluster = new Cluster()
    const limits = { requestsPerPeer: 2 }
    const [leader] = await cluster.startLed(0, { ...LARGE_CHUNKS, limits, fetchTimeoutMs: 20_000 })
    await write(leader, 4, MIB)
    const anchor = await offered(leader)
    await using member = await HostilePeer.member(cluster.log)
    for (let n = 0; n < 2; n++) {
      const stream = await member.open(leader.replica)
      stream.stopReading()
      const accepted = nextSync(leader.replica, 'revived')
      stream.send(chunks(anchor, 0, 2))
      await accepted
    }
    const third = await member.open(leader.replica)
    expect(await third.ask({ type: 'offers' })).toMatchObject(BUSY)
    await honestJoins(cluster, leader)
    expect(await third.ask({ type: 'offers' })).toMatchObject(BUSY)
  })

  test('stops reading in the middle of a range: it is cut off, and the offer expires a TTL later', async () => {
    await using cluster = new Cluster()
    const inspector = new Inspector()
    const times = { fetchTimeoutMs: 1000, ttlMs: 1000 }
    const limits = { sendingBytes: 8 * MIB }
    const [leader] = await cluster.startLed(0, {
      ...LARGE_CHUNKS,
      ...times,
      limits,
      libp2p: inspector.libp2p,
    })
    await write(leader, 24, MIB)
    const anchor = await offered(leader)
    await using member = await HostilePeer.member(cluster.log)
    const served = synced(leader.replica, 'served')
    const released = nextSync(leader.replica, 'released')
    let unsentBytesMost = 0
    let cutOff = 0
    const look = setInterval(() => {
      unsentBytesMost = Math.max(unsentBytesMost, inspector.unsentBytes)
    }, 10)
    const streams = await Promise.all(Array.from({ length: 4 }, () => member.open(leader.replica)))
    for (const stream of streams) {
      stream.send(chunks(anchor, 0, 24))
      void stream.over.then(() => cutOff++)
      if (stream === streams[0]) expect(gist(await stream.next())).toBe('chunk')
      stream.stopReading()
    }
    expect(await released).toMatchObject({ anchor, cause: 'expired' })
    clearInterval(look)
    // Those that got no room among the quarter of it that is one peer's were told Busy.
    expect(cutOff).toBeGreaterThan(0)
    expect(unsentBytesMost).toBeGreaterThan(0)
    expect(unsentBytesMost).toBeLessThanOrEqual(limits.sendingBytes / 4 + MIB)
    expect(served.length).toBeLessThan(24)
    await honestJoins(cluster, leader)
  })

  test('floods a stream with requests and reads no answer: it is paused, then cut off, and others are served', async () => {
    await using cluster = new Cluster()
    const inspector = new Inspector()
    const [leader] = await cluster.startLed(0, { libp2p: inspector.libp2p })
    await write(leader)
    const anchor = await offered(leader)
    await using member = await HostilePeer.member(cluster.log)
    const stream = await member.open(leader.replica)
    stream.stopReading()
    let unreadBytesMost = 0
    const look = setInterval(() => {
      unreadBytesMost = Math.max(unreadBytesMost, inspector.unreadBytes)
    }, 1)
    const request = requestFrame(1, { type: 'keepAlive', anchor }).subarray()
    const requests = Math.ceil((16 * MIB) / request.length)
    stream.sendBytes(Buffer.concat(Array.from({ length: requests }, () => request)))
    await honestJoins(cluster, leader)
    await stream.over
    clearInterval(look)
    expect(stream.raw.status).toBe('reset')
    expect(unreadBytesMost).toBeLessThanOrEqual(MIB)
    expect(leader.replica.counts.get('revived')).toBeLessThan(requests / 2)
  })

  test('floods streams of which nothing is read yet: they are reset', async () => {
    await using cluster = new Cluster()
    const inspector = new Inspector()
    const judged = Promise.withResolvers<boolean>()
    await using member = await HostilePeer.member(cluster.log)
    const authorize = (peer: string) => (peer === member.id ? judged.promise : true)
    const [leader] = await cluster.startLed(0, { authorize, libp2p: inspector.libp2p })
    await write(leader)
    const streams = await Promise.all(Array.from({ length: 4 }, () => member.open(leader.replica)))
    let unreadBytesMost = 0
    const look = setInterval(() => {
      unreadBytesMost = Math.max(unreadBytesMost, inspector.unreadBytes)
    }, 1)
    for (const stream of streams) stream.sendBytes(Buffer.alloc(8 * MIB))
    await Promise.all(streams.map(({ over }) => over))
    clearInterval(look)
    expect(streams.map(({ raw }) => raw.status)).toEqual(streams.map(() => 'reset'))
    expect(unreadBytesMost).toBeLessThanOrEqual(streams.length * MIB)
    judged.resolve(true)
    await honestJoins(cluster, leader)
    expect(gist(await (await member.open(leader.replica)).ask({ type: 'offers' }))).toBe('offers')
  })

  test('asks for markers above the newest position: Busy, once it had as many as a minute allows', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0, { limits: { markersPerMinute: 1 } })
    await write(leader)
    await using member = await HostilePeer.member(cluster.log)
    const before = markersIn(await controls(member))
    const stream = await member.open(leader.replica)
    const ask = async () => await stream.ask({ type: 'snapshot', position: await member.newest() })
    const captured = nextSync(leader.replica, 'captured')
    expect(gist(await ask())).toBe('anchored')
    await captured
    for (let n = 0; n < 20; n++) expect(await ask()).toMatchObject(BUSY)
    expect(markersIn(await controls(member))).toBe(before + 1)
    expect(leader.replica.counts.get('refused')).toBe(20)
    await honestJoins(cluster, leader)
  })

  test('asks for markers at once, above positions that do not exist: no more than may be live', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0)
    await write(leader)
    await using member = await HostilePeer.member(cluster.log)
    const before = markersIn(await controls(member))
    // libp2p resets most streams of a connection that is not set up yet.
    const first = await member.open(leader.replica)
    expect(gist(await first.ask({ type: 'offers' }))).toBe('offers')
    const others = await Promise.all(Array.from({ length: 15 }, () => member.open(leader.replica)))
    const streams = [first, ...others]
    const position = { ...(await member.newest()), index: Number.MAX_SAFE_INTEGER }
    const answers = await Promise.all(
      streams.map(async (stream) => {
        stream.send({ type: 'snapshot', position })
        return [await stream.ask({ type: 'snapshot', position }), await stream.next()]
      }),
    )
    expect(answers.flat().filter((answer) => gist(answer) === 'anchored').length).toBeLessThanOrEqual(
      LIVE_ANCHORS_MAX,
    )
    expect(markersIn(await controls(member)) - before).toBeLessThanOrEqual(LIVE_ANCHORS_MAX)
    expect(leader.replica.offers.length).toBeLessThanOrEqual(LIVE_ANCHORS_MAX)
    await honestJoins(cluster, leader)
  })

  test('takes the only place among those that fetch: others are told Busy, and have it when that one has left', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0, { limits: { sessions: 1 } })
    await write(leader)
    const anchor = await offered(leader)
    await using member = await HostilePeer.member(cluster.log)
    const stream = await member.open(leader.replica)
    expect(gist(await stream.ask(chunks(anchor, 0, 1)))).toBe('chunk')
    const refused = nextSync(leader.replica, 'refused')
    const joined = honestJoins(cluster, leader)
    const { peer, error } = await refused
    expect(error).toMatchObject(BUSY.body.error)
    expect(peer).not.toBe(member.id)
    await joined
  })
})

describe('a member that sends what nobody can read', () => {
  const UNREADABLE: [what: string, bytes: Uint8Array][] = [
    ['a frame that is too long', Buffer.from([...lengthPrefix(REQUEST_BYTES_MAX + 1), 1, 2, 3])],
    ['a frame as long as numbers go', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f])],
    ['a frame whose length never ends', Buffer.alloc(64 * 1024, 0xff)],
    ['a frame of nothing', Buffer.from([0])],
    ['a frame that is shorter than its header', Buffer.from([2, 5, 0])],
    ['a request of garbage', Buffer.from([9, 8, 0xff, 1, 2, 3, 4, 5, 6, 7])],
    ['an answer', Buffer.from([3, 2, 8, 1])],
  ]

  test('is told Malformed once, and its stream ends, whatever follows', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0)
    await write(leader)
    await using member = await HostilePeer.member(cluster.log)
    const good = await member.open(leader.replica)
    for (const [what, bytes] of UNREADABLE) {
      const stream = await member.open(leader.replica)
      stream.sendBytes(bytes)
      stream.send({ type: 'offers' })
      expect({ what, answers: (await stream.rest()).map(gist) }).toEqual({ what, answers: ['Malformed'] })
    }
    expect(leader.replica.counts.get('refused')).toBe(UNREADABLE.length)
    expect(gist(await good.ask({ type: 'offers' }))).toBe('offers')
    await honestJoins(cluster, leader)
  })

  test('ends its stream within a frame: Malformed', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0)
    await using member = await HostilePeer.member(cluster.log)
    const stream = await member.open(leader.replica)
    stream.sendBytes(Buffer.from([100, 1, 2, 3]))
    const answers = stream.rest()
    await stream.raw.close()
    expect((await answers).map(gist)).toEqual(['Malformed'])
  })
})

describe('a member that asks for what is not there', () => {
  test('is told so, and revives nothing', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0, { ttlMs: 60_000 })
    await write(leader)
    const anchor = await offered(leader)
    await using member = await HostilePeer.member(cluster.log)
    const stream = await member.open(leader.replica)
    const manifest = await stream.ask({ type: 'manifest', anchor, from: 0 })
    const count = manifest?.body.type === 'manifest' ? manifest.body.chunks.length : 0
    const far = 0xffff_ffff
    const elsewhere = { ...anchor, epoch: 'another' }
    const requests: [RequestBody, string, scope?: { group?: string; signature?: string }][] = [
      [chunks(anchor, 0, 0), 'OutOfRange'],
      [chunks(anchor, 0, far), 'OutOfRange'],
      [chunks(anchor, 0, count + 1), 'OutOfRange'],
      [chunks(anchor, count, 1), 'OutOfRange'],
      [chunks(anchor, far, 1), 'OutOfRange'],
      [chunks(anchor, far, far), 'OutOfRange'],
      [chunks(elsewhere, 0, 1), 'Incompatible'],
      [{ type: 'keepAlive', anchor: elsewhere }, 'Incompatible'],
      [{ type: 'snapshot', position: elsewhere }, 'Incompatible'],
      [{ type: 'manifest', anchor: elsewhere, from: 0 }, 'Incompatible'],
      [chunks({ ...anchor, index: anchor.index + 1 }, 0, 1), 'UnknownAnchor'],
      [{ type: 'keepAlive', anchor: { ...anchor, index: Number.MAX_SAFE_INTEGER } }, 'UnknownAnchor'],
      [{ type: 'keepAlive', anchor }, 'Incompatible', { group: 'other' }],
      [chunks(anchor, 0, 1), 'Incompatible', { group: 'other' }],
      [chunks(anchor, 0, 1), 'Incompatible', { signature: 'journal/2' }],
      [{ type: 'keepAlive', anchor }, 'Incompatible', { signature: '' }],
    ]
    const revived = leader.replica.counts.get('revived')
    let remainingMs = leader.replica.offers[0]!.remainingMs
    for (const [body, error, scope] of requests) {
      expect([body, gist(await stream.ask(body, scope))]).toEqual([body, error])
      const now = leader.replica.offers[0]!.remainingMs
      expect(now).toBeLessThanOrEqual(remainingMs)
      remainingMs = now
    }
    expect(leader.replica.counts.get('revived')).toBe(revived)
    expect(leader.replica.counts.get('refused')).toBe(requests.length)
    expect(gist(await stream.ask({ type: 'keepAlive', anchor }))).toBe('revived')
    await honestJoins(cluster, leader)
  })
})

describe('a member that writes into the log what is not for it to write', () => {
  test('markers, prunes, ticks and claims: no-ops on every replica, and counted', async () => {
    await using cluster = new Cluster()
    const [leader, follower] = await cluster.startLed(1)
    await write(leader)
    await using member = await HostilePeer.member(cluster.log, { state: 'following' })
    const { term } = leader.replica
    const { index } = await member.newest()
    const own = { electorate: [member.id], requesters: [member.id], chunkBytes: 50 }
    const forged: (Control | Uint8Array)[] = [
      { type: 'marker', term, ...own },
      { type: 'marker', term: term + 1, ...own },
      { type: 'marker', term: 0, ...own },
      { type: 'prune', term, upTo: index },
      { type: 'tick', term },
      { type: 'claim', term },
      { type: 'claim', term: 0 },
      { type: 'claim', term: term + 2 },
      { type: 'claim', term: Number.MAX_SAFE_INTEGER },
      { type: 'attestation', anchor: index, root: randomBytes(HASH_BYTES) },
      { type: 'attestation', anchor: index + 1, root: randomBytes(HASH_BYTES) },
      { type: 'attestation', anchor: Number.MAX_SAFE_INTEGER, root: new Uint8Array(0) },
      new Uint8Array(0),
      randomBytes(1000),
    ]
    const replicas = [leader.replica, follower!.replica]
    const before = replicas.map(({ counts }) =>
      ['captured', 'sealed'].map((type) => counts.get(type as 'captured')),
    )
    const { first } = await member.log.bounds()
    await member.append(...forged)
    await leader.replica.submit(line('after'))
    await follower!.replica.barrier()
    expect(replicas.map(({ counts }) => counts.get('skipped'))).toEqual([forged.length, forged.length])
    expect(
      replicas.map(({ counts }) => ['captured', 'sealed'].map((type) => counts.get(type as 'captured'))),
    ).toEqual(before)
    expect(replicas.map((replica) => [replica.leader, replica.term])).toEqual(
      replicas.map(() => [leader.replica.id, term]),
    )
    expect((await member.log.bounds()).first).toBe(first)
    await honestJoins(cluster, leader)
  })

  test('attestations of an anchor whose electorate it is not in: they count for nothing', async () => {
    await using cluster = new Cluster()
    const [leader, follower] = await cluster.startLed(1)
    await write(leader)
    await using member = await HostilePeer.member(cluster.log, { state: 'following' })
    const captured = nextSync(leader.replica, 'captured')
    const sealed = [next(leader.replica, 'sealed'), next(follower!.replica, 'sealed')]
    const marking = leader.replica.mark()
    const { anchor } = await captured
    const root = randomBytes(HASH_BYTES)
    await member.append(
      ...Array.from({ length: 5 }, () => ({ type: 'attestation', anchor: anchor.index, root }) as const),
    )
    expect(await marking).toEqual(anchor)
    const own = await leader.replica.rootAt(anchor)
    for (const one of await Promise.all(sealed)) expect(one).toEqual({ anchor, root: own })
    await follower!.replica.barrier()
    for (const { counts } of [leader.replica, follower!.replica]) {
      expect([counts.get('divergence'), counts.get('disputed')]).toEqual([undefined, undefined])
    }
    await honestJoins(cluster, leader)
  })
})

describe('a member that claims to be in sync', () => {
  test('and attests nothing: one anchor is lost, and the next electorate is without it', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0, { requestTimeoutMs: 1_000 })
    await write(leader)
    await leader.replica.prune({ keepEntries: 0 })
    await using _silent = await HostilePeer.member(cluster.log, { state: 'in-sync' })
    const joiner = await cluster.start({ lead: false, requestTimeoutMs: 1_000 })
    const report = await next(joiner.replica, 'caught-up')
    expect(report.anchorsLost).toBe(1)
    expect(joiner.journal.lines).toEqual(leader.journal.lines)
  })
})

describe('a member that pushes offers nobody asked for', () => {
  test('is answered, ignored and counted', async () => {
    await using cluster = new Cluster()
    const [leader] = await cluster.startLed(0)
    await write(leader)
    await using member = await HostilePeer.member(cluster.log)
    const stream = await member.open(leader.replica)
    const { epoch, index } = await member.newest()
    const offers = [index, index + 1, Number.MAX_SAFE_INTEGER].map((index) => ({
      anchor: { epoch, index },
      remainingMs: 0xffff_ffff,
      ready: true,
    }))
    const ignored = synced(leader.replica, 'ignored')
    for (const offer of offers) expect(gist(await stream.ask({ type: 'offer', offer }))).toBe('noted')
    expect(ignored).toEqual(offers.map((offer) => ({ type: 'ignored', peer: member.id, offer })))
    expect(leader.replica.counts.get('ignored')).toBe(offers.length)
    expect([leader.replica.state, leader.replica.offers]).toEqual(['in-sync', []])
    await honestJoins(cluster, leader)
  })
})
