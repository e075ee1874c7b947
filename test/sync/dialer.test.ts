import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer, type LookupFunction, type Server } from 'node:net'
import { pipeline } from 'node:stream'
import { noise } from '@chainsafe/libp2p-noise'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p, type Libp2pOptions } from 'libp2p'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeNetworkKey } from '../../src/replica/node/network-key.ts'
import { Dialer, type DialerComponents } from '../../src/sync/dialer.ts'

type Node = Libp2p<{ dialer: Dialer }>

let provider: Node
let joiner: Node
let nodes: Node[]
let servers: Server[]

async function start(options: Partial<Libp2pOptions> = {}): Promise<Node> {
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    ...options,
    services: { dialer: (components: DialerComponents) => new Dialer(components) },
  })
  nodes.push(node)
  return node
}

/** A server that takes connections and never says a word, as a cable to nowhere would. */
async function silent(): Promise<string> {
  const server = createServer((socket) => void socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`
}

/** Where nobody listens. */
async function closed(): Promise<string> {
  const address = await silent()
  servers.pop()!.close()
  return address
}

const addressOf = (node: Node) => node.getMultiaddrs()[0]!.toString()
const bare = (node: Node) => addressOf(node).replace(/\/p2p\/.*/, '')
const within = (ms: number) => AbortSignal.timeout(ms)
const connect = (addresses: readonly string[], signal = within(5_000), from = joiner) =>
  from.services.dialer.connect(provider.peerId, addresses, signal)
const failure = async (addresses: readonly string[], ms: number, from = joiner) =>
  (await connect(addresses, within(ms), from).catch((error: Error) => error)) as Error

beforeEach(async () => {
  nodes = []
  servers = []
  provider = await start()
  joiner = await start()
})

afterEach(async () => {
  await Promise.all(nodes.map((node) => node.stop()))
  for (const server of servers) server.close()
})

describe('of several addresses the one that leads to the peer is found', () => {
  test.each<[what: string, others: () => Promise<string[]>, withinMs: number]>([
    ['after one that is silent', async () => [await silent()], 1_500],
    ['after five that are silent', () => Promise.all(Array.from({ length: 5 }, silent)), 3_000],
    ['after one where nobody listens', async () => [await closed()], 200],
    ['after one that another peer has', async () => [bare(await start())], 1_000],
    [
      'after one of another machine, that cannot be routed to',
      async () => ['/ip6/2001:db8::1/tcp/4001'],
      1_500,
    ],
    [
      'among what nobody can dial',
      async () => [
        'nonsense',
        '/ip4/0.0.0.0/tcp/4001',
        '/ip4/127.0.0.1/tcp/0',
        '/ip4/127.0.0.1/udp/4001',
        addressOf(joiner),
      ],
      200,
    ],
  ])('%s', async (_what, others, withinMs) => {
    const before = await others()
    const beganMs = performance.now()
    const connection = await connect([...before, bare(provider)])
    expect(performance.now() - beganMs).toBeLessThan(withinMs + 500)
    expect(connection.remotePeer.equals(provider.peerId)).toBe(true)
    // The others are given up, and not the one that won.
    await connection
      .newStream('/ipfs/ping/1.0.0')
      .catch(({ name }) => expect(name).toBe('UnsupportedProtocolError'))
    expect(connection.status).toBe('open')
    expect(joiner.getConnections(provider.peerId)).toEqual([connection])
    expect(await connect(before)).toBe(connection)
  })

  test('where several lead there, one connection stays', async () => {
    provider = await start({ addresses: { listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0'] } })
    const addresses = provider.getMultiaddrs().map(String)
    expect(addresses).toHaveLength(2)
    const connection = await connect([...addresses, ...addresses])
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(joiner.getConnections(provider.peerId)).toEqual([connection])
    expect(provider.getConnections(joiner.peerId)).toHaveLength(1)
  })
})

describe('names', () => {
  /** A resolver that a test decides about. */
  async function startWith(lookup: LookupFunction): Promise<Node> {
    return await start({ transports: [tcp({ dialOpts: { lookup } as never })] })
  }
  const named = () => bare(provider).replace('/ip4/127.0.0.1/', '/dns4/provider.example/')

  test('one that never resolves keeps no other address waiting', async () => {
    joiner = await startWith(() => {})
    const beganMs = performance.now()
    await connect([named(), bare(provider)])
    expect(performance.now() - beganMs).toBeLessThan(1_500)
  })

  test('one that resolves late leads there, though others have failed by then', async () => {
    joiner = await startWith((_name, options, callback) => {
      setTimeout(() => {
        if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }])
        else callback(null, '127.0.0.1', 4)
      }, 800)
    })
    const connection = await connect([await closed(), named()])
    expect(connection.remotePeer.equals(provider.peerId)).toBe(true)
  })

  test('one that does not resolve yet is asked for anew by the next dial', async () => {
    let isKnown = false
    joiner = await startWith((name, options, callback) => {
      if (!isKnown) return callback(Object.assign(new Error(`ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), '')
      if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }])
      else callback(null, '127.0.0.1', 4)
    })
    expect((await failure([named()], 5_000)).message).toMatch(
      /dns4\/provider.example\/\S+ has a name that does not resolve/,
    )
    isKnown = true
    await connect([named()])
  })

  test('localhost, as the system resolves it', async () => {
    await connect([bare(provider).replace('/ip4/127.0.0.1/', '/dns4/localhost/')])
  })
})

describe('when none leads there, what became of each is told', () => {
  test('at the end of the time', async () => {
    const [one, two, three] = [await silent(), await closed(), bare(await start())]
    const error = await failure([one, two, three], 800)
    const silence =
      'accepts the connection and does not finish the handshake: it hangs, or has another network key'
    expect(error.message).toContain(
      `${one} ${silence}, ${two} refuses the connection, ${three} is another peer`,
    )
  })

  test('at once, where all have failed', async () => {
    const beganMs = performance.now()
    const [one, two] = [await closed(), await closed()]
    const error = await failure([one, two], 5_000)
    expect(error.message).toBe(`${one} refuses the connection, ${two} refuses the connection`)
    expect(performance.now() - beganMs).toBeLessThan(1_000)
  })

  test('what a connection gater denies is not dialled', async () => {
    const gater = (denied: 'peer' | 'address') =>
      start({
        connectionGater: {
          denyDialPeer: () => denied === 'peer',
          denyDialMultiaddr: () => denied === 'address',
        },
      })
    for (const denied of ['peer', 'address'] as const) {
      expect((await failure([bare(provider)], 5_000, await gater(denied))).message).toContain(
        'connection gater',
      )
    }
  })
})

describe('those who want the same peer at once', () => {
  test('share one dial, which one of them may leave', async () => {
    const slow = await silent()
    const leaving = new AbortController()
    const left = connect([slow, bare(provider)], leaving.signal).catch((error: Error) => error)
    const stays = connect([slow, bare(provider)])
    leaving.abort(new Error('it is not wanted any more'))
    expect(((await left) as Error).message).toContain('it is not wanted any more')
    const connection = await stays
    expect(joiner.getConnections(provider.peerId)).toEqual([connection])
  })

  test('begin a new one where the peer has other addresses by then', async () => {
    const slow = await silent()
    const leaving = new AbortController()
    const left = connect([slow], leaving.signal).catch(() => {})
    leaving.abort(new Error('it is not wanted any more'))
    await left
    await connect([bare(provider)])
  })
})

describe('another network key', () => {
  const KEYS = [makeNetworkKey(), makeNetworkKey()]
  const startWith = (key: Uint8Array | undefined) =>
    start(key === undefined ? {} : { connectionProtector: preSharedKey({ psk: key }) })

  test.each([
    ['of the peer', KEYS[0], KEYS[1], 'it has another network key than this replica, or none'],
    [
      'of this replica, where the peer has none',
      KEYS[0],
      undefined,
      'it has another network key than this replica, or none',
    ],
    [
      'of the peer, where this replica has none',
      undefined,
      KEYS[1],
      'it has a network key, and this replica has none',
    ],
  ])(
    '%s is told from silence',
    async (_whose, own, theirs, why) => {
      joiner = await startWith(own)
      provider = await startWith(theirs)
      const addresses = [bare(provider)]
      // By chance what it takes for our greeting is long, and it waits for the rest.
      for (let n = 0; n < 40; n++) {
        const error = await failure(addresses, 200)
        if (error.name !== 'HandshakeFailed') continue
        expect(error.message).toContain(why)
        return
      }
      expect.unreachable('it was never told')
    },
    30_000,
  )

  test('is not what one handshake that breaks off means', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    const address = `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`
    expect((await failure([address], 2_500)).name).toBe('Error')
    await connect([bare(provider)])
    await joiner.hangUp(provider.peerId)
    expect((await failure([address], 2_500)).name).toBe('Error')
    expect((await failure([address], 2_500)).name).toBe('HandshakeFailed')
  })
})

test('a node that stops while it dials leaves no connection behind, however far the dial is', async () => {
  for (let turns = 0; turns <= 40; turns += 2) {
    const from = await start()
    const dialled = connect([bare(provider)], within(5_000), from)
    const status = dialled.then(
      (connection) => () => connection.status,
      () => () => 'none',
    )
    for (let n = 0; n < turns; n++) await new Promise((resolve) => setImmediate(resolve))
    await from.stop()
    expect((await status)()).not.toBe('open')
    await expect(connect([bare(provider)], within(5_000), from)).rejects.toThrow('this node stops')
  }
})

test('after a dial that was given up, the next goes on without its caller: who asks again gets what it came to', async () => {
  const port = Number(bare(provider).split('/tcp/')[1])
  const goOn = Promise.withResolvers<void>()
  let connections = 0
  const busy = createServer((socket) => {
    connections++
    socket.on('error', () => {})
    void goOn.promise.then(() => pipeline(socket, createConnection(port, '127.0.0.1'), socket, () => {}))
  }).listen(0, '127.0.0.1')
  servers.push(busy)
  await once(busy, 'listening')
  const address = `/ip4/127.0.0.1/tcp/${(busy.address() as AddressInfo).port}`
  for (const begun of [1, 2]) {
    expect((await failure([address], 200)).message).toContain('does not finish the handshake')
    expect(connections).toBe(begun)
  }
  goOn.resolve()
  expect((await connect([address])).remotePeer.equals(provider.peerId)).toBe(true)
  expect(connections).toBe(2)
})
