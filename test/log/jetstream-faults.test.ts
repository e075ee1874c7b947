import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  AppendUncertain,
  EntryTooLarge,
  EpochChanged,
  LogMismatch,
  LogMissing,
  LogRefused,
  LogUnavailable,
} from '../../src/log/errors.ts'
import { streamName } from '../../src/log/jetstream/names.ts'
import { type JetstreamLogOptions, jetstreamLog } from '../../src/log/jetstream.ts'
import type { Log, LogInit } from '../../src/log/log.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { allowFault } from '../setup/strict.ts'
import { commands, Follower, failureOf, init, numbers, readAll, text } from './entries.ts'
import { describeNats } from './nats.ts'
import { TcpProxy } from './tcp-proxy.ts'

const LARGE = 262_144
const SMALL = 65_536

const MIB = 1024 * 1024

describeNats('what a server and its client may do to a log', () => {
  let nats: NatsServers
  let group: string
  let opened: Log[]

  beforeAll(async () => {
    nats = await startNatsServers({ config: `max_payload: ${LARGE}` })
  })
  beforeEach(() => {
    group = randomUUID()
    opened = []
  })
  afterEach(async () => {
    for (const server of nats.servers) server.resume()
    await nats.start()
    await Promise.all(opened.map((log) => log.close()))
  })
  afterAll(() => nats?.stop())

  async function open(
    options: Partial<JetstreamLogOptions> = {},
    overrides: Partial<LogInit> = {},
  ): Promise<Log> {
    const log = await jetstreamLog({ servers: nats.urls, ...options }).open(init({ group, ...overrides }))
    opened.push(log)
    return log
  }

  const connected = (log: Log, wanted: boolean) =>
    new Promise<void>((resolve) => {
      if (log.connection!.connected === wanted) resolve()
      else log.connection!.onChange((is) => is === wanted && resolve())
    })

  describe('a server that comes back with a smaller max_payload', () => {
    const large = [{ kind: 'command', payload: new Uint8Array(200_000) }] as const

    function limit(bytes: number): void {
      const file = join(nats.dir, 'nats-1', 'nats.conf')
      writeFileSync(file, readFileSync(file, 'utf8').replace(/max_payload: \d+/, `max_payload: ${bytes}`))
    }

    afterEach(async () => {
      await nats.kill()
      limit(LARGE)
      await nats.start()
    })

    test('refuses larger entries, new and waiting ones, with EntryTooLarge; small entries go on', async () => {
      const log = await open()
      await log.append(large)
      const before = log.maxEntryBytes
      await nats.kill()
      await connected(log, false)
      expect(log.maxEntryBytes).toBe(before)
      const waiting = failureOf(log.append(large))
      const small = log.append(commands('small'))
      limit(SMALL)
      await nats.start()
      expect(await waiting).toBeInstanceOf(EntryTooLarge)
      await small
      expect(log.maxEntryBytes).toBe(before - LARGE + SMALL)
      expect(await failureOf(log.append(large))).toMatchObject({
        bytes: 200_000,
        maxBytes: log.maxEntryBytes,
      })
      const notice = log.notices.announce('alice', new Uint8Array(100_000), 1_000)
      expect(await failureOf(notice)).toBeInstanceOf(EntryTooLarge)
      expect((await readAll(log)).length).toBe(2)
    })

    test('still delivers earlier entries of any size, and those after them', async () => {
      await nats.kill()
      limit(8 * MIB)
      await nats.start()
      const sizes = [10, 7 * MIB, 7 * MIB, 5 * MIB, 10, 6 * MIB, 10]
      const writer = await open()
      for (const bytes of sizes) await writer.append([{ kind: 'command', payload: new Uint8Array(bytes) }])
      await nats.kill()
      limit(SMALL)
      await nats.start()
      const log = await open()
      expect((await readAll(log)).map(({ payload }) => payload.byteLength)).toEqual(sizes)
      const follower = new Follower(log)
      expect((await follower.take(sizes.length)).at(-1)!.index).toBe(sizes.length)
      follower.stop()
    })

    test('leaves the appends that were on their way uncertain, and nothing in flight', async () => {
      const log = await open()
      await log.append(commands('first'))
      nats.servers[0]!.pause()
      const sent = failureOf(log.append([...commands('sent with it'), ...large]))
      await nats.kill()
      limit(SMALL)
      await nats.start()
      const failure = await sent
      expect(failure).toBeInstanceOf(AppendUncertain)
      expect(failure).toMatchObject({ cause: { name: 'EntryTooLarge' } })
      // A message that stays in flight would keep the log from closing for five seconds.
      const began = performance.now()
      await log.close()
      expect(performance.now() - began).toBeLessThan(2_000)
    })
  })

  describe('a connection that is cut while the servers make a consumer', () => {
    async function cutting(times: number): Promise<TcpProxy> {
      const proxy = await TcpProxy.to(nats.urls[0]!)
      let left = times
      proxy.toServer = (bytes) => (bytes.includes('CONSUMER.CREATE') && left-- > 0 ? 'cut' : bytes)
      return proxy
    }

    test('is no error of follow() and read(): they go on', async () => {
      await (await open()).append(commands(...numbers(1, 10)))
      await using proxy = await cutting(3)
      const log = await open({ servers: proxy.url })
      expect((await new Follower(log).take(10)).map(text)).toEqual(numbers(1, 10))
      await using another = await cutting(2)
      expect((await readAll(await open({ servers: another.url }))).map(text)).toEqual(numbers(1, 10))
    })

    test('is no error of the presence store', async () => {
      await (await open()).notices.announce('alice', new Uint8Array(1), 60_000)
      await using proxy = await cutting(2)
      const { notices } = await open({ servers: proxy.url })
      for await (const board of notices.watch()) {
        expect(board.map(({ member }) => member)).toEqual(['alice'])
        break
      }
    })
  })

  test('one consumer delivers any number of entries', async () => {
    const writer = await open()
    for (let n = 0; n < 10; n++) await writer.append(commands(...numbers(1, 1_000)))
    await using proxy = await TcpProxy.to(nats.urls[0]!)
    let made = 0
    proxy.toServer = (bytes) => {
      if (bytes.includes('CONSUMER.CREATE')) made++
      return bytes
    }
    expect((await readAll(await open({ servers: proxy.url }))).length).toBe(10_000)
    expect(made).toBe(1)
  })

  test('a message that is no answer, on a subject for answers, does no harm', async () => {
    await using proxy = await TcpProxy.to(nats.urls[0]!)
    const garbage = ['', 'no JSON', 'null', '{"seq":"x"}', '{"error":{}}']
    let forged = 0
    proxy.toClient = (bytes) =>
      Buffer.from(
        bytes
          .toString('latin1')
          .replace(/^H?MSG (\S+) (\d+) .*\r$/gm, (line, subject: string, sid: string) => {
            const isDelivered = line.includes('$JS.ACK')
            if (forged > 20 || !(isDelivered || /\.[0-9a-z]$/.test(subject))) return line
            const texts = isDelivered ? [garbage[forged % garbage.length]!] : garbage
            forged += texts.length
            return texts.map((text) => `MSG ${subject} ${sid} ${text.length}\r\n${text}\r\n`).join('') + line
          }),
        'latin1',
      )
    const log = await open({ servers: proxy.url })
    const follower = new Follower(log)
    const began = performance.now()
    for (const n of numbers(1, 10)) await log.append(commands(n))
    expect((await follower.take(10)).map(text)).toEqual(numbers(1, 10))
    // An error from a callback ends the client's reading, until it misses two pings.
    expect(performance.now() - began).toBeLessThan(9_000)
    expect(forged).toBeGreaterThan(20)
  })

  test('a connection that is reset before its TLS handshake counts as lost', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'anchorage-nats-'))
    const caFile = join(dir, 'ca.pem')
    writeFileSync(caFile, '')
    const ends = new AbortController()
    let connections = 0
    const server = createServer((socket) => {
      const info = { server_id: 'x', version: '2.12.1', max_payload: LARGE, tls_required: true }
      socket.on('error', () => {})
      // Between the server's first words and the handshake the client reads files, for about a millisecond.
      const pauseMs = (connections++ % 8) / 4
      socket.write(`INFO ${JSON.stringify(info)}\r\n`, () =>
        setTimeout(() => socket.resetAndDestroy(), pauseMs),
      )
      if (connections === 16) ends.abort()
    }).listen(0, '127.0.0.1')
    try {
      await once(server, 'listening')
      const { port } = server.address() as { port: number }
      const options = { servers: `nats://127.0.0.1:${port}`, connection: { tls: { caFile } } }
      await Promise.all(Array.from({ length: 4 }, () => failureOf(open(options, { signal: ends.signal }))))
    } finally {
      server.close()
      rmSync(dir, { recursive: true })
    }
  })

  test('a listener of the connection that throws does not keep the others from being called', async () => {
    allowFault(/ ListenerFailed: /)
    const log = await open()
    const warned = once(process, 'warning')
    log.connection!.onChange(() => {
      throw new Error('thrown by a listener')
    })
    const lost = connected(log, false)
    await nats.kill()
    await lost
    const [warning] = await warned
    expect(warning).toMatchObject({ name: 'ListenerFailed' })
    await nats.start()
    await connected(log, true)
    await log.append(commands('goes on'))
  })

  describe('an error', () => {
    const password = 'hunter2'
    const withPassword = (url: string) => url.replace('//', `//ann:${password}@`)

    test.each<[string, (log: Log) => Promise<unknown>, unknown]>([
      [
        'of an entry that is too large',
        (log) => log.append([{ kind: 'command', payload: new Uint8Array(LARGE) }]),
        EntryTooLarge,
      ],
      [
        'of another group',
        () => open({ servers: withPassword(nats.urls[0]!), stream: 'named' }, { group: 'another' }),
        LogMismatch,
      ],
      [
        'of a log that is not there',
        () => open({ servers: withPassword(nats.urls[0]!), stream: 'named-not', create: false }),
        LogMissing,
      ],
      [
        'of what JetStream does not do',
        () => open({ servers: withPassword(nats.urls[0]!), stream: 'named-3', replicas: 3 }),
        LogRefused,
      ],
    ])('%s names the stream and the server, and no password', async (_, provoke, kind) => {
      const log = await open({ servers: withPassword(nats.urls[0]!), stream: 'named' }, { group: 'one' })
      const failure = await failureOf(provoke(log))
      expect(failure).toBeInstanceOf(kind)
      const { message } = failure as Error
      expect(message).toContain(nats.urls[0])
      expect(message).toContain('stream named')
      expect(message).not.toContain(password)
    })

    test('of a log that was made anew, and of servers that are gone, does so too', async () => {
      const log = await open({ servers: withPassword(nats.urls[0]!), duplicateWindowMs: 1_000 })
      const nc = await connect({ servers: nats.urls })
      await nc.request(`$JS.API.STREAM.DELETE.${streamName(group)}`)
      await nc.close()
      const gone = await failureOf(log.bounds())
      await nats.kill()
      await connected(log, false)
      const unavailable = await failureOf(log.append(commands('1')))
      expect(gone).toBeInstanceOf(EpochChanged)
      expect(unavailable).toBeInstanceOf(LogUnavailable)
      for (const failure of [gone, unavailable]) {
        expect(String(failure)).toContain(nats.urls[0])
        expect(String(failure)).toContain(streamName(group))
        expect(String(failure)).not.toContain(password)
      }
    })

    test('of wrong URLs repeats no password, even one with a comma', async () => {
      for (const servers of [
        'nats://ann:hunt,er2@host:4222',
        'http://ann:hunter2@host',
        'nats://ann:hunter2@',
      ]) {
        const failure = await failureOf(open({ servers }))
        expect(failure).toBeInstanceOf(RangeError)
        expect(String(failure)).not.toMatch(/hunt|er2/)
      }
    })
  })
})
