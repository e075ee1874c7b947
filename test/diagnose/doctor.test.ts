import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { doctor } from '../../src/cli/commands/doctor.ts'
import type { NodeOptions } from '../../src/cli/commands/node.ts'
import { lateRemedy } from '../../src/cli/doctor/examination.ts'
import type { LogBackend } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { makeNetworkKey } from '../../src/replica/node/network-key.ts'
import { systemClock } from '../../src/time/clock.ts'
import { alteredLog, Cluster, leads } from '../replica/cluster.ts'
import { run } from './command.ts'

const HOUR_MS = 3_600_000

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'anchorage-doctor-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

interface Found {
  readonly check: string
  readonly level: string
  readonly code: string
  readonly message: string
  readonly remedy?: string
}

interface Examined {
  readonly log: LogBackend
  readonly options?: NodeOptions
  readonly networkKey?: string
  readonly group?: string
}

/** What it found of these checks that is not well, and the exit code. */
async function examine({ options = {}, ...init }: Examined, ...checks: string[]) {
  const { code, object } = await run((context) => doctor(context, options), init)
  const found = object.checks as Found[]
  const bad = found.filter(({ level, check }) => level !== 'ok' && checks.includes(check))
  return { code, found, bad: bad.map(({ level, code }) => `${level} ${code}`), told: bad }
}

/** A machine of the log's signature, as a module. */
async function machineModule(signature = 'journal/1'): Promise<string> {
  const path = join(dir, 'machine.mjs')
  const machine = `{ signature: ${JSON.stringify(signature)}, apply() {}, capture() {}, install() {} }`
  await writeFile(path, `export default ${machine}\n`)
  return path
}

/** A server on a port of its own, and its address. */
async function listening(): Promise<[ReturnType<typeof createServer>, address: string]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  return [server, `/ip4/127.0.0.1/tcp/${(server.address() as { port: number }).port}`]
}

test('of a replica in sync nothing is wrong, and nothing is changed', async () => {
  await using cluster = new Cluster()
  const data = join(dir, 'replica')
  const [leader] = await cluster.startLed(1, {})
  const { replica } = await cluster.start({ lead: false, dataDir: data })
  await replica.inSync()
  const log = await cluster.log.open({ group: 'journals', author: 'test', create: false })
  const { newest } = await log.bounds()
  const options = { data, machine: await machineModule(), listen: ['/ip4/127.0.0.1/tcp/0'] }
  const { code, found } = await examine({ log: cluster.log, options })
  const bad = found.filter(({ level }) => level !== 'ok')
  // The replica itself runs.
  expect(bad.map(({ code }) => code)).toEqual(['data-in-use'])
  expect(code).toBe(0)
  const codes = found.map((each) => each.code)
  expect(codes).toEqual(
    expect.arrayContaining(['log-open', 'log-writes', 'log-whole', 'machine', 'identity', 'disk', 'state']),
  )
  expect(found.filter((each) => each.code === 'member')).toHaveLength(2)
  expect(found.find((each) => each.code === 'leader')!.message).toContain(leader.replica.id.slice(-8))
  expect(found.find((each) => each.code === 'data-in-use')!.message).toContain(`process ${process.pid}`)
  expect((await log.bounds()).newest).toEqual(newest)
  const present = (await log.notices.read()).map(({ member }) => member)
  expect(present.filter((member) => member.startsWith('doctor'))).toEqual([])
})

test('a log that is not there, or is of another group', async () => {
  const log = memoryLog()
  expect(await examine({ log }, 'log')).toMatchObject({ code: 4, bad: ['fail LOG_MISSING'] })
  await log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
  const other = await examine({ log, group: 'others' }, 'log')
  expect(other).toMatchObject({
    code: 4,
    told: [{ level: 'fail', remedy: expect.stringContaining('--group') }],
  })
})

test('a log that takes no announcement, and one that never answers', async () => {
  await using cluster = new Cluster()
  await cluster.startLed(0)
  const full = Object.assign(new Error('the disk is full'), { code: 'LOG_UNUSABLE' })
  const unwritable = alteredLog(cluster.log, (log) => ({
    notices: {
      ...log.notices,
      read: (options) => log.notices.read(options),
      announce: () => Promise.reject(full),
      withdraw: () => Promise.reject(full),
    },
  }))
  const { code, bad } = await examine({ log: unwritable }, 'log writes', 'members')
  expect([code, bad]).toEqual([4, ['fail LOG_UNUSABLE', 'warn members-unasked']])
  const silent: LogBackend = {
    open: ({ signal }) =>
      new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason))),
  }
  expect(await examine({ log: silent }, 'log')).toMatchObject({ code: 4, bad: ['fail LOG_UNAVAILABLE'] })
})

test("a clock that is off by those of the others, by the log's servers, and by the newest entry", async () => {
  await using cluster = new Cluster()
  const ahead = { ...systemClock, wallNow: () => Date.now() + HOUR_MS }
  await cluster.startLed(1, { clock: ahead })
  const byOthers = await examine({ log: cluster.log }, 'clocks')
  expect(byOthers).toMatchObject({ code: 4, bad: ['fail clock-of-members'] })
  expect(byOthers.told[0]!.message).toContain(
    "this machine's clock is 60 minutes behind the clocks of all 2 other replicas",
  )
  expect(byOthers.told[0]!.remedy).toContain('NTP')
  const told = alteredLog(cluster.log, () => ({ serverTimeMs: async () => Date.now() - HOUR_MS }))
  const byServers = await examine({ log: told }, 'clock')
  expect(byServers).toMatchObject({ code: 4, bad: ['fail clock-of-log'] })
  expect(byServers.told[0]!.message).toContain("60 minutes ahead of the clock of the log's servers")
  const now = Date.now
  const back = vi.spyOn(Date, 'now').mockImplementation(() => now() - HOUR_MS)
  try {
    const byEntry = await examine({ log: cluster.log }, 'clock')
    expect(byEntry).toMatchObject({ code: 4, bad: ['fail clock-of-log'] })
    expect(byEntry.told[0]!.message).toContain('in the future')
  } finally {
    back.mockRestore()
  }
})

test('a check that did not end in time says if the machine is busy', () => {
  expect(lateRemedy(4, 2)).toBe('look at what hangs: the log, a disk, or the network')
  expect(lateRemedy(13.6, 2)).toContain('a load of 14 on 2 processors: run this again')
})

test('a clock that is off in one replica is told of that one where the others agree with this machine', async () => {
  await using cluster = new Cluster()
  await cluster.startLed(1)
  const ahead = { ...systemClock, wallNow: () => Date.now() + HOUR_MS }
  const data = join(dir, 'replica')
  const { replica } = await cluster.start({ clock: ahead, dataDir: data })
  await replica.inSync()
  const elsewhere = await examine({ log: cluster.log }, 'clocks')
  expect(elsewhere.bad).toEqual(['fail clock-of-members'])
  const [{ message, remedy }] = elsewhere.told as [Found]
  expect(message).toContain(
    `${replica.id.slice(-8)} is 60 minutes ahead of this one, which 2 other replicas agree with`,
  )
  expect(remedy).toContain('its machine')
  // Beside that replica its own account does not count: the others agree with this clock.
  expect((await examine({ log: cluster.log, options: { data } }, 'clocks')).bad).toEqual([])
})

test('a data directory that is of somebody else, in use, or open to all', async () => {
  await using cluster = new Cluster()
  await cluster.startLed(0)
  const another = new Cluster()
  const data = join(dir, 'replica')
  const { replica } = await another.start({ dataDir: data })
  await replica.inSync()
  const lock = await examine({ log: cluster.log, options: { data } }, 'data lock')
  expect(lock).toMatchObject({ code: 4, bad: ['fail data-in-use'] })
  expect(lock.told[0]!.message).toContain('no replica of it announces itself in this log')
  await leads(replica)
  await replica.checkpointed(await replica.mark())
  await another[Symbol.asyncDispose]()
  const before = await readdir(dir, { recursive: true })
  const belongs = await examine({ log: cluster.log, options: { data } }, 'data lock', 'data content')
  expect(belongs).toMatchObject({ code: 4, bad: ['fail DIRECTORY_OF_ANOTHER_LOG'] })
  expect(belongs.told[0]!.remedy).toContain('--new-log')
  await examine({ log: cluster.log, options: { data: join(dir, 'not-there-yet') } }, 'data')
  expect(await readdir(dir, { recursive: true })).toEqual(before)
  await chmod(data, 0o755)
  expect((await examine({ log: cluster.log, options: { data } }, 'data')).bad).toEqual(['warn data-open'])
  await writeFile(join(data, 'identity.key'), 'no key')
  const broken = await examine({ log: cluster.log, options: { data } }, 'data content')
  expect(broken.bad).toContain('fail DIRECTORY_UNUSABLE')
  const file = join(dir, 'file')
  await writeFile(file, '')
  const none = await examine({ log: cluster.log, options: { data: file } }, 'data')
  expect(none.bad).toEqual(['fail data-no-directory'])
})

test('a network key that is no key, is open to all, or is not that of the group', async () => {
  await using cluster = new Cluster()
  await cluster.startLed(1, { networkKey: makeNetworkKey() })
  const networkKey = join(dir, 'network.key')
  const of = (...checks: string[]) => examine({ log: cluster.log, networkKey }, ...checks)
  expect((await of('network key')).bad).toEqual(['fail key-unreadable'])
  await writeFile(networkKey, 'no key')
  expect((await of('network key')).bad).toEqual(['fail key-malformed'])
  await writeFile(networkKey, makeNetworkKey(), { mode: 0o644 })
  const { code, bad, told } = await of('network key', 'members')
  expect([code, bad]).toEqual([4, ['warn key-open', 'fail network-key']])
  expect(told[1]!.message).toContain('this --network-key is not that of the group')
  const none = await examine({ log: cluster.log }, 'members')
  expect(none.told[0]).toMatchObject({ code: 'network-key', remedy: 'give the --network-key of the group' })
})

test('an address that is taken, is none of this machine, or is announced in vain', async () => {
  await using cluster = new Cluster()
  const [taken, there] = await listening()
  const [closed, nowhere] = await listening()
  await new Promise((resolve) => closed.close(resolve))
  try {
    const listen = [there, '/ip4/198.51.100.1/tcp/4001', nowhere]
    const { code, bad, told } = await examine({ log: cluster.log, options: { listen } }, 'listen')
    expect([code, bad]).toEqual([4, ['fail listen', 'fail listen']])
    expect(told[0]!.message).toContain('EADDRINUSE')
    expect(told[1]!.message).toContain('EADDRNOTAVAIL')
    const data = join(dir, 'replica')
    const { replica } = await cluster.start({ dataDir: data, announce: [nowhere] })
    await replica.inSync()
    const own = await examine({ log: cluster.log, options: { data } }, 'announce')
    expect(own.bad).toEqual(['warn announces'])
    // For another replica it is one that cannot be reached.
    const other = await examine({ log: cluster.log }, 'members')
    expect(other).toMatchObject({ code: 4, bad: ['fail member-unreachable'] })
    expect(other.told[0]!.message).toContain('refuses the connection')
  } finally {
    await new Promise((resolve) => taken.close(resolve))
  }
})

test('a replica that is on this machine alone, though the others are not', async () => {
  await using cluster = new Cluster()
  await cluster.startLed(0, { announce: ['/ip4/192.0.2.1/tcp/4001'] })
  const { bad, told } = await examine({ log: cluster.log }, 'announce')
  expect(bad).toEqual(['fail announces-loopback'])
  expect(told[0]!.remedy).toContain('--listen')
})

test('another version of the machine, with and without --machine', async () => {
  await using cluster = new Cluster()
  await cluster.startLed(0)
  const map = await examine({ log: cluster.log }, 'machine')
  expect(map).toMatchObject({ code: 4, bad: ['fail other-signature'] })
  expect(map.told[0]!.message).toMatch(/the group speaks "journal\/1", and without --machine it is a map/)
  const options = { machine: await machineModule('journal/2') }
  const newer = await examine({ log: cluster.log, options }, 'machine')
  expect(newer.told[0]!.message).toContain('"journal/2"')
})

test('for people each line has its level, and what to do', async () => {
  const data = join(dir, 'made')
  await mkdir(data, { mode: 0o700 })
  const { text } = await run((context) => doctor(context, { data }), { log: memoryLog(), json: false })
  expect(text).toMatch(/^ok {4}node +Node\.js /m)
  expect(text).toMatch(/^fail {2}log .*\n +→ look at --log and --group/m)
  expect(text).toMatch(/\n1 of \d+ failed$/)
})
