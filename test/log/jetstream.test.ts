import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type JetStreamManager, jetstream, jetstreamManager, type StreamConfig } from '@nats-io/jetstream'
import { connect, type NatsConnection, nanos } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { GROUP_BYTES_MAX, SIGNATURE_BYTES_MAX } from '../../src/bounds.ts'
import {
  AppendUncertain,
  EntryTooLarge,
  EpochChanged,
  LogRefused,
  LogRewound,
  LogTruncated,
  LogUnavailable,
  LogUnusable,
} from '../../src/log/errors.ts'
import { streamName } from '../../src/log/jetstream/names.ts'
import { isOlder } from '../../src/log/jetstream/server-version.ts'
import { type JetstreamLogOptions, jetstreamLog } from '../../src/log/jetstream.ts'
import type { Log, LogInit } from '../../src/log/log.ts'
import { isFresh, Sightings } from '../../src/log/presence.ts'
import {
  findNatsServer,
  type NatsServers,
  natsServerVersion,
  startNatsServers,
} from '../../src/processes/nats-servers.ts'
import { conformance } from './conformance.ts'
import { commands, Follower, failureOf, init, numbers, readAll, text } from './entries.ts'
import { describeNats, natsHarness } from './nats.ts'

describeNats('one server', () => {
  let nats: NatsServers
  let nc: NatsConnection
  let jsm: JetStreamManager
  let group: string
  let opened: Log[]

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  beforeEach(async () => {
    group = randomUUID()
    opened = []
    // A connection from the last test may still be on its way back to a server that was killed there.
    nc = await connect({ servers: nats.urls, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
    jsm = await jetstreamManager(nc)
  })
  afterEach(async () => {
    for (const server of nats?.servers ?? []) server.resume()
    await nats?.start()
    await Promise.all(opened.map((log) => log.close()))
    await nc.close()
  })
  afterAll(async () => {
    await nats?.stop()
  })

  async function open(
    options: Partial<JetstreamLogOptions> = {},
    overrides: Partial<LogInit> = {},
  ): Promise<Log> {
    const log = await jetstreamLog({ servers: nats.urls, ...options }).open(init({ group, ...overrides }))
    opened.push(log)
    return log
  }

  const config = async () => (await jsm.streams.info(streamName(group))).config
  const connected = (log: Log, wanted: boolean) =>
    new Promise<void>((resolve) => {
      if (log.connection!.connected === wanted) resolve()
      else log.connection!.onChange((is) => is === wanted && resolve())
    })

  test("tells the servers' clock, which is this machine's here, if they do", async () => {
    const log = await open()
    if (isOlder(natsServerVersion(findNatsServer()!)!, '2.10.0')) {
      expect(await log.serverTimeMs!()).toBeUndefined()
      return
    }
    const beforeMs = Date.now()
    const atMs = await log.serverTimeMs!()
    // Servers may tell whole milliseconds.
    expect(atMs).toBeGreaterThanOrEqual(beforeMs - 1)
    expect(atMs).toBeLessThanOrEqual(Date.now())
  })

  conformance(
    'jetstreamLog',
    natsHarness(() => nats, 1),
  )

  describe('its stream', () => {
    test('keeps every message on disk, and no single one can be deleted from it', async () => {
      const log = await open()
      await log.append(commands('1', '2', '3'))
      expect(await config()).toMatchObject({ storage: 'file', retention: 'limits', num_replicas: 1 })
      await expect(jsm.streams.deleteMessage(streamName(group), 2)).rejects.toThrow(/delete/)
      expect((await readAll(log)).map(text)).toEqual(['1', '2', '3'])
    })

    test('is one stream, even if many handles make it at the same moment', async () => {
      const logs = await Promise.all(Array.from({ length: 12 }, () => open()))
      expect(new Set(logs.map(({ epoch }) => epoch)).size).toBe(1)
      await Promise.all(logs.map((log, n) => log.append(commands(String(n)))))
      expect((await logs[0]!.bounds()).newest.index).toBe(12)
    })

    test.each<[string, Partial<StreamConfig>]>([
      ['retention', { retention: 'workqueue' }],
      ['storage', { storage: 'memory' }],
      ['deny_delete', { deny_delete: false }],
      ['deny_purge', { deny_purge: true }],
      ['max_msgs_per_subject', { max_msgs_per_subject: 5 }],
      ['allow_rollup_hdrs', { allow_rollup_hdrs: true, deny_purge: false }],
      ['no_ack', { no_ack: true }],
      ['subjects', { subjects: [`anchorage.a.${randomUUID()}`, `anchorage.b.${randomUUID()}`] }],
    ])('is refused if its %s is another', async (what, changes) => {
      await (await open()).close()
      const { name, subjects, description } = await config()
      await jsm.streams.delete(name)
      await jsm.streams.add({ name, subjects, description: description!, deny_delete: true, ...changes })
      const failure = await failureOf(open())
      expect(failure).toBeInstanceOf(LogUnusable)
      expect((failure as Error).message).toContain(what)
    })

    test('is refused if it is no log, or if fewer servers keep it than asked for', async () => {
      await jsm.streams.add({ name: streamName(group), subjects: [`foreign.${group}`] })
      const failure = await failureOf(open())
      expect(failure).toBeInstanceOf(LogUnusable)
      // Whoever forgot `control` is not told to remove the stream of others.
      expect(String(failure)).toContain('give `control`')
      expect(String(failure)).not.toContain('remove')
      await jsm.streams.delete(streamName(group))
      await open()
      await expect(open({ replicas: 3 })).rejects.toThrow(/1 of the servers, not by 3/)
    })

    test('may hold messages of other programs: such a message is an entry of no epoch', async () => {
      const log = await open()
      await log.append(commands('ours'))
      const [subject] = (await config()).subjects!
      const js = jetstream(nc)
      const garbage = [new Uint8Array(0), new Uint8Array(3), new Uint8Array(600).fill(255)]
      for (const data of garbage) await js.publish(subject!, data)
      const entries = await readAll(log)
      expect(entries.map(({ epoch }) => epoch)).toEqual([log.epoch, '', '', ''])
      expect(new Set(entries.map(({ id }) => id)).size).toBe(4)
    })

    test('made anew takes no entry that was meant for the old one', async () => {
      const log = await open({ pollMs: 60_000 })
      await log.append(commands('old'))
      await jsm.streams.delete(streamName(group))
      const anew = await open()
      expect(anew.epoch).not.toBe(log.epoch)
      expect(await failureOf(log.append(commands('late')))).toBeInstanceOf(EpochChanged)
      expect((await anew.bounds()).newest.index).toBe(0)
    })

    test('made anew from a saved configuration is LogRewound to a reader of the old one', async () => {
      const log = await open({ pollMs: 60_000 })
      await log.append(commands('old'))
      const [{ index, id } = { index: 0, id: '' }] = await readAll(log)
      const saved = await config()
      await jsm.streams.delete(saved.name)
      await jsm.streams.add(saved)
      await expect(readAll(log, { index, id })).rejects.toThrow(LogRewound)
      // The servers accept it without an error.
      await log.append(commands('late'))
      await expect(readAll(log, { index, id })).rejects.toThrow(LogRewound)
    })

    test('describes its upgrade so that the first release refuses it, and keeps its settings', async () => {
      const log = await open()
      await log.append(commands('1'))
      const before = await config()
      await jsm.streams.update(before.name, { max_age: nanos(86_400_000) })
      await log.noteUpgrade('map/2', 1)
      const { description, max_age, ...others } = await config()
      const { description: _, max_age: __, ...kept } = before
      expect(others).toEqual(kept)
      expect(max_age).toBe(nanos(86_400_000))
      expect(JSON.parse(description!)).toEqual({
        anchorage: 1,
        group,
        signature: expect.stringContaining('of a newer version of anchorage'),
        made: 'map/1',
        upgraded: { signature: 'map/2', at: 1 },
      })
    })

    test('tells handles that wait for entries of a later version', async () => {
      const log = await open({ pollMs: 20 })
      const follower = new Follower(log)
      const next = follower.next()
      await (await open()).noteUpgrade('map/2', 1)
      await vi.waitFor(() => expect(log.upgraded).toBe('map/2'))
      await log.append(commands('1'))
      expect(text((await next)!)).toBe('1')
    })

    test('has room for the longest names and versions', async () => {
      const [long, later] = ['s'.repeat(SIGNATURE_BYTES_MAX), 'ü'.repeat(SIGNATURE_BYTES_MAX / 2)]
      const of = { group: `${group}${'g'.repeat(GROUP_BYTES_MAX - group.length)}`, signature: long }
      const log = await open({}, of)
      await log.noteUpgrade(later, Number.MAX_SAFE_INTEGER)
      expect(await open({}, { ...of, signature: later })).toMatchObject({ signature: long, upgraded: later })
    })

    test('whose description has a note of another form is opened as if there were none', async () => {
      await open()
      const { name } = await config()
      for (const upgraded of ['map/2', 7, null, { signature: 2 }, { signature: 'map/2', at: '1' }]) {
        const description = JSON.stringify({ anchorage: 1, group, signature: 'map/1', upgraded })
        await jsm.streams.update(name, { description })
        expect(await open()).toMatchObject({ signature: 'map/1', upgraded: undefined })
      }
    })

    test("can have an operator's limits: what they take is LogTruncated", async () => {
      const log = await open({ duplicateWindowMs: 500, pollMs: 50 })
      const follower = new Follower(log)
      await log.append(commands(...numbers(1, 10)))
      await follower.take(10)
      const { name } = await config()
      await jsm.streams.update(name, { max_msgs: 5 })
      expect((await log.bounds()).first).toBe(6)
      await expect(readAll(log, { index: 2 })).rejects.toThrow(LogTruncated)
      await log.append(commands('11'))
      expect(text((await follower.next())!)).toBe('11')
    })
  })

  describe('an append', () => {
    test('is there once when the server dies with hundreds under way', async () => {
      const log = await open()
      let acknowledged = 0
      const halfway = Promise.withResolvers<void>()
      const appends = numbers(1, 3_000).map(async (n) => {
        const { first } = await log.append(commands(n))
        if (++acknowledged === 1_000) halfway.resolve()
        return [n, first] as const
      })
      await halfway.promise
      await nats.kill()
      await nats.start()
      const placed = new Map(await Promise.all(appends))
      const entries = await readAll(log)
      expect(entries.length).toBe(3_000)
      for (const entry of entries) expect(placed.get(text(entry))).toBe(entry.index)
    })

    test('that is awaited before the next keeps the order, even if the server is killed', async () => {
      const log = await open()
      for (let n = 1; n <= 30; n++) {
        if (n === 10) void nats.kill().then(() => nats.start())
        if (n === 20) nats.servers[0]!.pause()
        const append = log.append(commands(String(n)))
        if (n === 20) nats.servers[0]!.resume()
        await append
      }
      expect((await readAll(log)).map(text)).toEqual(numbers(1, 30))
    })

    test('that got no answer within half the deduplication window is AppendUncertain', async () => {
      const log = await open({ duplicateWindowMs: 2_000 })
      await log.append(commands('1'))
      nats.servers[0]!.pause()
      // A process does not stop at the very moment of the signal.
      const outcomes = await Promise.all(
        numbers(2, 500).map((n) => log.append(commands(n)).catch((error: unknown) => error)),
      )
      expect(outcomes.at(-1)).toBeInstanceOf(AppendUncertain)
      nats.servers[0]!.resume()
      await log.append(commands('last'))
      const texts = (await readAll(log)).map(text)
      outcomes.forEach((outcome, at) => {
        const count = texts.filter((each) => each === String(at + 2)).length
        if (outcome instanceof AppendUncertain) expect(count).toBeLessThanOrEqual(1)
        else expect(count).toBe(1)
      })
    })

    test('that was never sent is LogUnavailable, and not in the log', async () => {
      const log = await open({ duplicateWindowMs: 1_000 })
      await nats.kill()
      await connected(log, false)
      expect(await failureOf(log.append(commands('1')))).toBeInstanceOf(LogUnavailable)
      await nats.start()
      await log.append(commands('2'))
      expect((await readAll(log)).map(text)).toEqual(['2'])
    })

    test('after hundreds that are given up goes on', async () => {
      const log = await open()
      const abort = new AbortController()
      const many = failureOf(log.append(commands(...numbers(1, 3_000)), { signal: abort.signal }))
      const behind = log.append(commands('behind'))
      abort.abort(new Error('changed my mind'))
      expect(await many).toBeInstanceOf(AppendUncertain)
      const { last } = await behind
      expect((await readAll(log, { index: last - 1 })).map(text)).toEqual(['behind'])
    })

    test('that the server refuses is LogRefused, in its words', async () => {
      const log = await open()
      const { name } = await config()
      await jsm.streams.update(name, { max_msgs: 2, discard: 'new' })
      await log.append(commands('1', '2'))
      const failure = await failureOf(log.append(commands('3')))
      expect(failure).toBeInstanceOf(LogRefused)
      expect((failure as Error).message).toContain('maximum messages exceeded')
      expect((await readAll(log)).map(text)).toEqual(['1', '2'])
    })

    test('may be as large as the server takes, and says how large that is', async () => {
      const log = await open({}, { author: 'a'.repeat(255) })
      const payload = new Uint8Array(log.maxEntryBytes).fill(7)
      await log.append([{ kind: 'command', payload }])
      expect((await readAll(log))[0]!.payload).toEqual(Buffer.from(payload))
      const larger = [{ kind: 'command', payload: new Uint8Array(log.maxEntryBytes + 1) }] as const
      await expect(log.append(larger)).rejects.toThrow(EntryTooLarge)
      await expect(open({ maxEntryBytes: 2 ** 20 })).rejects.toThrow(/max_payload/)
    })

    test('ends in time when the log is closed while no server answers', async () => {
      const log = await open()
      nats.servers[0]!.pause()
      const sent = failureOf(log.append(commands('1')))
      nats.servers[0]!.resume()
      await nats.kill()
      await connected(log, false)
      const waiting = failureOf(log.append(commands('2')))
      await log.close()
      expect(await sent).toBeInstanceOf(AppendUncertain)
      expect(await waiting).toMatchObject({ name: 'LogClosed' })
    })
  })

  describe('a follower', () => {
    test('goes on when its server was killed and started again, and when its consumer was deleted', async () => {
      const log = await open()
      const follower = new Follower(log)
      await log.append(commands(...numbers(1, 100)))
      expect((await follower.take(100)).map(text)).toEqual(numbers(1, 100))

      await nats.kill()
      await connected(log, false)
      await nats.start()
      await log.append(commands(...numbers(101, 200)))
      expect((await follower.take(100)).map(text)).toEqual(numbers(101, 200))

      for await (const { name } of jsm.consumers.list(streamName(group))) {
        await jsm.consumers.delete(streamName(group), name)
      }
      await log.append(commands(...numbers(201, 300)))
      expect((await follower.take(100)).map(text)).toEqual(numbers(201, 300))
    })

    test('that is slow is not sent more than it has room for', async () => {
      const log = await open()
      const payload = new Uint8Array(1_000)
      for (let n = 0; n < 10; n++) {
        await log.append(Array.from({ length: 1_000 }, () => ({ kind: 'command', payload })))
      }
      const follower = new Follower(log)
      await follower.take(1)
      // These calls leave time for batches that were not asked for.
      for (let n = 0; n < 20; n++) await log.bounds()
      const [consumer] = await jsm.consumers.list(streamName(group)).next()
      expect(consumer!.delivered.stream_seq).toBeLessThan(2_500)
      await follower.take(9_999)
    })

    test('of a log that lost its newest entries in a power cut learns that it was put back', async () => {
      const log = await open()
      await log.append(commands(...numbers(1, 5)))
      const place = await natsHarnessAsItIs()
      await log.append(commands('6'))
      const { index, id } = (await readAll(log)).at(-1)!
      await place()
      const failure = await failureOf(readAll(log, { index, id }))
      expect(failure).toMatchObject({ name: 'LogRewound', index: 6, newest: 5 })
    })

    async function natsHarnessAsItIs() {
      const { cpSync, rmSync } = await import('node:fs')
      const [server] = nats.servers
      await nats.kill('SIGTERM')
      cpSync(server!.storeDir, `${server!.storeDir}.copy`, { recursive: true })
      await nats.start()
      return async () => {
        await nats.kill()
        rmSync(server!.storeDir, { recursive: true })
        cpSync(`${server!.storeDir}.copy`, server!.storeDir, { recursive: true })
        await nats.start()
      }
    }
  })

  describe('the presence store', () => {
    test('of a group that is gone is empty, although its presences are still stored', async () => {
      const log = await open()
      await log.notices.announce('alice', new Uint8Array(1), 1)
      await log.notices.announce('bob', new Uint8Array(1), 60_000)
      await log.close()
      // A new handle has not heard the servers' clock yet.
      const late = await open()
      const notices = new Sightings().look(await late.notices.read(), performance.now())
      expect(notices.filter(isFresh).map(({ member }) => member)).toEqual(['bob'])
    })

    test('is made again if an operator removed its bucket', async () => {
      const log = await open()
      await log.notices.announce('alice', new Uint8Array(1), 60_000)
      await jsm.streams.delete(`KV_${streamName(group)}`)
      expect(await log.notices.read()).toEqual([])
      await log.notices.announce('bob', new Uint8Array(1), 60_000)
      expect((await log.notices.read()).map(({ member }) => member)).toEqual(['bob'])
    })

    test.each(['x'.repeat(200), '_'.repeat(84), `${'_'.repeat(26)}${'x'.repeat(174)}`])(
      'is there for the stream of the longest name, %s',
      async (stream) => {
        const log = await open({ stream })
        await log.notices.announce('alice', new Uint8Array(1), 60_000)
        expect((await log.notices.read()).map(({ member }) => member)).toEqual(['alice'])
      },
    )

    test('takes members of any name, and refuses a TTL beyond what it keeps', async () => {
      const log = await open()
      const names = ['12D3KooW', 'a.b.c', '*', '>', 'ü _x', '']
      for (const name of names) await log.notices.announce(name, new TextEncoder().encode(name), 60_000)
      const notices = await log.notices.read()
      expect(notices.map(({ member }) => member).sort()).toEqual([...names].sort())
      await expect(log.notices.announce('a', new Uint8Array(1), 2 ** 31)).rejects.toThrow(RangeError)
    })
  })

  describe('the connection', () => {
    test('reports when it is lost and when it is back', async () => {
      const log = await open()
      const told: boolean[] = []
      log.connection!.onChange((is) => told.push(is))
      await nats.kill()
      await connected(log, false)
      await nats.start()
      await connected(log, true)
      expect(told).toEqual([false, true])
      expect((await log.bounds()).newest.index).toBe(0)
    })

    test('without an answer is LogUnavailable', async () => {
      const listener = createServer().listen(0, '127.0.0.1')
      await once(listener, 'listening')
      const { port } = listener.address() as { port: number }
      listener.close()
      const servers = `nats://127.0.0.1:${port}`
      await expect(open({ servers })).rejects.toThrow(LogUnavailable)
    })
  })
})
