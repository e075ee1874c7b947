import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { jetstreamLog } from '../../src/log/jetstream.ts'
import type { LogConnection } from '../../src/log/log.ts'
import { type NatsServers, startNatsServers } from '../../src/testing/nats-servers.ts'
import { conformance } from './conformance.ts'
import { commands, Follower, init, text } from './entries.ts'
import { describeNats, natsPlace, wipe } from './nats.ts'

// Servers that were all killed need ten seconds and more to go on, twice in some of these.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

/** Resolves when the connection is lost, or there again. */
function change(connection: LogConnection): Promise<void> {
  return new Promise((resolve) => {
    const off = connection.onChange(() => {
      off()
      resolve()
    })
  })
}

describeNats('three servers', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers({ servers: 3 })
  })
  afterAll(() => nats?.stop())

  test('a server that lost the majority counts as lost, and what was written meanwhile is there in the end', async () => {
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
    expect(await append).toEqual({ first: 2, last: 2 })
    expect(text((await next)!)).toBe('meanwhile')
    await log.close()
    await wipe(nats)
  })

  conformance('jetstreamLog', () => natsPlace(nats, 3))
})
