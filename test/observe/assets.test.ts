import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { type ReplicaHttpServer, serveHttp } from '../../src/observe/http-server.ts'
import { observeReplica } from '../../src/observe/observed-replica.ts'
import { browserModule } from '../../src/observe/page/browser-module.ts'
import { Cluster } from '../replica/cluster.ts'

const CLIENT = new URL('../../src/observe/page/client/', import.meta.url)

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** The path as it is written. */
async function ask(server: ReplicaHttpServer, path: string): Promise<Answer> {
  const { hostname, port } = new URL(server.url)
  const asked = request({ hostname, port, path, agent: false }).end()
  const [response] = await once(asked, 'response')
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}

test('the page and all that it loads are there, and a browser runs nothing else', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  const page = await ask(server, '/')
  expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
  expect(page.headers).toMatchObject({
    'content-security-policy': expect.stringMatching(
      /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; .*frame-ancestors 'none'/,
    ),
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
  })
  // Nothing inline, which the policy forbids.
  expect(page.body).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/)
  const wanted = [...page.body.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path]) => path!)
  expect(wanted).toContain('page/main.js')
  const seen = new Set<string>()
  for (const path of wanted) {
    if (seen.has(path)) continue
    seen.add(path)
    const { status, headers, body } = await ask(server, `/${path}`)
    expect([path, status]).toEqual([path, 200])
    if (!path.endsWith('.js')) continue
    expect(headers['content-type']).toBe('text/javascript; charset=utf-8')
    for (const [, neighbour] of body.matchAll(/(?:^|\n)\s*(?:import|export|\})[^'"\n]*['"]\.\/([^'"]+)['"]/g))
      wanted.push(`page/${neighbour}`)
  }
})

test('uPlot comes from here', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  const script = await ask(server, '/page/uplot.js')
  expect([script.status, script.headers['content-type']]).toEqual([200, 'text/javascript; charset=utf-8'])
  expect(script.body).toContain('export { uPlot as default }')
  const style = await ask(server, '/page/uplot.css')
  expect([style.status, style.headers['content-type']]).toEqual([200, 'text/css; charset=utf-8'])
})

test('no path leads to another file', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed)
  for (const path of [
    '/page',
    '/page/',
    '/page/page.html',
    '/page/main.ts',
    '/page/tsconfig.json',
    '/page/../view.ts',
    '/page/..%2fview.ts',
    '/page/%2e%2e/assets.ts',
    '/page//page.css',
    '/page/./page.css',
    '/page/page.css/',
    '/page/page.css%00',
    '/page/PAGE.CSS',
    '/page/constructor',
    '/page/__proto__',
    '//page/page.css',
    '/etc/passwd',
    `http://${new URL(server.url).host}/page/page.css`,
  ]) {
    const { status, headers } = await ask(server, path)
    expect([path, status, headers['content-type']]).toEqual([path, 404, 'text/plain; charset=utf-8'])
  }
})

test('without a page there are metrics and health alone', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  using observed = observeReplica(replica)
  await using server = await serveHttp(observed, { page: false })
  for (const path of ['/', '/page/page.css', '/live'])
    expect([path, (await ask(server, path)).status]).toEqual([path, 404])
  expect((await ask(server, '/healthz')).status).toBe(200)
})

test('a module loses its types, and imports by addresses', () => {
  expect(
    browserModule(
      [
        `import type { A } from '../view.ts'`,
        `import uPlot from 'uplot'`,
        `import { b } from "./some-part.ts"`,
        `export * from './other.ts'`,
        `const c: string = './kept.ts'`,
        `const d = import('./late.ts')`,
      ].join('\n'),
    ).replaceAll(/ +/g, ' '),
  ).toBe(
    [
      ' ',
      `import uPlot from './uplot.js'`,
      `import { b } from "./some-part.js"`,
      `export * from './other.js'`,
      `const c = './kept.ts'`,
      `const d = import('./late.js')`,
    ].join('\n'),
  )
})

test('the folder of the page holds only what is served, and how it is compiled', () => {
  const others = readdirSync(CLIENT).filter((name) => !/^[\w-]+\.(html|css|ts|svg)$/.test(name))
  expect(others).toEqual(['tsconfig.json'])
})
