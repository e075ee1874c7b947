import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test, vi } from 'vitest'
import { type ReplicaHttpServer, serveHttp } from '../../src/observe/http-server.ts'
import { observeReplica } from '../../src/observe/observed-replica.ts'
import { Cluster, leads } from '../replica/cluster.ts'
import { line } from '../replica/journal.ts'

interface Answer {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

async function ask(server: ReplicaHttpServer, path: string, method = 'GET'): Promise<Answer> {
  const asked = request(`${server.url}${path}`, { method, agent: false }).end()
  const [response] = await once(asked, 'response')
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}

test('metrics, and whether the replica is alive and in sync, on loopback', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  const metrics = await ask(server, '/metrics?from=prometheus')
  expect(metrics.status).toBe(200)
  expect(metrics.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(metrics.body).toContain(`anchorage_is_leader{group="journals",replica="${replica.id}"} 1\n`)
  expect(await ask(server, '/healthz')).toMatchObject({ status: 200, body: 'in-sync\n' })
  const ready = await ask(server, '/readyz')
  expect(ready).toMatchObject({ status: 200, body: 'in-sync\n' })
  expect(ready.headers).toMatchObject({
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
})

test('fifty who ask for metrics at once have them collected once', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  const collected = vi.spyOn(observed.registry, 'metrics')
  // The first one is under way until all have asked.
  const allAsked = Promise.withResolvers<void>()
  let asked = 0
  const count = () => {
    if (++asked === 50) setImmediate(() => allAsked.resolve())
  }
  collected.mockImplementationOnce(async () => {
    await allAsked.promise
    return 'collected\n'
  })
  subscribe('http.server.request.start', count)
  try {
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(server, '/metrics')))
    for (const { status, body } of answers) expect([status, body]).toEqual([200, 'collected\n'])
    expect(collected).toHaveBeenCalledTimes(1)
  } finally {
    unsubscribe('http.server.request.start', count)
  }
})

test('a replica that halted is neither alive nor ready, and says why in one line', async () => {
  await using cluster = new Cluster()
  const [{ replica }] = await cluster.startLed(0)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  await replica.submit(line('unbearable')).catch(() => {})
  for (const path of ['/healthz', '/readyz']) {
    const { status, body } = await ask(server, path)
    expect([path, status]).toEqual([path, 503])
    expect(body).toMatch(/^halted: [^\n]*the journal tore[^\n]*\n$/)
  }
})

test('a replica on its way is alive, and not ready', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(0)
  const { replica } = await cluster.start({ lead: false })
  using observed = observeReplica(replica)
  // Nothing happens before this turn of the event loop is over: see `createReplica`.
  expect(observed.health.ready).toEqual({ ok: false, text: 'starting: reads its checkpoints' })
  expect(observed.health.alive).toEqual({ ok: true, text: 'starting' })
  await using server = await serveHttp(observed)
  await replica.inSync()
  expect(await ask(server, '/readyz')).toMatchObject({ status: 200 })
  await leader.replica.stop()
})

test('nothing else is there, and nothing is changed', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  for (const path of [
    '/metrics/',
    '/../etc/passwd',
    '//readyz',
    '/constructor',
    '/page/',
    '/page/../page.css',
  ]) {
    const { status, headers } = await ask(server, path)
    expect([path, status, headers['content-type']]).toEqual([path, 404, 'text/plain; charset=utf-8'])
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const { status, headers } = await ask(server, '/metrics', method)
    expect([method, status, headers.allow]).toEqual([method, 405, 'GET, HEAD'])
  }
  const { status, body, headers } = await ask(server, '/healthz', 'HEAD')
  expect([status, body]).toEqual([200, ''])
  expect(Number(headers['content-length'])).toBeGreaterThan(0)
})

test('headers without an end are refused, and so is what is no HTTP', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  const { hostname, port } = new URL(server.url)
  const say = async (bytes: string) => {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    socket.write(bytes)
    return (await text(socket)).split('\r\n')[0]
  }
  expect(await say(`GET /metrics HTTP/1.1\r\nx: ${'y'.repeat(10_000)}`)).toMatch(/431/)
  expect(await say('\0\0 what is this\r\n\r\n')).toMatch(/400/)
})

test('it ends with the replica: every connection, and the port', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  const server = await serveHttp(observed)
  const { hostname, port } = new URL(server.url)
  const idle = connect(Number(port), hostname)
  await once(idle, 'connect')
  const closed = once(idle, 'close')
  await replica.stop()
  await closed
  await server.close()
  const again = createServer().listen(Number(port), hostname)
  await once(again, 'listening')
  again.close()
})

test('a port in use, and what is no port', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  await leads(replica)
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed, { host: '::1' })
  expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/)
  const port = Number(new URL(server.url).port)
  await expect(serveHttp(observed, { host: '::1', port })).rejects.toMatchObject({
    code: 'LISTEN_FAILED',
    message: expect.stringMatching(/EADDRINUSE/),
  })
  await expect(serveHttp(observed, { port: 65_536 })).rejects.toThrow(RangeError)
  await expect(serveHttp(observed, { host: '' })).rejects.toThrow(RangeError)
})
