import { once } from 'node:events'
import { copyFile, mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Place, type Printed } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const inSync = ({ event, detail }: Printed) => event === 'state' && detail.state === 'in-sync'
const isEvent = (name: string) => (printed: Printed) => printed.event === name

test('a checkpoint comes about when an elector was killed right before it', async () => {
  await place.run(['set', 'a', '1', '--create'])
  const first = place.start(['node', '--data', 'one', '--lease-ms', '4000'])
  await first.until(isEvent('leader'))
  const second = place.start(['node', '--reader', '--data', 'two', '--lease-ms', '4000'])
  await second.until(inSync)
  // Both vote for this one.
  expect((await place.run(['checkpoint'])).stdout).toContain(', …')
  await place.run(['set', 'a', '2'])
  second.child.kill('SIGKILL')
  const { code, stdout } = await place.run(['checkpoint'])
  expect(code).toBe(0)
  const { id } = first.printed[0] as Printed & { readonly id: string }
  expect(stdout).toMatch(new RegExp(`^the state at entry \\d+ is on the disks of …${id.slice(-8)}$`, 'm'))
})

test('replicas lead, prune, catch up from each other, show in the status, and stop by a signal', async () => {
  const rows = Array.from({ length: 2_000 }, (_, n) => `{"key": "${n}", "value": ${n}}\n`)
  await place.run(['load', '-', '--create'], { input: rows.join('') })
  const first = place.start(['node', '--volatile', '--keep', '10', '--lease-ms', '1000'])
  await first.until(({ event, detail }) => event === 'pruned' && (detail.upTo as number) > 0)
  const second = place.start(['node', '--reader', '--volatile', '--lease-ms', '1000'])
  const { detail } = await second.until(isEvent('caught-up'))
  expect(detail.providersUsed).toHaveLength(1)

  const { id } = first.printed[0] as Printed & { readonly id: string }
  const status = JSON.parse((await place.run(['status', '--json'])).stdout)
  expect(status).toMatchObject({ leader: id, group: 'default' })
  expect(status.term).toBeGreaterThanOrEqual(1)
  expect(status.first).toBeGreaterThan(1_000)
  expect(status.members).toHaveLength(2)
  const leader = status.members.find((member: { id: string }) => member.id === id)
  expect(leader.state).toBe('in-sync')
  expect(leader.lag).toBe(status.newest.index - leader.position)
  expect(leader.offers[0].remainingMs).toBeGreaterThan(0)
  expect(leader.offers[0].remainingMs).toBeLessThanOrEqual(10_000)
  const { stdout } = await place.run(['status'])
  expect(stdout).toMatch(new RegExp(`leader +…${id.slice(-8)}, term \\d+`))
  expect(stdout).toMatch(/offered anchor +by +lapses in\n[\d,]+ +…\w+ +/)
  expect((await place.run(['get', '1999'])).stdout).toBe('1999\n')

  expect(await second.interrupt('SIGTERM')).toBe(0)
  expect(await first.interrupt('SIGINT')).toBe(0)
})

test('a line for people for each event', async () => {
  const child = place.spawn(['node', '--lease-ms', '1000'])
  let text = ''
  child.stdout!.on('data', (chunk) => (text += chunk))
  while (!text.includes('leads, term 1')) await once(child.stdout!, 'data')
  expect(text).toMatch(/^replica 12D3\w+\nlistens on \/ip4\/127\.0\.0\.1\/tcp\/\d+\S*\n/)
  expect(text).toMatch(/\n\d\d:\d\d:\d\d in-sync\n/)
  child.kill('SIGINT')
  expect(await once(child, 'close')).toEqual([0, null])
})

test('a log on standard error, of the level asked for, and beside it what DEBUG names', async () => {
  const child = place.spawn(['node', '--lease-ms', '1000', '--log-level', 'info'], {
    env: { DEBUG: 'anchorage:leader', DEBUG_COLORS: 'no' },
  })
  let [printed, logged] = ['', '']
  child.stdout!.on('data', (chunk) => (printed += chunk))
  child.stderr!.on('data', (chunk) => (logged += chunk))
  while (!/"component":"leader".*\n/.test(logged)) await once(child.stderr!, 'data')
  child.kill('SIGINT')
  expect(await once(child, 'close')).toEqual([0, null])
  const [, id] = /^replica (12D3\w+)\nlistens on \/ip4\S+\n$/.exec(printed)!
  const lines = logged.trimEnd().split('\n')
  const isJson = (text: string) => text.startsWith('{')
  const log = lines.filter(isJson).map((text) => JSON.parse(text))
  expect(log.filter(({ event }) => event === undefined)).toMatchObject([
    { level: 'info', msg: expect.stringContaining('made an empty one') },
  ])
  const of = { level: 'info', group: 'default', replica: id }
  for (const line of log.filter(({ event }) => event !== undefined)) expect(line).toMatchObject(of)
  expect(log.at(-1)).toMatchObject({ component: 'replica', state: 'stopped', previous: 'in-sync' })
  const others = lines.filter((text) => !isJson(text))
  expect(others.length).toBeGreaterThan(0)
  for (const text of others) {
    expect(text).toMatch(
      /^\S+Z anchorage:leader leads now event=leader leader=\w+ term=\d+ group=default replica=12D3/,
    )
  }
})

test('a port in use', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  try {
    await place.run(['set', 'a', '1', '--create'])
    const { code, stderr } = await place.run(['node', '--listen', `/ip4/127.0.0.1/tcp/${port}`])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^anchorage: [^\n]+\n$/)
    expect(stderr).toContain(`/ip4/127.0.0.1/tcp/${port} (listen EADDRINUSE: address already in use`)
  } finally {
    server.close()
  }
})

test('others hear the announced address', async () => {
  const announce = '/ip4/203.0.113.7/tcp/4001'
  const node = place.start(['node', '--lease-ms', '1000', '--announce', announce])
  await node.until(inSync)
  const { id, addresses } = node.printed[0] as unknown as { id: string; addresses: string[] }
  expect(addresses).toEqual([`${announce}/p2p/${id}`])
  const { members } = JSON.parse((await place.run(['status', '--json'])).stdout)
  expect(members).toMatchObject([{ id, addresses }])
  expect(await node.interrupt()).toBe(0)
})

test('a copy of a data directory is refused beside the first, which tells of it and shows it in the status', async () => {
  const node = place.start(['node', '--lease-ms', '2000', '--data', 'first'])
  await node.until(inSync)
  await mkdir(place.path('copy'))
  await copyFile(place.path('first/identity.key'), place.path('copy/identity.key'))
  const { code, stderr } = await place.run(['node', '--lease-ms', '2000', '--data', 'copy'])
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/^anchorage: another process runs with this replica's/),
  ])
  const { detail } = await node.until(isEvent('problem'))
  expect(detail.name).toBe('IdentityInUse')
  const { stdout } = await place.run(['status'])
  expect(stdout).toContain('two processes have the identity of')
  expect(await node.interrupt()).toBe(0)
})

test('status goes on looking until Ctrl-C', async () => {
  const node = place.start(['node', '--lease-ms', '1000'])
  await node.until(inSync)
  const status = place.start(['status', '--watch'])
  await status.until((printed) => (printed as unknown as { leader: string | null }).leader !== null)
  expect(await status.interrupt()).toBe(130)
  expect(await node.interrupt()).toBe(0)
})
