import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Announcement, encodeAnnouncement } from '../../src/group/announcement.ts'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { canNotify, NotifySocket } from '../service/notify-socket.ts'
import { Place, type Printed } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const NODE = ['node', '--lease-ms', '1000']
const inSync = ({ event, detail }: Printed) => event === 'state' && detail.state === 'in-sync'
const leads = ({ event }: Printed) => event === 'leader'
const answers = ({ event }: Printed) => event === 'http'

async function openLog() {
  const init = { group: 'default', author: 'test', create: false } as const
  const log = await sqliteLog({ path: place.path('anchorage.db') }).open(init)
  return Object.assign(log, { [Symbol.asyncDispose]: () => log.close() })
}

async function check(...args: string[]) {
  const { code, stdout, stderr } = await place.run(['status', '--check', '--json', ...args])
  expect(stderr).toBe('')
  const { well, findings } = JSON.parse(stdout)
  return { code, well, findings: findings.map((finding: { code: string }) => finding.code) }
}

test('the check of a group, from nobody to enough of them', async () => {
  await place.run(['set', 'a', '1', '--create'])
  expect(await check()).toEqual({ code: 4, well: false, findings: ['nobody-runs'] })
  const reader = place.start([...NODE, '--reader'])
  await reader.until(inSync)
  expect(await check()).toEqual({ code: 4, well: false, findings: ['no-leader'] })
  const leader = place.start(NODE)
  await reader.until(leads)
  expect(await check('--expect', '2', '--max-lag', '0')).toEqual({ code: 0, well: true, findings: [] })
  expect(await check('--expect', '3')).toEqual({ code: 4, well: false, findings: ['too-few-in-sync'] })
  const well = await place.run(['status', '--check'])
  expect(well).toMatchObject({ code: 0, stderr: '' })
  expect(well.stdout).toMatch(/^well: 2 replicas in sync, at most 0 entries behind; …\w{8} leads, term 1\n$/)
  const few = await place.run(['status', '--check', '--expect', '3'])
  expect(few.stdout).toBe('not well: 2 of 2 replicas are in sync, and 3 should be\n')
  expect(await leader.interrupt()).toBe(0)
  expect(await reader.interrupt()).toBe(0)
})

test('the check names each replica that is not as it should be', async () => {
  await place.run(['set', 'a', '1', '--create'])
  await using log = await openLog()
  const announce = (id: string, changes: Partial<Announcement>) => {
    const announcement: Announcement = {
      epoch: log.epoch,
      addresses: ['/ip4/127.0.0.1/tcp/1'],
      state: 'in-sync',
      applied: 1,
      leads: 0,
      offers: [],
      needs: 0,
      checkpoint: 0,
      ...changes,
    }
    return log.notices.announce(id, encodeAnnouncement(announcement), 60_000)
  }
  await announce('first', { leads: 1 })
  await announce('second', { state: 'catching-up', applied: 0 })
  // A command that asks is a member for a moment.
  await announce('asks', { addresses: [], state: 'starting' })
  expect(await check('--max-lag', '0')).toEqual({ code: 0, well: true, findings: [] })
  await announce('third', { state: 'halted' })
  await announce('fourth', { state: 'lost', contested: true })
  await announce('fifth', { applied: 0 })
  const { findings, ...others } = await check('--max-lag', '0', '--expect', '2')
  expect(others).toEqual({ code: 4, well: false })
  expect(findings.sort()).toEqual(['contested', 'halted', 'lags', 'lost', 'too-few-in-sync'])
  const { stdout } = await place.run(['status', '--check', '--max-lag', '0'])
  expect(stdout).toContain('not well: …fifth is 1 entry behind, and 0 may be\n')
})

test('the check says when it cannot know, and when it was asked wrongly', async () => {
  const missing = await place.run(['status', '--check'])
  expect(missing).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('there is no log') })
  for (const args of [
    ['--expect', '2'],
    ['--max-lag', '2'],
    ['--check', '--watch'],
    ['--check', '--expect', '0'],
  ]) {
    const { code, stderr } = await place.run(['status', ...args])
    expect([args, code, stderr]).toEqual([args, 2, expect.stringMatching(/^anchorage: [^\n]+\n$/)])
  }
})

test('a replica answers over HTTP where it says, until it stops', async () => {
  const node = place.start([...NODE, '--http', '0', '--libp2p-metrics'])
  const { url } = (await node.until(answers)) as unknown as { url: string }
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  await node.until(leads)
  await node.until(inSync)
  const ready = await fetch(`${url}/readyz`)
  expect([ready.status, await ready.text()]).toEqual([200, 'in-sync\n'])
  const metrics = await (await fetch(`${url}/metrics`)).text()
  expect(metrics).toMatch(/^anchorage_is_leader\{group="default",replica="\w+"\} 1$/m)
  expect(metrics).toMatch(/^anchorage_leader_changes_total\{.*\} 1$/m)
  expect(metrics).toMatch(/^process_resident_memory_bytes \d+$/m)
  expect(metrics).toMatch(/^libp2p_transport_manager_listeners 1$/m)
  expect(await node.interrupt('SIGTERM')).toBe(0)
  await expect(fetch(`${url}/healthz`)).rejects.toThrow()
})

test.skipIf(!canNotify)('a service manager that asks for it hears of the start and of the stop', async () => {
  await using manager = await NotifySocket.open()
  const node = place.start(NODE, { env: { NOTIFY_SOCKET: manager.path } })
  expect(await manager.next()).toEqual([
    expect.stringMatching(/^EXTEND_TIMEOUT_USEC=\d+$/),
    'STATUS=starting',
  ])
  expect(await manager.until('READY=1')).toContain('STATUS=in-sync')
  await node.until(inSync)
  const ended = node.interrupt('SIGTERM')
  expect(await manager.until('STOPPING=1')).toContain('STATUS=stopping')
  expect(await ended).toBe(0)
})

test('a line for people says where it answers', async () => {
  const child = place.spawn([...NODE, '--http', '[::1]:0'])
  let text = ''
  child.stdout!.on('data', (chunk) => (text += chunk))
  while (!text.includes('answers')) await once(child.stdout!, 'data')
  expect(text).toMatch(
    /^answers http:\/\/\[::1\]:\d+\/ with a live page, and \/metrics, \/healthz and \/readyz$/m,
  )
  child.kill('SIGINT')
  expect(await once(child, 'close')).toEqual([0, null])
})

test('an address that is none, and one that is taken', async () => {
  for (const address of ['', 'x', '1:2:3', '127.0.0.1', '127.0.0.1:65536', '::1:9464', '-1']) {
    const { code, stderr } = await place.run([...NODE, `--http=${address}`])
    expect([address, code, stderr]).toEqual([address, 2, expect.stringContaining('0.0.0.0:9464')])
  }
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  try {
    const { code, stderr } = await place.run([...NODE, '--http', `:${port}`])
    expect(code).toBe(1)
    expect(stderr).toMatch(/anchorage: [^\n]*cannot listen on 127\.0\.0\.1, port \d+ \([^\n]*EADDRINUSE/)
  } finally {
    server.close()
  }
})
