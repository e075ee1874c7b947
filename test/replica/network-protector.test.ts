import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import type { ConnectionProtector } from '@libp2p/interface'
import { type Ping, ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { xsalsa20 } from '@noble/ciphers/salsa.js'
import fc from 'fast-check'
import { createLibp2p, type Libp2p } from 'libp2p'
import { Uint8ArrayList } from 'uint8arraylist'
import { afterEach, describe, expect, test } from 'vitest'
import { KeyStream } from '../../src/replica/node/key-stream.ts'
import { makeNetworkKey, type NetworkKeys, networkKeysIn } from '../../src/replica/node/network-key.ts'
import { NetworkProtector } from '../../src/replica/node/network-protector.ts'
import { ProtectedConnection } from '../../src/replica/node/protected-connection.ts'

type Node = Libp2p<{ ping: Ping }>
type Protected = () => ConnectionProtector

const nodes: Node[] = []
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
})

async function start(connectionProtector?: Protected, inboundUpgradeTimeout = 10_000): Promise<Node> {
  const node = await createLibp2p({
    connectionManager: { inboundUpgradeTimeout },
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    ...(connectionProtector && { connectionProtector }),
    services: { ping: ping() },
  })
  nodes.push(node)
  return node
}

const ours = (keys: NetworkKeys) => () => new NetworkProtector(networkKeysIn(keys))
const pnet = (psk: Uint8Array) => preSharedKey({ psk })
const keyIn = (content: Uint8Array) => networkKeysIn(content)[0]!
const [newest, older, other] = [makeNetworkKey(), makeNetworkKey(), makeNetworkKey()]

async function talk(from: Node, to: Node): Promise<void> {
  expect(await from.services.ping.ping(to.getMultiaddrs()[0]!)).toBeGreaterThanOrEqual(0)
}

describe('two nodes talk, whichever dials', () => {
  test.each<[string, Protected, Protected]>([
    ['one key, the same', ours(newest), ours(newest)],
    ['before a rotation and in it', ours(older), ours([newest, older])],
    ['both in a rotation', ours([newest, older]), ours([newest, older])],
    ['in a rotation and after it', ours([newest, older]), ours(newest)],
    ['two keys in another order', ours([newest, older]), ours([older, newest])],
    ["libp2p's own with the same key", pnet(newest), ours(newest)],
    ["libp2p's own before a rotation, and in it", pnet(older), ours([newest, older])],
  ])('%s', async (_what, one, two) => {
    const [a, b] = await Promise.all([start(one), start(two)])
    await talk(a, b)
    const gone = new Promise((resolve) => b.addEventListener('connection:close', resolve, { once: true }))
    await a.hangUp(b.peerId)
    await gone
    await talk(b, a)
  })
})

describe('two nodes do not talk', () => {
  test.each<[string, Protected | undefined, Protected]>([
    ['with another key', ours(other), ours([newest, older])],
    ['before and after a rotation', ours(older), ours(newest)],
    ["with another key of libp2p's own", pnet(other), ours([newest, older])],
    ['without a key', undefined, ours([newest, older])],
  ])('%s', async (_what, one, two) => {
    const [a, b] = await Promise.all([start(one), start(two)])
    const signal = () => ({ signal: AbortSignal.timeout(1_000) })
    await expect(a.dial(b.getMultiaddrs()[0]!, signal())).rejects.toThrow()
    await expect(b.dial(a.getMultiaddrs()[0]!, signal())).rejects.toThrow()
    expect([...a.getConnections(), ...b.getConnections()]).toEqual([])
  })
})

/** Somebody who knows the bytes on the wire, and dials. */
async function dialBare(node: Node): Promise<Socket> {
  const port = node
    .getMultiaddrs()[0]!
    .getComponents()
    .find(({ name }) => name === 'tcp')!.value!
  const socket = connect(Number(port), '127.0.0.1')
  await once(socket, 'connect')
  return socket.on('error', () => {})
}

/** A reset is an end, too. */
const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))

describe('somebody who dials', () => {
  test('with a wrong key is cut off at his first words, and told nothing but 24 random bytes', async () => {
    const socket = await dialBare(await start(ours([newest, older])))
    const said: Buffer[] = []
    socket.on('data', (bytes) => said.push(bytes))
    const over = closed(socket)
    const { secret } = keyIn(other)
    const nonce = new Uint8Array(24)
    socket.write(nonce)
    socket.write(xsalsa20(secret, nonce, Buffer.from('\x13/multistream/1.0.0\n\x07/noise\n')))
    await over
    expect(Buffer.concat(said)).toHaveLength(24)
  })

  test('without a key is cut off each time, whatever the 24 bytes seem to say to him', async () => {
    const [stranger, node] = await Promise.all([start(), start(ours(newest))])
    // With half of all nonces a dial without a key waits for more than was sent.
    for (let n = 0; n < 20; n++) {
      const cutOff = new AbortController()
      const dialled = stranger.dial(node.getMultiaddrs()[0]!, { signal: cutOff.signal })
      const limit = setTimeout(() => cutOff.abort(new Error('he waits in silence')), 5_000)
      await expect(dialled).rejects.toThrow(/^(?!.*silence)/)
      clearTimeout(limit)
    }
  })

  test('and says nothing is cut off when the time of inbound connections is up', async () => {
    const socket = await dialBare(await start(ours(newest), 300))
    socket.resume()
    await closed(socket)
  })

  test('and leaves in the middle of his nonce leaves nothing behind', async () => {
    const node = await start(ours(newest))
    const socket = await dialBare(node)
    socket.resume()
    socket.end(new Uint8Array(10))
    await closed(socket)
    await talk(await start(ours(newest)), node)
  })
})

describe('a nonce', () => {
  const [key, another] = [keyIn(newest), keyIn(older)]

  test('is told by the key that made it from those of other keys, and of none', () => {
    const nonce = key.makeNonce()
    expect(nonce).toHaveLength(24)
    expect([key.made(nonce), key.made(another.makeNonce())]).toEqual([true, false])
    expect(key.made(crypto.getRandomValues(new Uint8Array(24)))).toBe(false)
  })

  test('is another one each time', () => {
    const nonces = Array.from({ length: 1_000 }, () => Buffer.from(key.makeNonce()).toString('hex'))
    expect(new Set(nonces).size).toBe(1_000)
  })
})

test('however a stream is cut into pieces, it is encrypted as in one', () => {
  const key = keyIn(newest)
  const nonce = key.makeNonce()
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (pieces) => {
      const whole = Buffer.concat(pieces)
      const stream = new KeyStream(key, nonce)
      const sent = pieces.map((piece, n) => stream.update(n % 2 ? new Uint8ArrayList(piece) : piece))
      expect(Buffer.concat(sent)).toEqual(Buffer.from(xsalsa20(key.secret, nonce, whole)))
    }),
  )
})

test('many connections with large messages take no memory for good', { timeout: 60_000 }, () => {
  const key = keyIn(newest)
  const streams = Array.from({ length: 50 }, () => new KeyStream(key, key.makeNonce()))
  const small = new Uint8Array(1_000)
  // With the package xsalsa20, which libp2p's own has, the 613th of these updates threw.
  for (let round = 0; round < 15; round++) {
    streams[round]!.update(new Uint8Array(2_000_000))
    for (const stream of streams) stream.update(small)
  }
})

describe('after 256 GiB a connection ends, and throws nothing', () => {
  const key = keyIn(newest)
  const nonce = key.makeNonce()
  const fresh = () => new KeyStream(key, nonce)
  const used = () => new KeyStream(key, nonce, 2 ** 38 - 128)

  test.each([
    ['sent', used, fresh],
    ['received', fresh, used],
  ])('%s', async (_how, outbound, inbound) => {
    const [inner, other] = multiaddrConnectionPair()
    const sender = new ProtectedConnection(inner, { inbound: fresh(), outbound: outbound() })
    const receiver = new ProtectedConnection(other, { inbound: inbound(), outbound: fresh() })
    receiver.addEventListener('message', () => {})
    const ends = Promise.all([sender, receiver].map((end) => closing(end)))
    sender.send(new Uint8Array(500))
    for (const { error } of await ends) expect(error).toBeInstanceOf(Error)
  })

  function closing(connection: ProtectedConnection): Promise<{ readonly error?: Error }> {
    return new Promise((resolve) => connection.addEventListener('close', resolve, { once: true }))
  }
})

describe('what is no key, or more keys than are in use at one time, is refused', () => {
  test.each<[unknown, string]>([
    [Buffer.from('secret'), 'no key'],
    [[newest, 'secret'], 'no key'],
    [[], 'empty list'],
    [Buffer.concat([newest, newest.subarray(0, 60)]), 'no key'],
    [[newest, newest], 'the same key twice'],
    [[newest, older, other], '3 keys'],
  ])('%#', (content, message) => {
    expect(() => networkKeysIn(content)).toThrow(RangeError)
    expect(() => networkKeysIn(content)).toThrow(message)
  })

  test.each<[string, unknown]>([
    ['contents side by side', [newest, older]],
    ['one content with both', Buffer.from(`${Buffer.from(newest)}\n${Buffer.from(older)}\n`)],
    [
      'as Windows writes it',
      Buffer.from(`${Buffer.from(newest)}\n${Buffer.from(older)}`.replaceAll('\n', '\r\n')),
    ],
  ])('%s are two', (_how, content) => {
    expect(networkKeysIn(content).map(({ content }) => content)).toEqual(
      [newest, older].map((key) => Buffer.from(key).toString()),
    )
  })
})
