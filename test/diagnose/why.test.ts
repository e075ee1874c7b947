import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { why } from '../../src/cli/commands/why.ts'
import type { Account } from '../../src/cli/facts/account.ts'
import { Clocks } from '../../src/cli/facts/clocks.ts'
import type { Heard } from '../../src/cli/facts/interviews.ts'
import { type Announcement, encodeAnnouncement } from '../../src/group/announcement.ts'
import { signatureName } from '../../src/group/versions.ts'
import { makeNetworkKey } from '../../src/replica/node/network-key.ts'
import { systemClock } from '../../src/time/clock.ts'
import { Cluster, next, type Started, when } from '../replica/cluster.ts'
import { line } from '../replica/journal.ts'
import { run } from './command.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'anchorage-why-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

interface Told {
  readonly replica: string
  readonly code: string
  readonly why: string
  readonly remedy: string
}

const QUICK = { requestTimeoutMs: 500, fetchTimeoutMs: 250 }

async function ask(cluster: Cluster, replica?: string, networkKey?: string) {
  const options = { log: cluster.log, ...(networkKey !== undefined && { networkKey }) }
  const { code, object } = await run((context) => why(context, replica), options)
  return { code, replicas: object.replicas as Told[] }
}

/** One that leads, with a log that begins after its state. */
async function pruned(cluster: Cluster, init: Parameters<Cluster['start']>[0] = {}): Promise<Started> {
  const [leader] = await cluster.startLed(0, init)
  for (const text of ['a', 'b', 'c']) await leader.replica.submit(line(text))
  await leader.replica.prune({ keepEntries: 0 })
  return leader
}

/** Announces replicas that do not run. */
async function announcer(cluster: Cluster) {
  const log = await cluster.log.open({ group: 'journals', author: 'test', create: false })
  return async (id: string, changes: Partial<Announcement>, ttlMs = 60_000) => {
    const announcement: Announcement = {
      epoch: log.epoch,
      addresses: ['/ip4/127.0.0.1/tcp/1'],
      state: 'in-sync',
      applied: (await log.bounds()).newest.index,
      leads: 0,
      offers: [],
      needs: 0,
      checkpoint: 0,
      ...changes,
    }
    await log.notices.announce(id, encodeAnnouncement(announcement), ttlMs)
  }
}

test('where all are in sync it says so, and where to look for one that is missing', async () => {
  await using cluster = new Cluster()
  const [leader, follower] = await cluster.startLed(1)
  expect(await ask(cluster)).toEqual({ code: 0, replicas: [] })
  const { code, text } = await run((context) => why(context, undefined), { log: cluster.log, json: false })
  expect([code, text]).toEqual([0, expect.stringContaining('2 replicas in sync; one that is missing here')])
  // Every one that is asked for is told of, by the end of its id too.
  const one = await ask(cluster, leader.replica.id.slice(-8))
  expect(one).toMatchObject({ code: 0, replicas: [{ replica: leader.replica.id, code: 'in-sync' }] })
  expect((await ask(cluster, follower!.replica.id)).code).toBe(0)
})

test('who is not seen has another log, another group, or fell silent', async () => {
  await using cluster = new Cluster()
  await cluster.startLed(0)
  const announce = await announcer(cluster)
  expect(await ask(cluster, 'nobody')).toMatchObject({ code: 4, replicas: [{ code: 'not-seen' }] })
  await announce('elsewhere', { epoch: 'another' })
  expect(await ask(cluster, 'elsewhere')).toMatchObject({ code: 4, replicas: [{ code: 'other-epoch' }] })
})

test('without any replica it says so', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(0)
  await leader.replica.stop()
  const { code, replicas } = await ask(cluster)
  expect([code, replicas]).toMatchObject([4, [{ replica: null, code: 'not-seen' }]])
  expect(replicas[0]!.why).toContain('no replica announces itself in memory under the group "journals"')
})

test('a lost state: who had it, and since when it is silent', async () => {
  await using cluster = new Cluster()
  const leader = await pruned(cluster)
  await leader.replica.stop()
  const { replica } = await cluster.start({ lead: false, ...QUICK })
  await when(replica, 'state', () => replica.state === 'lost')
  const { code, replicas } = await ask(cluster)
  expect([code, replicas]).toMatchObject([4, [{ replica: replica.id, code: 'state-lost' }]])
  expect(replicas[0]!.why).toContain(replica.failure!.message)
  expect(replicas[0]!.why).toMatch(
    new RegExp(`Who had it: …${leader.replica.id.slice(-8)}, at entry 5, stopped`),
  )
  expect(replicas[0]!.remedy).toContain('start a replica that has the state')
})

test.each([
  ['another', true],
  ['no', false],
])('%s network key, by the key of the group and by its own', async (_which, hasOne) => {
  await using cluster = new Cluster()
  const networkKey = makeNetworkKey()
  const leader = await pruned(cluster, { networkKey })
  const other = makeNetworkKey()
  const { replica } = await cluster.start({
    lead: false,
    requestTimeoutMs: 60_000,
    ...(hasOne && { networkKey: other }),
  })
  const problem = next(replica, 'problem')
  const [ours, theirs] = [join(dir, `ours-${hasOne}`), join(dir, `theirs-${hasOne}`)]
  await writeFile(ours, networkKey)
  await writeFile(theirs, other)
  const byOurs = await ask(cluster, undefined, ours)
  expect(byOurs).toMatchObject({ code: 4, replicas: [{ replica: replica.id, code: 'network-key' }] })
  expect(byOurs.replicas[0]!.why).toContain(`…${leader.replica.id.slice(-8)} answered this command`)
  expect((await problem).name).toBe('HandshakeFailed')
  const byTheirs = await ask(cluster, undefined, hasOne ? theirs : undefined)
  expect(byTheirs).toMatchObject({ code: 4, replicas: [{ code: 'network-key' }] })
  expect(byTheirs.replicas[0]!.why).toContain('it breaks off the handshake')
  expect(byTheirs.replicas[0]!.remedy).toContain('compare the keys of both')
  if (!hasOne) return
  const byNone = await ask(cluster)
  expect(byNone).toMatchObject({ code: 4, replicas: [{ code: 'network-key-here' }] })
})

test('a leader whose address leads nowhere', async () => {
  await using cluster = new Cluster()
  const nowhere = createServer().listen(0, '127.0.0.1')
  await once(nowhere, 'listening')
  const { port } = nowhere.address() as { port: number }
  await new Promise((resolve) => nowhere.close(resolve))
  const leader = await pruned(cluster, { announce: [`/ip4/127.0.0.1/tcp/${port}`] })
  const { replica } = await cluster.start({ lead: false, requestTimeoutMs: 60_000 })
  await when(replica, 'state', () => replica.state === 'catching-up')
  const { code, replicas } = await ask(cluster)
  expect([code, replicas]).toMatchObject([4, [{ replica: replica.id, code: 'provider-out-of-reach' }]])
  expect(replicas[0]!.why).toContain(`the leader, …${leader.replica.id.slice(-8)}`)
  expect(replicas[0]!.why).toContain(`/ip4/127.0.0.1/tcp/${port} refuses the connection`)
  expect(replicas[0]!.remedy).toContain('--announce')
})

test('a leader behind a listener that drops what comes', async () => {
  await using cluster = new Cluster()
  const dropping = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(dropping, 'listening')
  const { port } = dropping.address() as { port: number }
  try {
    await pruned(cluster, { announce: [`/ip4/127.0.0.1/tcp/${port}`] })
    const { replica } = await cluster.start({ lead: false, requestTimeoutMs: 60_000 })
    await when(replica, 'state', () => replica.state === 'catching-up')
    const { replicas } = await ask(cluster)
    // Nobody can tell another key from another program there, and the answer says so.
    expect(['network-key', 'provider-out-of-reach']).toContain(replicas[0]!.code)
    expect(replicas[0]!.why).toMatch(/something else listens there|accepts connections/)
    expect(replicas[0]!.why).toContain(`/tcp/${port}`)
  } finally {
    await new Promise((resolve) => dropping.close(resolve))
  }
})

test('the page for operators has each code', async () => {
  const page = await readFile(fileURLToPath(new URL('../../docs/operations.md', import.meta.url)), 'utf8')
  const folder = fileURLToPath(new URL('../../src/cli/why/', import.meta.url))
  const sources = await Promise.all(
    (await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')),
  )
  const codes = sources.flatMap((source) =>
    Array.from(source.matchAll(/\bcode: '([a-z-]+)'/g), ([, code]) => code!),
  )
  expect(codes.length).toBeGreaterThan(20)
  const section = page.slice(page.indexOf('## A joiner'), page.indexOf('## The log'))
  for (const code of codes) expect(section).toContain(`\`${code}\``)
})

test('a replica that halted says why, and what to do about it', async () => {
  await using cluster = new Cluster()
  const [leader, follower] = await cluster.startLed(1)
  const { replica, journal } = follower!
  journal.twist = () => {
    throw new Error('a fault in the program')
  }
  const halted = when(replica, 'state', () => replica.state === 'halted')
  await leader.replica.submit(line('a'))
  await halted
  const { code, replicas } = await ask(cluster)
  expect([code, replicas]).toMatchObject([4, [{ replica: replica.id, code: 'halted' }]])
  expect(replicas[0]!.why).toMatch(/APPLY_FAILED.*a fault in the program/)
  expect(replicas[0]!.remedy).toContain('fix the machine')
})

test('a clock that is off is told too, by the answers of those that were asked', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(1)
  const ahead = { ...systemClock, wallNow: () => Date.now() + 3_600_000 }
  const { replica } = await cluster.start({ clock: ahead })
  await replica.inSync()
  const { code, object } = await run((context) => why(context, replica.id), { log: cluster.log })
  expect([code, object.well, object.replicas]).toMatchObject([4, false, [{ code: 'in-sync' }]])
  const end = replica.id.slice(-8)
  const off = `the clock of …${end} is 60 minutes ahead of this one, which 2 other replicas agree with`
  expect(object.clocks).toEqual([
    { replica: replica.id, code: 'clock', why: off, remedy: expect.stringContaining('NTP') },
  ])
  const people = await run((context) => why(context, end), { log: cluster.log, json: false })
  expect(people.text).toMatch(
    new RegExp(`the clock of …${end}\n  why +${off}\n  what to do +.*\n  code +clock`),
  )
  expect((await ask(cluster, leader.replica.id)).code).toBe(4)
})

test('a clock that no other agrees with is that of this machine, and a slow answer says nothing of one', () => {
  const offBy = (tookMs: number) => {
    const account = { clockMs: 97_500 } as Account
    const heard: Heard = { how: 'told', account, tookMs, atMs: 100_000, tries: [] }
    return new Clocks([['p', heard]]).off
  }
  const behind = "this machine's clock is 2.5 s ahead of the clock of …p"
  expect(offBy(10)).toMatchObject([{ replica: null, why: behind }])
  expect(offBy(4_000)).toEqual([])
})

test('nobody leads, another version, two of one identity, and one that is on its way', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start({ lead: false })
  await replica.inSync()
  const announce = await announcer(cluster)
  await announce('needs', { state: 'catching-up', applied: 0 })
  await announce('speaks', { speaks: [signatureName('journal/2')], signature: 'journal/2' })
  await announce('twice', { contested: true })
  await announce('speaks', {
    state: 'following',
    speaks: [signatureName('journal/2')],
    signature: 'journal/2',
  })
  const { replicas } = await ask(cluster)
  const codes = Object.fromEntries(replicas.map((one) => [one.replica, one.code]))
  expect(codes).toEqual({ needs: 'no-leader', speaks: 'other-signature', twice: 'contested' })
  expect(replicas.find((one) => one.replica === 'speaks')!.why).toMatch(/"journal\/1".*"journal\/2" only/)
})
