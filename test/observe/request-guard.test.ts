import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { serveHttp } from '../../src/observe/http-server.ts'
import { observeReplica } from '../../src/observe/observed-replica.ts'
import { RequestGuard } from '../../src/observe/request-guard.ts'
import { Cluster } from '../replica/cluster.ts'

describe('a request by name', () => {
  const refused = (address: string, host: string | undefined) =>
    new RequestGuard(address).refusal({ headers: host === undefined ? {} : { host } })?.status

  test.each([
    ['127.0.0.1', 'localhost'],
    ['127.0.0.1', 'LOCALHOST:9464'],
    ['127.0.0.1', '127.0.0.1:1'],
    ['127.0.0.7', '127.0.0.7:9464'],
    ['::1', '[::1]:9464'],
    ['::1', 'localhost:80'],
    ['127.0.0.1', undefined],
    ['0.0.0.0', 'replica-1.example:9464'],
    ['::', 'rebound.example'],
    ['10.0.0.7', '10.0.0.7:9464'],
  ])('on %s, as %s, is answered', (address, host) => {
    expect(refused(address, host)).toBeUndefined()
  })

  test.each([
    ['127.0.0.1', 'rebound.example'],
    ['127.0.0.1', 'rebound.example:9464'],
    ['127.0.0.1', 'localhost.example:9464'],
    ['127.0.0.1', '127.0.0.1.example'],
    ['127.0.0.1', 'example@127.0.0.1:80:80'],
    ['127.0.0.1', '10.0.0.7'],
    ['127.0.0.1', '0.0.0.0:9464'],
    ['127.0.0.1', ''],
    ['::1', '[::2]:9464'],
    ['127.0.0.7', 'rebound.example'],
  ])('on %s, as %s, is refused', (address, host) => {
    expect(refused(address, host)).toBe(421)
  })
})

describe('a request that another site has a browser send', () => {
  const refused = (site: string, more: Record<string, string> = {}) =>
    new RequestGuard('10.0.0.7').refusal({ headers: { 'sec-fetch-site': site, ...more } })?.status
  const link = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }

  test('is refused, unless somebody follows a link', () => {
    expect(['same-origin', 'none'].map((site) => refused(site))).toEqual([undefined, undefined])
    expect(['same-site', 'cross-site', '?'].map((site) => refused(site))).toEqual([403, 403, 403])
    expect(refused('cross-site', link)).toBeUndefined()
    expect(refused('cross-site', { ...link, 'sec-fetch-dest': 'iframe' })).toBe(403)
    expect(refused('cross-site', { ...link, 'sec-fetch-mode': 'no-cors' })).toBe(403)
  })

  test('is refused by its origin where the browser does not tell the site, as for a WebSocket', () => {
    const guard = new RequestGuard('10.0.0.7')
    const asked = (origin: string) => guard.refusal({ headers: { host: '10.0.0.7:9464', origin } })?.status
    expect(asked('http://10.0.0.7:9464')).toBeUndefined()
    for (const origin of ['http://localhost:3000', 'https://10.0.0.7', 'null', '', '10.0.0.7:9464'])
      expect([origin, asked(origin)]).toEqual([origin, 403])
  })
})

test('a page of another site opens no stream as a WebSocket', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  const { hostname, port, host } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.write(
    `GET /live HTTP/1.1\r\nhost: ${host}\r\norigin: http://localhost:3000\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n`,
  )
  const [answer] = await once(socket, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1\.1 403 /)
  socket.destroy()
})

test('a site that gives its name the address of loopback learns nothing, whatever it asks', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  for (const path of ['/', '/page/main.js', '/live', '/metrics', '/healthz', '/readyz', '/else']) {
    const asked = request(`${server.url}${path}`, {
      agent: false,
      headers: { host: 'rebound.example' },
    }).end()
    const [response] = await once(asked, 'response')
    const body = await text(response)
    expect([path, response.statusCode, body]).toEqual([path, 421, expect.stringContaining('localhost')])
    expect(response.headers['access-control-allow-origin']).toBeUndefined()
  }
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.write('GET /healthz HTTP/1.0\r\n\r\n')
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 /)
})
