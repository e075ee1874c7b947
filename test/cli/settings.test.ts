import { writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Place } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

/** What `anchorage config --json` prints, by setting. */
function settings(stdout: string): Record<string, { value: unknown; from: unknown }> {
  const told = JSON.parse(stdout) as { setting: string; variable: string; value: unknown; from: unknown }[]
  return Object.fromEntries(told.map(({ setting, value, from }) => [setting, { value, from }]))
}

const FILE = `json: true
group: app
node:
  keep: 1000
  listen: [/ip4/127.0.0.1/tcp/4001, /ip4/127.0.0.1/tcp/4002]
  snapshot-after: never
`

test('config tells what is in force and from where', async () => {
  await writeFile(place.path('a.yaml'), FILE)
  const env = { ANCHORAGE_CONFIG: 'a.yaml', ANCHORAGE_NODE_LEASE_MS: '1000', ANCHORAGE_PRUNE_KEEP: '7' }
  const { code, stdout, stderr } = await place.run(['config', 'node', '--http', '9464', '--log', 'x.db'], {
    env,
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(settings(stdout)).toMatchObject({
    log: { value: 'x.db', from: { flag: '--log' } },
    group: { value: 'app', from: { file: 'a.yaml', line: 2 } },
    json: { value: true, from: { file: 'a.yaml', line: 1 } },
    color: { value: true, from: 'default' },
    creds: { value: null, from: 'default' },
    'node.keep': { value: 1000, from: { file: 'a.yaml', line: 4 } },
    'node.listen': { value: ['/ip4/127.0.0.1/tcp/4001', '/ip4/127.0.0.1/tcp/4002'] },
    'node.snapshot-after': { value: 'never' },
    'node.lease-ms': { value: 1000, from: { variable: 'ANCHORAGE_NODE_LEASE_MS' } },
    'node.http': { value: '9464', from: { flag: '--http' } },
    'node.reader': { value: false, from: 'default' },
  })
  expect(settings(stdout)).not.toHaveProperty('prune.keep')

  const people = await place.run(['config'], { env: { ...env, ANCHORAGE_JSON: 'false' } })
  expect(people).toMatchObject({ code: 0, stderr: 'the file of settings is a.yaml\n' })
  expect(people.stdout).toMatch(/^SETTING +VALUE +FROM\nlog +\.\/anchorage\.db +default\n/)
  expect(people.stdout).toMatch(/^node\.keep +1000 +a\.yaml:4$/m)
  expect(people.stdout).toMatch(/^prune\.keep +7 +ANCHORAGE_PRUNE_KEEP$/m)
  expect(people.stdout).not.toContain('node.reader')
})

test.each([
  ['nats://ann:hunter2@host:4222', 'nats://host:4222'],
  ['nats://hunter2@host:4222', 'nats://host:4222'],
  ['postgres://ann:hunter2@host/app', 'postgres://host/app'],
  ['postgres://host/app?user=ann&password=hunter2', 'postgres://host/app'],
  ['host=host password=hunter2', 'host=host password=…'],
])('config prints %s without its secret', async (log, shown) => {
  await writeFile(place.path('a.yaml'), `log: ${log}\n`)
  const { code, stdout, stderr } = await place.run(['config', '--config', 'a.yaml'])
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(`${shown} `) })
  expect(stdout + stderr).not.toContain('hunter2')
})

test('a mistake in a file ends a command before it does anything, and is told with its place', async () => {
  await writeFile(place.path('a.yaml'), `${FILE}  kep: 3\n`)
  const { code, stdout, stderr } = await place.run([
    'set',
    'a',
    '1',
    '--create',
    '--config',
    'a.yaml',
    '--json',
  ])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  const at = { file: 'a.yaml', line: 7, key: 'node.kep' }
  expect(JSON.parse(stderr).error).toMatchObject({ name: 'SettingInvalid', ...at })
  expect(await place.list('.', '.db')).toEqual([])
})

test('a command works as it is set, and tells once of a variable that sets nothing', async () => {
  await writeFile(
    place.path('a.yaml'),
    'log: nats://127.0.0.1:1\ncreds: missing.creds\nset: {create: true}\n',
  )
  const env = { ANCHORAGE_CONFIG: 'a.yaml', ANCHORAGE_LOGS: 'x' }
  const { code, stderr } = await place.run(['set', 'a', '1', '--log', 'mine.db'], { env })
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^ANCHORAGE_LOGS sets nothing: did you mean ANCHORAGE_LOG\?\n/),
  })
  expect(await place.list('.', '.db')).toEqual(['mine.db'])
  const meant = await place.run(['get', 'a', '--log', 'mine.db', '--creds', 'mine.creds'], { env })
  expect(meant).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--creds is for a log on NATS servers'),
  })
})
