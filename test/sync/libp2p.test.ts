import { randomBytes } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import type { Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  CHUNK_BYTES_MAX,
  EPOCH_BYTES_MAX,
  GROUP_BYTES_MAX,
  SIGNATURE_BYTES_MAX,
  TTL_MS_MIN,
} from '../../src/bounds.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { SnapshotTooLarge } from '../../src/snapshot/errors.ts'
import { CONTROL_BYTES_MAX } from '../../src/snapshot/manifest.ts'
import { type Libp2pSnapshotSync, type Libp2pSnapshotSyncInit, snapshotSync } from '../../src/sync/index.ts'
import { PROTOCOL_PREFIX_BYTES_MAX } from '../../src/sync/limits.ts'
import { encodeFrame } from '../../src/sync/wire/frames.ts'
import { encodeRequest } from '../../src/sync/wire/messages.ts'
import { sleep, systemClock } from '../../src/time/clock.ts'
import { ItemSnapshot, numberedItems } from '../snapshot/item-snapshot.ts'
import { StubHost } from './stub-host.ts'

const ITEMS = numberedItems(2000, 1000)
const PROTOCOL = '/anchorage/sync/1.0.0'
const CONTROL = Buffer.from('what the host keeps beside the items')

type Node = Libp2p<{ sync: Libp2pSnapshotSync }>

/** Somebody's own consensus: the leader captures when it appends, and what it captured counts as sealed. */
class OwnHost extends StubHost {
  node: Node | undefined
  control: Uint8Array = CONTROL
  /** Where the sealed roots come from. */
  authority: OwnHost = this
  installed: { items: Uint8Array[]; control: Uint8Array } | undefined

  constructor() {
    super('nobody')
    this.onAppend = async () => {
      const captured = { control: this.control, chunkBytes: 50_000, requesters: [] }
      const { sync } = this.node!.services
      sync.captured({ epoch: this.epoch, index: this.newest }, new ItemSnapshot(ITEMS), captured)
    }
  }

  override async sealedRoot(anchor: { epoch: string; index: number }): Promise<Uint8Array> {
    const { sync } = this.authority.node!.services
    const { root } = await sync.whenCut(anchor)!
    sync.sealed(anchor)
    return root
  }

  override beginInstall() {
    const items: Uint8Array[] = []
    return {
      add: async (chunk: Uint8Array, count: number) => {
        for (const item of itemsOf(chunk, count)) items.push(Uint8Array.from(item))
      },
      commit: (_anchor: unknown, control: Uint8Array) => {
        this.installed = { items, control }
      },
    }
  }
}

let provider: OwnHost
let joiner: OwnHost
let nodes: Node[]

async function start(host: OwnHost, init: Partial<Libp2pSnapshotSyncInit> = {}): Promise<Node> {
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { sync: snapshotSync({ host, ...init }) },
  })
  nodes.push(node)
  host.node = node
  return node
}

beforeEach(async () => {
  nodes = []
  provider = new OwnHost()
  joiner = new OwnHost()
  joiner.authority = provider
})

afterEach(async () => {
  await Promise.all(nodes.map((node) => node.stop()))
})

const idOf = (node: Node) => node.peerId.toString()
const signal = new AbortController().signal

/** Two nodes that know each other, the first of which leads. */
async function startBoth(init: Partial<Libp2pSnapshotSyncInit> = {}): Promise<[Node, Node]> {
  const [one, two] = [await start(provider, init), await start(joiner, init)]
  for (const host of [provider, joiner]) {
    host.leads = idOf(one)
    for (const node of [one, two]) host.admit(idOf(node), node.getMultiaddrs().map(String))
  }
  return [one, two]
}

test('as a service beside others, with a host of one’s own, it brings the state over', async () => {
  const [one, two] = await startBoth()
  const report = await two.services.sync.catchUp({ position: { epoch: 'e', index: 3 }, signal })
  expect(report.anchor).toEqual({ epoch: 'e', index: 101 })
  expect(report.providersUsed).toEqual([idOf(one)])
  expect(joiner.installed?.items).toEqual(ITEMS.map((item) => Uint8Array.from(item)))
  expect(String(joiner.installed?.control)).toBe(String(CONTROL))
})

test('what a host and a service may have at most is enough for a newcomer', async () => {
  const longest = {
    group: 'ü'.repeat(GROUP_BYTES_MAX / 2),
    signature: 's'.repeat(SIGNATURE_BYTES_MAX),
    epoch: 'e'.repeat(EPOCH_BYTES_MAX),
    control: randomBytes(CONTROL_BYTES_MAX),
  }
  for (const host of [provider, joiner]) Object.assign(host, longest)
  const [, two] = await startBoth({ protocolPrefix: 'p'.repeat(PROTOCOL_PREFIX_BYTES_MAX) })
  await two.services.sync.catchUp({ position: { epoch: longest.epoch, index: 3 }, signal })
  expect(joiner.installed?.items.length).toBe(ITEMS.length)
  expect(Buffer.compare(joiner.installed!.control, longest.control)).toBe(0)
})

test.each([
  [{ group: 'g'.repeat(GROUP_BYTES_MAX + 1) }, {}, 'host.group has 513 bytes'],
  [{ signature: 's'.repeat(SIGNATURE_BYTES_MAX + 1) }, {}, 'host.signature has 1025 bytes'],
  [{ epoch: 'e'.repeat(EPOCH_BYTES_MAX + 1) }, {}, 'host.epoch has 65 bytes'],
  [{ group: '' }, {}, 'host.group has 0 bytes'],
  [{}, { protocolPrefix: 'p'.repeat(PROTOCOL_PREFIX_BYTES_MAX + 1) }, 'protocolPrefix has 256 bytes'],
  [{}, { ttlMs: TTL_MS_MIN - 1 }, 'ttlMs is 249; give milliseconds from 250 to 2147483647'],
  [{}, { requestTimeoutMs: Number.NaN }, 'requestTimeoutMs is NaN'],
  [{}, { fetchTimeoutMs: '500' as unknown as number }, 'fetchTimeoutMs is "500"'],
  [{}, { limits: { streamsPerPeer: 1 } }, 'limits.streamsPerPeer is 1; give an integer from 2'],
])('a service that could not serve is refused: %o %o', async (host, init, message) => {
  await expect(start(Object.assign(provider, host), init)).rejects.toThrow(message)
})

test('a capture that nobody could be told of is refused, and is the host’s still', async () => {
  const [one] = await startBoth()
  const { sync } = one.services
  const anchor = { epoch: 'e', index: 7 }
  const snapshot = new ItemSnapshot(ITEMS)
  const capture = (change: object) =>
    sync.captured(anchor, snapshot, { control: CONTROL, chunkBytes: 1, requesters: [], ...change })
  expect(() => capture({ control: new Uint8Array(CONTROL_BYTES_MAX + 1) })).toThrow(SnapshotTooLarge)
  for (const chunkBytes of [0, 0.5, CHUNK_BYTES_MAX + 1, Number.NaN, '1']) {
    expect(() => capture({ chunkBytes })).toThrow(/^chunkBytes is .*; give an integer from 1 to 8388608$/)
  }
  expect([sync.offers, snapshot.released]).toEqual([[], 0])
})

test('it answers under its own protocol, which a prefix tells from that of another group', async () => {
  const [one] = await startBoth({ protocolPrefix: 'anchorage/cities' })
  expect(one.getProtocols()).toContain('/anchorage/cities/sync/1.0.0')
  expect(one.getProtocols()).not.toContain(PROTOCOL)
})

test('a node that is stopped answers no more, and does again once it is started', async () => {
  const [one] = await startBoth()
  const answers = () => [one.services.sync.isStarted(), one.getProtocols().includes(PROTOCOL)]
  expect(answers()).toEqual([true, true])
  await one.stop()
  expect(answers()).toEqual([false, false])
  await one.start()
  expect(answers()).toEqual([true, true])
})

test('a leader whose own host asks for an anchor appends a marker', async () => {
  const [one] = await startBoth()
  expect(await one.services.sync.requestAnchor({ epoch: 'e', index: 100 }, signal)).toEqual({
    epoch: 'e',
    index: 101,
  })
  expect(provider.markers).toEqual([idOf(one)])
})

test('when the session is over no stream of the protocol is left open', async () => {
  const [one, two] = await startBoth()
  await two.services.sync.catchUp({ position: { epoch: 'e', index: 3 }, signal })
  const open = () =>
    [one, two]
      .flatMap((node) => node.getConnections().flatMap(({ streams }) => streams))
      .filter(({ protocol }) => protocol === PROTOCOL)
  // The other side learns of an end over the network.
  for (let n = 0; n < 100 && open().length > 0; n++) await sleep(systemClock, 20)
  expect(open()).toEqual([])
})

test('garbage from a peer ends its stream, and others are served', async () => {
  const [one, two] = await startBoth()
  const bad = await two.dialProtocol(one.getMultiaddrs(), PROTOCOL)
  bad.send(Buffer.alloc(100, 0xff))
  for await (const _bytes of bad) {
    // It says Malformed, and then no more.
  }
  await two.services.sync.catchUp({ position: { epoch: 'e', index: 3 }, signal })
  expect(joiner.installed?.items).toHaveLength(ITEMS.length)
})

test('however long an answer, no more than one chunk and 256 KiB wait in the provider’s stream', async () => {
  const [one, two] = await startBoth()
  const anchor = { epoch: 'e', index: 101 }
  const [chunkBytes, count] = [1 << 20, 8]
  const items = Array.from({ length: count }, () => randomBytes(chunkBytes))
  one.services.sync.captured(anchor, new ItemSnapshot(items), {
    control: CONTROL,
    chunkBytes,
    requesters: [],
  })
  await one.services.sync.whenCut(anchor)
  const stream = await two.dialProtocol(one.getMultiaddrs(), PROTOCOL)
  const body = { type: 'chunks', anchor, first: 0, count } as const
  stream.send(encodeFrame({ header: encodeRequest({ id: 1, group: 'g', signature: 's', body }) }))
  let takenBytes = 0
  let waitingBytesMost = 0
  for await (const bytes of stream) {
    takenBytes += bytes.byteLength
    const streams = one.getConnections().flatMap((connection) => connection.streams)
    const waiting = streams.find(({ protocol }) => protocol === PROTOCOL)?.writeBufferLength ?? 0
    waitingBytesMost = Math.max(waitingBytesMost, waiting)
    if (takenBytes >= count * chunkBytes) break
  }
  stream.abort(new Error('enough'))
  expect(waitingBytesMost).toBeGreaterThan(0)
  expect(waitingBytesMost).toBeLessThan(chunkBytes + 256 * 1024 + 1024)
})

test.each([
  ['ends its side', (stream: Stream) => stream.close()],
  ['leaves its side open', async () => {}],
])('a peer that takes nothing more, and %s, leaves nothing waiting in the provider', async (_what, leave) => {
  const [one, two] = await startBoth({ fetchTimeoutMs: 500, ttlMs: 60_000 })
  const anchor = { epoch: 'e', index: 101 }
  // More than the first window of 256 KiB takes, and less than what may wait beside it.
  const items = Array.from({ length: 8 }, () => randomBytes(50_000))
  one.services.sync.captured(anchor, new ItemSnapshot(items), {
    control: CONTROL,
    chunkBytes: 50_000,
    requesters: [],
  })
  await one.services.sync.whenCut(anchor)
  const body = { type: 'chunks', anchor, first: 0, count: 8 } as const
  const request = encodeFrame({ header: encodeRequest({ id: 1, group: 'g', signature: 's', body }) })
  for (let n = 0; n < 4; n++) {
    const stream = await two.dialProtocol(one.getMultiaddrs(), PROTOCOL)
    stream.pause()
    stream.send(request.slice())
    await leave(stream)
  }
  const waiting = () => {
    const streams = one.getConnections().flatMap((connection) => connection.streams)
    return streams.reduce((sum, { writeBufferLength }) => sum + writeBufferLength, 0)
  }
  await vi.waitFor(() => expect(waiting()).toBeGreaterThan(0), { timeout: 5_000 })
  await vi.waitFor(() => expect(waiting()).toBe(0), { timeout: 10_000 })
})
