import { cpSync, rmSync } from 'node:fs'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { describe } from 'vitest'
import { CLUSTER_VERSION_MIN } from '../../src/log/jetstream/server-version.ts'
import { type JetstreamLogOptions, jetstreamLog } from '../../src/log/jetstream.ts'
import type { LogBackend } from '../../src/log/log.ts'
import {
  findNatsServer,
  isFitForClusters,
  type NatsServers,
  natsServerVersion,
} from '../../src/processes/nats-servers.ts'
import type { LogHarness, LogPlaceUnderTest } from '../../src/testing/log/harness.ts'
import { init } from './entries.ts'
import { describeInstalled } from './installed.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** CI sets it: a missing server is then a failure. */
const REQUIRED = process.env.REQUIRE_NATS === '1'

/**
 * Tests that need `nats-server`. If it is missing, they are skipped with a message, or fail if it is
 * required.
 */
export function describeNats(name: string, tests: () => void): void {
  describeInstalled('nats-server', findNatsServer() !== undefined || REQUIRED, name, tests)
}

/** CI sets it when it could install a newer server than Debian's: an old server is then a failure. */
const CLUSTERS_REQUIRED = process.env.REQUIRE_NATS_CLUSTERS === '1'

/**
 * Tests that need several servers that keep one stream. Their version must keep what it acknowledges. With an
 * older version they are skipped with a message, or run all the same if CI requires it.
 */
export function describeNatsClusters(name: string, tests: () => void): void {
  const program = findNatsServer()
  const version = program && natsServerVersion(program)
  if (program === undefined || isFitForClusters(version) || CLUSTERS_REQUIRED)
    return describeNats(name, tests)
  console.warn(
    `SKIPPED, because ${program} is ${version} and clusters need ${CLUSTER_VERSION_MIN} (NATS_SERVER names another): ${name}`,
  )
  describe.skip(name, tests)
}

/** For the conformance suite, on running servers. A place is without what an earlier test left. */
export function natsHarness(nats: () => NatsServers, replicas: 1 | 3): LogHarness {
  const at = (servers: NatsServers) => ({
    backend: (options: JetstreamLogOptions) => jetstreamLog({ ...options, stream: 'a-log', replicas }),
    empty: () => clear(servers),
  })
  return { make: () => natsPlace(nats(), at(nats())) }
}

/** What is at a place on running servers. */
export interface NatsPlaceInit {
  /** @param options of the servers, and limits that are small enough for tests */
  backend(options: JetstreamLogOptions): LogBackend
  /** Remove what an earlier test left, and make what the log needs. */
  empty(): Promise<void>
}

/** Every handle comes by proxies, and the servers do not tell it how to get around them. */
export async function natsPlace(nats: NatsServers, at: NatsPlaceInit): Promise<LogPlaceUnderTest> {
  await at.empty()
  const proxies = await Promise.all(nats.urls.map((url) => TcpProxy.to(url)))
  const backend = () =>
    at.backend({
      servers: proxies.map(({ url }) => url),
      connection: { ignoreClusterUpdates: true },
      maxEntryBytes: 100_000,
      pollMs: 100,
    })
  let wereKilled = false
  return {
    backend: backend(),
    reopen: backend,
    async recreate() {
      await at.empty()
      await (await backend().open(init())).close()
    },
    async save() {
      wereKilled = true
      await nats.kill('SIGTERM')
      for (const { storeDir } of nats.servers) cpSync(storeDir, `${storeDir}.copy`, { recursive: true })
      await nats.start()
      return async () => {
        await nats.kill()
        for (const { storeDir } of nats.servers) {
          rmSync(storeDir, { recursive: true })
          cpSync(`${storeDir}.copy`, storeDir, { recursive: true })
        }
        await nats.start()
      }
    },
    async cutOff() {
      const ends = proxies.map((proxy) => proxy.block())
      return async () => {
        for (const end of ends) end()
      }
    },
    async dispose() {
      for (const proxy of proxies) await proxy[Symbol.asyncDispose]()
      for (const { storeDir } of nats.servers) rmSync(`${storeDir}.copy`, { recursive: true, force: true })
      if (wereKilled) await wipe(nats)
    },
  }
}

/** Restart the servers, empty. */
export async function wipe(nats: NatsServers): Promise<void> {
  await nats.kill()
  for (const { storeDir } of nats.servers) rmSync(storeDir, { recursive: true })
  await nats.start()
}

/** Delete every stream. */
export async function clear(nats: NatsServers): Promise<void> {
  const nc = await connect({ servers: nats.urls })
  try {
    const jsm = await jetstreamManager(nc)
    for await (const { config } of jsm.streams.list()) await jsm.streams.delete(config.name)
  } finally {
    await nc.close()
  }
}
