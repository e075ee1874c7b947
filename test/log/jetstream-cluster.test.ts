import { setTimeout as delay } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Link } from '../../src/log/jetstream/link.ts'
import { OwnStream } from '../../src/log/jetstream/own-stream.ts'
import { jetstreamLog } from '../../src/log/jetstream.ts'
import type { Log, LogConnection } from '../../src/log/log.ts'
import { isWhole } from '../../src/processes/nats-meta-group.ts'
import { type NatsServer, type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { conformance } from './conformance.ts'
import { commands, Follower, failureOf, init, numbers, readAll, text } from './entries.ts'
import { describeNatsClusters, natsHarness, wipe } from './nats.ts'
import { TcpProxy } from './tcp-proxy.ts'

// If all servers were killed, they need ten seconds and more to go on. Some of these tests do that twice.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

/** How long the publisher waits for an acknowledgement before it publishes again. */
const ACK_MS = 5_000

/** Resolves when the connection is lost or back. */
function change(connection: LogConnection): Promise<void> {
  return new Promise((resolve) => {
    const off = connection.onChange(() => {
      off()
      resolve()
    })
  })
}

/** A log that is closed at the end of its test. */
class Opened implements AsyncDisposable {
  readonly log: Log

  static async on(
    nats: NatsServers,
    stream: string,
    servers: string | string[] = nats.urls,
  ): Promise<Opened> {
    const options = { servers, stream, replicas: 3, connection: { ignoreClusterUpdates: true } } as const
    return new Opened(await jetstreamLog(options).open(init()))
  }

  private constructor(log: Log) {
    this.log = log
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log.close()
  }
}

describeNatsClusters('three servers', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers({ servers: 3 })
  })
  afterAll(() => nats?.stop())

  test('a server that lost the majority counts as lost, and writes meanwhile are there in the end', async () => {
    const [survivor, ...others] = nats.servers
    const backend = jetstreamLog({ servers: survivor!.url, stream: 'majority', replicas: 3 })
    const log = await backend.open(init())
    const follower = new Follower(log)
    await log.append(commands('before'))
    expect(text((await follower.next())!)).toBe('before')
    const next = follower.next()

    await Promise.all(others.map((server) => server.kill()))
    while (log.connection!.connected) await change(log.connection!)
    const append = log.append(commands('meanwhile'))
    await nats.start()
    while (!log.connection!.connected) await change(log.connection!)
    expect(await append).toMatchObject({ first: 2, last: 2 })
    expect(text((await next)!)).toBe('meanwhile')
    await log.close()
    await wipe(nats)
  })

  test('appends that lack a majority for a while are under way, not refused: all are in the log, once', async () => {
    await using log = await Opened.on(nats, 'a-while')
    await log.log.append(commands('0'))
    const leader = await leaderOf('a-while')
    const others = nats.servers.filter((server) => server !== leader)
    const client = await jetstreamLog({ servers: leader.url, stream: 'a-while' }).open(init())
    for (const server of others) server.pause()
    const appends = numbers(1, 120).map((n) => client.append(commands(n)))
    // Long enough that each entry is published again, and the leader recognises it.
    await delay(ACK_MS + 2_500)
    for (const server of others) server.resume()
    const placed = await Promise.all(appends)
    await client.close()
    const entries = await readAll(log.log)
    expect(entries.length).toBe(121)
    placed.forEach(({ first }, n) => {
      expect(text(entries[first - 1]!)).toBe(String(n + 1))
    })
  })

  describe('a follower that got other entries than the leader has', () => {
    /**
     * Reports another entry than the stream's leader has, like a server whose copy of the stream came apart.
     */
    async function forked(isForked: () => boolean): Promise<TcpProxy> {
      const proxy = await TcpProxy.to(nats.urls[0]!)
      proxy.toClient = (bytes) => {
        if (!isForked() || !bytes.includes('stream_msg_get_response')) return bytes
        const altered = bytes.toString('latin1').replace(/"data":"([^"]+)"/, (_, data: string) => {
          const entry = Buffer.from(data, 'base64')
          // The id's last byte: the payload after it is one digit here.
          entry[entry.length - 2]! ^= 1
          return `"data":"${entry.toString('base64')}"`
        })
        return Buffer.from(altered, 'latin1')
      }
      return proxy
    }

    test('learns within seconds that the log was rewound', async () => {
      let isForked = false
      await using proxy = await forked(() => isForked)
      await using log = await Opened.on(nats, 'forked', proxy.url)
      const follower = new Follower(log.log)
      await log.log.append(commands('1', '2'))
      await follower.take(2)
      isForked = true
      const began = performance.now()
      const failure = await follower.failure()
      // Either entry: both are samples if they came more than 100 ms apart.
      expect(failure).toMatchObject({ name: 'LogRewound', index: expect.toBeOneOf([1, 2]) })
      expect(performance.now() - began).toBeLessThan(10_000)
      expect(await failureOf(readAll(log.log, { index: 2, id: 'other' }))).toMatchObject({
        name: 'LogRewound',
      })
    })

    test('goes on if only a deposed leader reported them', async () => {
      let forkedUntil = 0
      await using proxy = await forked(() => performance.now() < forkedUntil)
      await using log = await Opened.on(nats, 'deposed', proxy.url)
      const follower = new Follower(log.log)
      await log.log.append(commands('1', '2'))
      await follower.take(2)
      forkedUntil = performance.now() + 2_000
      await delay(4_000)
      await log.log.append(commands('3'))
      expect(text((await follower.next())!)).toBe('3')
      follower.stop()
    })
  })

  test('servers too old for a replicated log cause a warning for each version; one server does not', async () => {
    await using proxy = await TcpProxy.to(nats.urls[0]!)
    const version = '2.9.10'
    proxy.toClient = (bytes) =>
      Buffer.from(
        bytes.toString('latin1').replace(/^(INFO .*"version":)"[^"]*"/gm, `$1"${version}"`),
        'latin1',
      )
    const problems: Error[] = []
    const options = { servers: proxy.url, connection: { ignoreClusterUpdates: true } }
    const onProblem = (error: Error) => problems.push(error)
    const single = await jetstreamLog({ ...options, stream: 'single' }).open(init({ onProblem }))
    await single.close()
    expect(problems).toEqual([])
    const log = await jetstreamLog({ ...options, stream: 'outdated', replicas: 3 }).open(init({ onProblem }))
    expect(problems).toMatchObject([{ name: 'ServersOutdated', version }])
    expect(problems[0]!.message).toContain(proxy.url)
    proxy.cut()
    await change(log.connection!)
    while (!log.connection!.connected) await change(log.connection!)
    await log.append(commands('used all the same'))
    expect(problems.length).toBe(1)
    await log.close()
  })

  test('servers are whole while their leader knows that all are there, and started ones are', async () => {
    const { servers } = nats
    expect(await isWhole(servers, true)).toBe(true)
    await servers[0]!.kill('SIGTERM')
    expect(await isWhole(servers, false)).toBe(false)
    await nats.start()
    expect(await isWhole(servers, false)).toBe(true)
  })

  describe('a new stream, while a server is away that is to keep it,', () => {
    /** The servers refuse the first streams with this answer. They have never heard of the other two of five. */
    async function refusing(times: number, onRefused = () => {}) {
      const proxy = await TcpProxy.to(nats.urls[0]!)
      let refused = 0
      proxy.toServer = (bytes) => {
        const text = bytes.toString('latin1')
        if (refused >= times || !text.includes('STREAM.CREATE.')) return bytes
        return Buffer.from(text.replace('"num_replicas":3', '"num_replicas":5'), 'latin1')
      }
      proxy.toClient = (bytes) => {
        const text = bytes.toString('latin1')
        const [, answer] = /^MSG .*\r\n(.*"err_code":10005.*)\r\n/m.exec(text) ?? []
        if (answer === undefined) return bytes
        refused++
        onRefused()
        const offline = answer.replace('for placement"', 'for placement, peer offline"')
        const size = (head: string) => head.replace(/\d+$/, String(offline.length))
        return Buffer.from(text.replace(answer, offline).replace(/^MSG .*(?=\r)/m, size), 'latin1')
      }
      return Object.assign(proxy, { refused: () => refused })
    }

    test('is tried again', async () => {
      await using proxy = await refusing(2)
      await using log = await Opened.on(nats, 'refused', proxy.url)
      expect((await log.log.append(commands('1'))).first).toBe(1)
      expect(proxy.refused()).toBe(2)
    })

    test('is given up after half a minute, and the error says what to do', async () => {
      const clock = new VirtualClock()
      await using proxy = await refusing(Number.POSITIVE_INFINITY, () => clock.advance(15_000))
      const link = await Link.open({ servers: proxy.url, connection: { ignoreClusterUpdates: true }, clock })
      const options = { name: 'given-up', create: true, replicas: 3, duplicateWindowMs: 1_000 } as const
      const failure = await failureOf(OwnStream.open(link, init(), options))
      await link.close()
      expect(failure).toMatchObject({ name: 'LogUnavailable' })
      expect(String(failure)).toContain('peer offline: a new stream needs all its servers; start those')
      expect(proxy.refused()).toBe(2)
    })

    test('is refused at once if there are too few servers', async () => {
      const options = { servers: nats.urls, stream: 'too-few', replicas: 5 } as const
      await expect(jetstreamLog(options).open(init())).rejects.toMatchObject({ name: 'LogRefused' })
    })
  })

  async function leaderOf(stream: string): Promise<NatsServer> {
    const nc = await connect({ servers: nats.urls })
    try {
      const { cluster } = await (await jetstreamManager(nc)).streams.info(stream)
      return nats.servers.find(({ name }) => name === cluster?.leader)!
    } finally {
      await nc.close()
    }
  }

  conformance(
    'jetstreamLog',
    natsHarness(() => nats, 3),
  )
})
