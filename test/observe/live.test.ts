import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { type ReplicaHttpServer, serveHttp } from '../../src/observe/http-server.ts'
import { observeReplica } from '../../src/observe/observed-replica.ts'
import { CLIENTS_MAX } from '../../src/observe/page/live-stream.ts'
import { Cluster, type Started } from '../replica/cluster.ts'
import { HostilePeer } from '../replica/hostile.ts'
import { Journal, line } from '../replica/journal.ts'
import { LiveReader } from './live-reader.ts'

test('a stream tells at once how the replica is, and then each change', async () => {
  await using cluster = new Cluster()
  const [{ replica }, follower] = await cluster.startLed(1)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  await using live = await LiveReader.open(server.url)
  const { id } = replica
  expect(await live.view()).toMatchObject({
    group: 'journals',
    self: id,
    state: 'in-sync',
    leader: id,
    term: 1,
    log: { connected: true, first: 1, newest: 1, applied: 1, holds: [{ by: 'policy', upTo: 0 }] },
    members: [id, follower!.replica.id].sort().map((member) => ({ id: member, silent: false })),
    anchors: [],
    catchUps: [],
  })
  expect(live.retryMs).toBe(1_000)
  expect(live.response.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8' })
  await replica.submit(line('a'))
  const { log, members } = await live.view((view) => view.log.applied === 2)
  expect(log.newest).toBe(2)
  expect(members.find((member) => member.id === id)).toMatchObject({ applied: 2, lag: 0, leads: true })
})

test('votes fill until the anchor is sealed', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(2)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  await using live = await LiveReader.open(server.url)
  await replica.submit(line('a'))
  const { index } = await replica.mark()
  const votes = (attested: Readonly<Record<string, string>> = {}) => Object.keys(attested).length
  const { anchors, offers } = await live.view((view) => votes(view.anchors[0]?.attested) === 3)
  expect(anchors).toMatchObject([{ index, state: 'sealed' }])
  expect(anchors[0]!.electorate.toSorted()).toEqual(Object.keys(anchors[0]!.attested).sort())
  const root = Buffer.from(await replica.rootAt({ ...replica.position, index })).toString('hex')
  expect(new Set(Object.values(anchors[0]!.attested))).toEqual(new Set([root.slice(0, 16)]))
  expect(offers.map(({ anchor, ttlMs }) => [anchor, ttlMs])).toEqual(new Array(3).fill([index, 5_000]))
})

test('an offer runs out, until a fetch gives it its full time again', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0, { ttlMs: 60_000 })
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  await using live = await LiveReader.open(server.url)
  await replica.submit(line('a'))
  const anchor = await replica.mark()
  await replica.rootAt(anchor)
  await using peer = await HostilePeer.member(cluster.log)
  const before = await live.view(({ offers: [offer] }) => offer?.ready === true && offer.remainingMs < 59_000)
  const stream = await peer.open(replica)
  await stream.ask({ type: 'chunks', anchor, first: 0, count: 1 })
  const { offers } = await live.view(
    (view) => view.offers[0]!.remainingMs > before.offers[0]!.remainingMs && view.offers[0]!.servedBytes > 0,
  )
  expect(offers).toMatchObject([{ member: replica.id, anchor: anchor.index, ready: true, ttlMs: 60_000 }])
  await using again = await LiveReader.open(server.url)
  await again.event(({ detail }) => 'type' in detail && detail.type === 'revived')
})

/** Its catch-up stays where the state is built, until it goes on. */
class HeldJournal extends Journal {
  readonly goOn = Promise.withResolvers<void>()

  override install(): ReturnType<Journal['install']> {
    return Object.assign(super.install(), { finish: () => this.goOn.promise })
  }
}

test('a catch-up is followed from its beginning until the replica is in sync', async () => {
  await using cluster = new Cluster()
  const [leader] = (await cluster.startLed(1)) as [Started, Started]
  for (let n = 0; n < 20; n++) await leader.replica.submit(line(`line ${n}`))
  await leader.replica.mark()
  await leader.replica.prune({ keepEntries: 0 })
  const journal = new HeldJournal()
  const { replica } = await cluster.start({ lead: false }, journal)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  await using live = await LiveReader.open(server.url)
  const { state, reason, catchUps } = await live.view((view) => view.catchUps[0]?.phase === 'installing')
  expect([state, reason]).toEqual(['catching-up', 'catching-up: installs the snapshot'])
  const [own] = catchUps
  const { chunks, chunksTotal, bytes, bytesTotal } = own!
  expect(own).toMatchObject({ member: replica.id, id: replica.catchUp?.id, anchor: replica.catchUp?.anchor })
  expect([chunks, bytes, own!.cells.length]).toEqual([chunksTotal, bytesTotal, 2 * chunksTotal])
  expect(own!.cells).toMatch(/^(1[0-9a-f]|3[0-9a-f])+$/)
  expect(own!.providers.reduce((sum, provider) => sum + provider.chunks, 0)).toBe(chunksTotal)
  journal.goOn.resolve()
  const done = await live.view((view) => view.state === 'in-sync')
  expect([done.reason, done.catchUps]).toEqual([undefined, []])
  await using again = await LiveReader.open(server.url)
  const { detail } = await again.event(({ type }) => type === 'caught-up')
  expect(detail).toMatchObject({ anchorsLost: 0 })
})

test('who comes back is sent what was missed, and who comes from another life everything', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  const anchors = [await replica.mark()]
  let lastId: string
  {
    await using live = await LiveReader.open(server.url)
    await live.event(({ type }) => type === 'sealed')
    lastId = live.lastId!
  }
  await replica.submit(line('a'))
  anchors.push(await replica.mark())
  const sealedSince = async (headers: Record<string, string>) => {
    await using live = await LiveReader.open(server.url, headers)
    const newest = anchors.at(-1)!.index
    const indices: number[] = []
    do {
      const event = await live.event(({ type }) => type === 'sealed')
      if (event.type === 'sealed') indices.push(event.detail.anchor.index)
    } while (indices.at(-1) !== newest)
    return indices
  }
  const all = anchors.map(({ index }) => index)
  expect(await sealedSince({ 'last-event-id': lastId })).toEqual(all.slice(1))
  expect(await sealedSince({})).toEqual(all)
  const otherLife = `${'0'.repeat(16)}-${lastId.split('-')[1]}`
  for (const id of [otherLife, 'x', '-', `${lastId.split('-')[0]}-x`])
    expect([id, await sealedSince({ 'last-event-id': id })]).toEqual([id, all])
})

test('there are 16 streams at once, and a page that leaves makes room', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  const readers: LiveReader[] = []
  while (readers.length < CLIENTS_MAX) readers.push(await LiveReader.open(server.url))
  const refused = await ask(server, '/live')
  expect([refused.status, refused.body]).toEqual([503, expect.stringContaining('16 live pages are open')])
  expect(await ask(server, '/readyz')).toMatchObject({ body: expect.stringContaining(replica.state) })
  readers.pop()!.response.destroy()
  // The server sees it a moment later.
  await expect
    .poll(async () => readers.push(await LiveReader.open(server.url)), { timeout: 20_000 })
    .toBe(CLIENTS_MAX)
  await Promise.all(readers.map((reader) => reader.view()))
})

test('what members say of themselves comes as it is, and is cut where it is too long', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  await using live = await LiveReader.open(server.url)
  const address = '</pre><script>alert(1)</script>\r\n\r\nevent: view\ndata: {}\u2028\0'
  const addresses = [address, 'x'.repeat(10_000), ...new Array(50).fill('more')]
  await using peer = await HostilePeer.member(cluster.log, { addresses, applied: 2 ** 52, leads: 9 })
  const { members, leader } = await live.view((view) => view.members.length === 2)
  const told = members.find(({ id }) => id === peer.id)!
  expect(told).toMatchObject({ applied: 2 ** 52, lag: 0, leads: false })
  expect(told.addresses.slice(0, 2)).toEqual([address, `${'x'.repeat(200)}…`])
  expect(told.addresses).toHaveLength(8)
  expect(leader).toBe(replica.id)
  expect(members.find(({ id }) => id === replica.id)).toMatchObject({ lag: 0, leads: true })
})

test('a member that took its leave is told as silent, beside those that speak', async () => {
  await using cluster = new Cluster()
  const [{ replica }, other] = await cluster.startLed(1)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  await using live = await LiveReader.open(server.url)
  await replica.submit(line('a'))
  await other!.replica.stop()
  await replica.submit(line('b'))
  const { members } = await live.view((view) => view.members.some(({ silent }) => silent))
  expect(members.map(({ id }) => id)).toEqual([replica.id, other!.replica.id].sort())
  expect(members.find(({ silent }) => silent)).toMatchObject({ id: other!.replica.id, leads: false })
})

test('streams end when the server closes, and when the replica stops, which is the last event', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  using observed = observeReplica(replica)
  const first = await serveHttp(observed)
  await using second = await serveHttp(observed)
  await using one = await LiveReader.open(first.url)
  await using other = await LiveReader.open(second.url)
  await Promise.all([one.view(), other.view()])
  await first.close()
  while ((await one.next()) !== undefined);
  await replica.stop()
  expect(await other.event(({ type }) => type === 'state')).toMatchObject({ detail: { state: 'stopped' } })
  while ((await other.next()) !== undefined);
})

interface Answer {
  readonly status: number | undefined
  readonly body: string
}

async function ask(server: ReplicaHttpServer, path: string): Promise<Answer> {
  const asked = request(`${server.url}${path}`, { agent: false }).end()
  const [response] = await once(asked, 'response')
  return { status: response.statusCode, body: await text(response) }
}
