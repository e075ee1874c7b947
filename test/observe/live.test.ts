import { expect, test } from 'vitest'
import { serveHttp } from '../../src/observe/http-server.ts'
import { observeReplica } from '../../src/observe/observed-replica.ts'
import { Cluster } from '../replica/cluster.ts'
import { line } from '../replica/journal.ts'
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
  const { log, members } = await live.view(({ log }) => log.applied === 2)
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
  const { anchors, offers } = await live.view(
    (view) => Object.keys(view.anchors[0]?.attested ?? {}).length === 3,
  )
  expect(anchors).toMatchObject([{ index, state: 'sealed' }])
  expect(anchors[0]!.electorate.toSorted()).toEqual(Object.keys(anchors[0]!.attested).sort())
  expect(new Set(Object.values(anchors[0]!.attested)).size).toBe(1)
  expect(offers.map(({ anchor }) => anchor)).toEqual([index, index, index])
})
