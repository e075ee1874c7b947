import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { CONNECTIONS_MAX } from '../../src/observe/connections.ts'
import { type ReplicaHttpServer, serveHttp } from '../../src/observe/http-server.ts'
import { observeReplica } from '../../src/observe/observed-replica.ts'
import { Cluster } from '../replica/cluster.ts'
import { LiveReader } from './live-reader.ts'

const METRICS = 'GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n'
const LAST = 'GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'

async function dial(server: ReplicaHttpServer): Promise<Socket> {
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

test('who holds all connections keeps nobody out, and ends no stream', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  await using live = await LiveReader.open(server.url)
  await live.view()
  const held: Socket[] = []
  while (held.length < 2 * CONNECTIONS_MAX) held.push(await dial(server))
  const probe = await dial(server)
  probe.write(LAST)
  expect(await text(probe)).toMatch(/^HTTP\/1\.1 200 OK.*in-sync\n$/s)
  const { term } = replica
  await replica.mark()
  expect(await live.view(({ anchors }) => anchors.length === 1)).toMatchObject({ term })
  for (const socket of held) socket.destroy()
})

test('a connection asks one thing at a time, as often as it likes', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  const patient = await dial(server)
  patient.write('HEAD /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await once(patient, 'data')
  patient.write(LAST)
  expect(await text(patient)).toContain('in-sync\n')
  const hasty = await dial(server)
  let made = 0
  const { metrics } = observed.registry
  observed.registry.metrics = async () => {
    made++
    return await metrics.call(observed.registry)
  }
  // The answers would wait for the end of the stream, in memory.
  hasty.write(`GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n${METRICS.repeat(1_000)}`)
  await text(hasty).catch(() => {})
  expect(made).toBe(0)
  hasty.destroy()
})
