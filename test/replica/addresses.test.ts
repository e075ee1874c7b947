import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { createReplica, ListenFailed, memoryLog, type ReplicaInit, ReplicatedMap } from '../../src/index.ts'

const PEER = '12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcqzMcHcCTLLRSR'

function start(more: Partial<ReplicaInit<unknown>>) {
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
