import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { ListenFailed } from '../../src/error-classes.ts'
import { createReplica, type MapResult, memoryLog, type ReplicaInit, ReplicatedMap } from '../../src/index.ts'
import { leads } from './cluster.ts'

const PEER = '12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcqzMcHcCTLLRSR'

function start(more: Partial<ReplicaInit<MapResult>>) {
  return createReplica({ group: 'addresses', machine: new ReplicatedMap(), log: memoryLog(), ...more })
}

test('what is announced is what others hear, with the peer it belongs to', async () => {
  const announce = ['/dns4/replica.example/tcp/4001', '/ip6/2001:db8::7/tcp/4002']
  await using replica = await start({ announce })
  const expected = announce.map((address) => `${address}/p2p/${replica.id}`)
  expect(replica.addresses).toEqual(expected)
  await replica.inSync()
  expect(replica.members).toMatchObject([{ id: replica.id, addresses: expected }])
})

test.each([
  [{ listen: ['localhost:4001'] }, 'listen has "localhost:4001"; give a multiaddr'],
  [{ announce: ['203.0.113.7:4001'] }, 'announce has "203.0.113.7:4001"; give a multiaddr'],
  [{ announce: ['/ip4/0.0.0.0/tcp/4001'] }, 'nobody can dial'],
  [{ announce: ['/ip6/::/tcp/4001'] }, 'nobody can dial'],
  [{ announce: ['/ip4/203.0.113.7/tcp/0'] }, 'nobody can dial'],
  [{ announce: [`/ip4/203.0.113.7/tcp/4001/p2p/${PEER}`] }, 'names another peer'],
])('%j is refused', async (addresses, why) => {
  const error = await start(addresses).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(RangeError)
  expect((error as Error).message).toContain(why)
})

test('an address that cannot be listened on is named, and nothing else', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const inUse = `/ip4/127.0.0.1/tcp/${port}`
  const notOurs = '/ip4/203.0.113.7/tcp/0'
  // Of no transport: libp2p alone would listen on the other and say nothing.
  const udp = '/ip4/127.0.0.1/udp/4001'
  try {
    for (const address of [inUse, notOurs, udp]) {
      const error = await start({ listen: ['/ip4/127.0.0.1/tcp/0', address] }).catch(
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(ListenFailed)
      expect(error).toMatchObject({ name: 'ListenFailed', addresses: [address] })
      expect((error as Error).message).toMatch(/^this replica cannot listen on [^\n]+$/)
      expect((error as Error).message).not.toContain('    at ')
    }
  } finally {
    server.close()
  }
})

test('a process whose replica was stopped ends at once', async () => {
  const program = fileURLToPath(new URL('stopping-process.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [program])
  // libp2p's own timer would keep it for a second.
  expect(Number(stdout)).toBeLessThan(500)
})

describe('of the addresses that a provider announces, a joiner finds the one that leads there', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  /** It takes connections and says nothing, as a cable to nowhere would. */
  async function silent(): Promise<string> {
    const server = createServer((socket) => void socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    return `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`
  }

  /** A port that is free, for now. */
  async function free(): Promise<string> {
    const address = await silent()
    servers.pop()!.close()
    return address
  }

  test.each<[what: string, others: () => Promise<string[]>]>([
    ['that is silent', async () => [await silent()]],
    ['that are silent, all six', () => Promise.all(Array.from({ length: 6 }, silent))],
    ['where nobody listens', async () => [await free()]],
    [
      'of a network that cannot be reached',
      async () => ['/ip6/2001:db8::1/tcp/4001', '/ip4/192.0.2.1/tcp/4001'],
    ],
    ['with a name that nobody knows', async () => ['/dns4/replica.invalid/tcp/4001']],
  ])('after those %s', async (_what, others) => {
    const log = memoryLog()
    const address = await free()
    const announce = [...(await others()), address]
    const map = new ReplicatedMap<string, number>()
    await using leader = await start({ log, machine: map, volatile: true, listen: [address], announce })
    await leads(leader)
    for (let n = 0; n < 30; n++) await map.set('key', n)
    await leader.prune({ keepEntries: 0 })
    const copy = new ReplicatedMap<string, number>()
    await using joiner = await start({ log, machine: copy, volatile: true, lead: false })
    const beganMs = performance.now()
    await joiner.inSync()
    expect(performance.now() - beganMs).toBeLessThan(5_000)
    expect(copy.get('key')).toBe(29)
  })
})
