import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { beforeEach, describe, expect, test } from 'vitest'
import { Items } from '../../src/machine/items.ts'
import { AvailableSnapshots } from '../../src/snapshot/available.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { decodeHints, hintsOf } from '../../src/snapshot/hints.ts'
import { makeManifest } from '../../src/snapshot/manifest.ts'
import {
  ANSWER_WAIT_MS,
  FETCH_TIMEOUT_MS_DEFAULT,
  HINTED_ITEM_BYTES_MIN,
  REQUEST_CHUNKS_MAX,
  RESPONSE_BYTES_MAX,
  RUNS_MAX,
  SESSION_IDLE_MS,
} from '../../src/sync/limits.ts'
import { AnchorAllocator } from '../../src/sync/serving/anchor-allocator.ts'
import type { ProviderEvent } from '../../src/sync/serving/events.ts'
import { Provider, type ProviderInit } from '../../src/sync/serving/provider.ts'
import { Channel } from '../../src/sync/wire/channel.ts'
import { type ByteStream, decodeFrames, encodeFrame } from '../../src/sync/wire/frames.ts'
import {
  decodeResponse,
  encodeRequest,
  type OfferView,
  type RequestBody,
  type ResponseBody,
} from '../../src/sync/wire/messages.ts'
import { Pulse } from '../../src/sync/wire/pulse.ts'
import { systemClock } from '../../src/time/clock.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { ItemSnapshot, numberedItems } from '../snapshot/item-snapshot.ts'
import { PACED_ITEM_BYTES, PacedSnapshot } from '../snapshot/paced-snapshot.ts'
import { rawCoder } from '../snapshot/raw-coder.ts'
import { duplexPair } from './memory-network.ts'
import { StubHost } from './stub-host.ts'

const TTL_MS = 1000
const CONTROL = Uint8Array.from(Buffer.from('c'))
const SCOPE = { group: 'g', signature: 's' }
const at = (index: number, epoch = 'e') => ({ epoch, index })

/** A virtual clock on which work in slices stands still until it is let go. */
class HeldClock extends VirtualClock {
  #gate = Promise.withResolvers<void>()
  hold = false

  /** Let go what stands still now, and nothing after it. */
  step(): void {
    this.#gate.resolve()
    this.#gate = Promise.withResolvers()
  }

  letGo(): void {
    this.#gate.resolve()
  }

  override async turn(): Promise<void> {
    await super.turn()
    if (this.hold) await this.#gate.promise
  }
}

let clock: HeldClock
let host: StubHost
let available: AvailableSnapshots
let allocator: AnchorAllocator
let provider: Provider
let served: number
let pushed: [peer: string, offer: OfferView][]
let refused: string[]
let broken: string[]

beforeEach(() => {
  clock = new HeldClock()
  host = new StubHost('me')
  host.admit('peer')
  available = new AvailableSnapshots({ clock, ttlMs: TTL_MS, coder: rawCoder })
  const times = { ttlMs: TTL_MS, sealTimeoutMs: 15_000 }
  allocator = new AnchorAllocator({ self: 'me', host, available, clock, ...times, markersPerMinute: 30 })
  served = 0
  pushed = []
  refused = []
  broken = []
  provider = makeProvider()
})

const makeProvider = (init: Partial<ProviderInit> = {}) =>
  new Provider({
    host,
    available,
    clock,
    allocator,
    onEvent: heard,
    ...init,
  })

function heard(event: ProviderEvent): void {
  switch (event.type) {
    case 'served':
      served++
      return
    case 'named':
      return
    case 'offered':
      pushed.push([event.peer, event.offer])
      return
    case 'refused':
      refused.push(`${event.peer} ${event.error.name}`)
      return
    case 'broken':
      broken.push(`${event.peer}: ${event.error.message}`)
      return
    default:
      event satisfies never
  }
}

/** An offer of `count` chunks that is being cut: each call cuts one more, and the last one says that those were all. */
function cutting(index: number, count: number): () => Promise<void> {
  clock.hold = true
  const source = new PacedSnapshot(numberedItems(count, PACED_ITEM_BYTES), clock)
  available.add(at(index), source, { control: CONTROL, chunkBytes: 1 })
  return async () => {
    for (let n = 0; n < 3; n++) await new Promise(setImmediate)
    clock.step()
    for (let n = 0; n < 3; n++) await new Promise(setImmediate)
  }
}

/** A stream that `peer` opened; what serves it must end in peace. */
function open(peer = 'peer'): ByteStream & { served: Promise<void> } {
  const [ours, theirs] = duplexPair()
  return { ...ours, served: provider.serve(peer, theirs) }
}

function connect(peer = 'peer', scope = SCOPE): Channel {
  return new Channel({ stream: open(peer), scope, clock, timeoutMs: 60_000, pulse: new Pulse() })
}

/** Ten chunks of one item of 99 bytes each, or one of `bytes`. */
async function offer(index: number, bytes?: number): Promise<void> {
  const items = bytes === undefined ? numberedItems(10, 99) : [new Uint8Array(bytes)]
  available.add(at(index), new ItemSnapshot(items), { control: CONTROL, chunkBytes: 1 })
  await available.whenCut(at(index))
}

const remainingMs = (index: number) => {
  const found = available.get(at(index))
  if (found === undefined) return undefined
  return 'released' in found ? found.released : found.remainingMs
}
const chunks = (index: number, first = 0, count = 1) =>
  ({ type: 'chunks', anchor: at(index), first, count }) as const
const list = (index: number, from = 0) => ({ type: 'manifest', anchor: at(index), from }) as const
const fetch = (channel: Channel, range: ReturnType<typeof chunks>) => {
  const got: number[] = []
  return channel.fetch(range, (index) => got.push(index)).then(() => got)
}
const error = (name: string, message = '') =>
  expect.objectContaining({ name, message: expect.stringContaining(message) })

describe('data', () => {
  test('the offers, oldest first, with what remains of them', async () => {
    await offer(7)
    clock.advance(300)
    clock.hold = true
    available.add(at(9), new ItemSnapshot([]), { control: new Uint8Array(0), chunkBytes: 100 })
    expect(await connect().request({ type: 'offers' }, 'offers')).toEqual({
      type: 'offers',
      offers: [
        { anchor: at(7), remainingMs: 700, ready: true },
        { anchor: at(9), remainingMs: 1000, ready: false },
      ],
    })
  })

  test('the manifest, with the root that was cut', async () => {
    await offer(7)
    const { chunks, control } = await connect().request(list(7), 'manifest')
    const { root } = (await available.whenCut(at(7)))!
    expect(makeManifest(control!, chunks).root).toEqual(root)
    expect(chunks).toHaveLength(10)
  })

  test.each([
    [4, 6],
    [10, 0],
    [99, 0],
  ])('the manifest from chunk %i on: %i chunks, and its end', async (from, count) => {
    await offer(7)
    const answer = await connect().request(list(7, from), 'manifest')
    const { chunks } = (await available.whenCut(at(7)))!
    expect(answer.chunks).toEqual(chunks.slice(from))
    expect([answer.chunks.length, answer.control]).toEqual([count, CONTROL])
  })

  test('the chunks of a range, in order, up to the very last', async () => {
    await offer(7)
    const channel = connect()
    expect(await fetch(channel, chunks(7, 0, 4))).toEqual([0, 1, 2, 3])
    expect(await fetch(channel, chunks(7, 9, 1))).toEqual([9])
    expect(served).toBe(5)
  })

  test('the hints of a chunk, and single items of it; both revive the offer', async () => {
    const items = numberedItems(10, 99)
    available.add(at(7), new ItemSnapshot(items), { control: CONTROL, chunkBytes: 8_192 })
    await available.whenCut(at(7))
    clock.advance(400)
    const channel = connect()
    const { payload: hints } = await channel.payload({ type: 'hints', anchor: at(7), index: 0 })
    expect(decodeHints(hints)).toEqual(hintsOf(Items.of(...items)))
    expect(remainingMs(7)).toBe(TTL_MS)
    clock.advance(400)
    const asked = { type: 'items', anchor: at(7), index: 0, runs: [3, 1, 2, 1] } as const
    const { answer, payload } = await channel.payload(asked)
    const sent = itemsOf(payload, 2)
    expect([...sent]).toEqual([items[3], items[6]].map((item) => new Uint8Array(item!)))
    expect(answer).toEqual({ type: 'items', index: 0, encoding: 'raw' })
    expect(remainingMs(7)).toBe(TTL_MS)
    expect(served).toBe(2)
  })

  test('chunks that the network takes at once leave others a turn, on all streams together', async () => {
    await offer(7)
    let turn = 0
    let counting = setImmediate(function count() {
      turn++
      counting = setImmediate(count)
    })
    const servedIn = new Map<number, number>()
    provider = makeProvider({
      onEvent: ({ type }) => {
        if (type !== 'served') return
        servedIn.set(turn, (servedIn.get(turn) ?? 0) + 1)
        // Each takes a whole slice.
        clock.advance(5)
      },
    })
    const range = { type: 'chunks', anchor: at(7), first: 0, count: 10 } as const
    await Promise.all([connect(), connect()].map((channel) => channel.fetch(range, () => {})))
    clearImmediate(counting)
    const counts = [...servedIn.values()]
    expect(counts.reduce((sum, count) => sum + count)).toBe(20)
    expect(Math.max(...counts)).toBeLessThanOrEqual(2)
  })

  test('a pushed offer is noted', async () => {
    const hint = { anchor: at(7), remainingMs: 5, ready: true }
    await connect().request({ type: 'offer', offer: hint }, 'noted')
    expect(pushed).toEqual([['peer', hint]])
  })

  test('the leader names the anchor of a live offer above the position, and revives it', async () => {
    host.leads = 'me'
    await offer(7)
    allocator.captured(at(7))
    clock.advance(500)
    const channel = connect()
    expect(await channel.request({ type: 'snapshot', position: at(6) }, 'anchored')).toEqual({
      type: 'anchored',
      anchor: at(7),
    })
    expect([remainingMs(7), host.markers]).toEqual([1000, []])
  })

  test('the leader appends a marker where no offer fits', async () => {
    host.leads = 'me'
    await offer(7)
    const { anchor } = await connect().request({ type: 'snapshot', position: at(7) }, 'anchored')
    expect([anchor, host.markers]).toEqual([at(101), ['peer']])
  })

  test('answers come in the order of the requests, however long one takes', async () => {
    await offer(7)
    clock.hold = true
    available.add(at(9), new ItemSnapshot([]), { control: new Uint8Array(0), chunkBytes: 100 })
    const channel = connect()
    const order: string[] = []
    const asked = [
      channel.request(list(9), 'manifest'),
      fetch(channel, chunks(7, 0, 3)),
      channel.request({ type: 'keepAlive', anchor: at(8) }, 'revived'),
      channel.request({ type: 'offers' }, 'offers'),
    ].map((each, n) =>
      each.then(
        () => order.push(`${n}`),
        (reason: Error) => order.push(`${n} ${reason.name}`),
      ),
    )
    await new Promise(setImmediate)
    expect(order).toEqual([])
    clock.letGo()
    await Promise.all(asked)
    expect(order).toEqual(['0', '1', '2 UnknownAnchor', '3'])
  })
})

describe('a snapshot that is being cut', () => {
  const error = (name: string) => expect.objectContaining({ name })
  const settled = async () => {
    for (let n = 0; n < 5; n++) await new Promise(setImmediate)
  }

  test('its manifest as far as it is cut, each part as soon as there is one, and the end at last', async () => {
    const cutNext = cutting(7, 2)
    const channel = connect()
    const parts: ResponseBody[] = []
    for (const from of [0, 1, 2]) {
      const asked = channel.request(list(7, from), 'manifest').then((part) => parts.push(part))
      await settled()
      expect(parts).toHaveLength(from)
      await cutNext()
      await asked
    }
    const { chunks } = (await available.whenCut(at(7)))!
    expect(parts).toEqual([
      { type: 'manifest', chunks: [chunks[0]], control: undefined },
      { type: 'manifest', chunks: [chunks[1]], control: undefined },
      { type: 'manifest', chunks: [], control: CONTROL },
    ])
  })

  test('a range that it is not cut to yet: each chunk as soon as it is there', async () => {
    const cutNext = cutting(7, 3)
    const got: number[] = []
    const fetching = connect().fetch(chunks(7, 0, 3), (index) => got.push(index))
    for (const count of [1, 2, 3]) {
      await cutNext()
      await settled()
      expect(got).toHaveLength(count)
    }
    await fetching
    expect(available.get(at(7))).toMatchObject({ ready: false })
  })

  test.each<[what: string, ask: (channel: Channel) => Promise<unknown>]>([
    ['a manifest', (channel) => channel.request(list(7, 1), 'manifest')],
    ['a range', (channel) => fetch(channel, chunks(7, 1, 1))],
  ])('%s from where it is cut to, and no chunk comes: Busy, after a while', async (_what, ask) => {
    const cutNext = cutting(7, 3)
    await cutNext()
    const channel = connect()
    const asked = ask(channel)
    let failed = false
    asked.catch(() => {
      failed = true
    })
    await settled()
    clock.advance(ANSWER_WAIT_MS - 1)
    await settled()
    expect(failed).toBe(false)
    clock.advance(1)
    await expect(asked).rejects.toEqual(error('Busy'))
    await cutNext()
    await ask(channel)
  })

  test('whose members give each other little time: Busy after half of it, before the requester takes it for gone', async () => {
    const sendTimeoutMs = 500
    provider = makeProvider({ sendTimeoutMs })
    await cutting(7, 3)()
    const channel = new Channel({
      stream: open(),
      scope: SCOPE,
      clock,
      timeoutMs: sendTimeoutMs,
      pulse: new Pulse(),
    })
    const asked = channel.request(list(7, 1), 'manifest')
    asked.catch(() => {})
    await settled()
    clock.advance(sendTimeoutMs / 2)
    await expect(asked).rejects.toEqual(error('Busy'))
    expect(channel.open).toBe(true)
  })

  test('a range that turns out to begin behind the end: OutOfRange, once that is known', async () => {
    const cutNext = cutting(7, 1)
    const channel = connect()
    const asked = fetch(channel, chunks(7, 1, 1))
    asked.catch(() => {})
    await cutNext()
    await cutNext()
    await expect(asked).rejects.toEqual(error('OutOfRange'))
    expect(await fetch(channel, chunks(7, 0, 1))).toEqual([0])
  })

  test('a range that turns out to end behind the end: what there is, then OutOfRange', async () => {
    const cutNext = cutting(7, 1)
    const got: number[] = []
    const asked = connect().fetch(chunks(7, 0, 2), (index) => got.push(index))
    asked.catch(() => {})
    await cutNext()
    await settled()
    expect(got).toEqual([0])
    await cutNext()
    await expect(asked).rejects.toEqual(error('OutOfRange'))
  })
})

describe('refusals', () => {
  const about = (index: number): [string, RequestBody][] => [
    ['a manifest', list(index)],
    ['a range', chunks(index)],
    ['a keep-alive', { type: 'keepAlive', anchor: at(index) }],
  ]
  const ask = (channel: Channel, body: RequestBody): Promise<unknown> =>
    body.type === 'chunks' ? channel.fetch(body, () => {}) : channel.request(body, 'noted')

  test.each(about(7))('%s of an offer that expired: Expired', async (_what, body) => {
    await offer(7)
    clock.advance(TTL_MS)
    await expect(ask(connect(), body)).rejects.toEqual(error('Expired', 'e:7 lapsed'))
  })

  test.each(about(8))('%s of what was never offered: UnknownAnchor', async (_what, body) => {
    await offer(7)
    await expect(ask(connect(), body)).rejects.toEqual(error('UnknownAnchor', 'e:8'))
  })

  test.each([
    ['that begins behind the last chunk', 10, 1],
    ['that ends behind it', 8, 3],
    ['of no chunks', 0, 0],
    ['beyond all numbers', 0xffff_ffff, 0xffff_ffff],
  ])('a range %s: OutOfRange, and the offer is not revived', async (_what, first, count) => {
    await offer(7)
    clock.advance(400)
    const channel = connect()
    await expect(channel.fetch(chunks(7, first, count), () => {})).rejects.toEqual(
      error('OutOfRange', '0 to 9'),
    )
    expect(remainingMs(7)).toBe(600)
    expect(await fetch(channel, chunks(7, 0, 1))).toEqual([0])
  })

  test.each<[what: string, body: Parameters<Channel['payload']>[0]]>([
    ['hints of a chunk behind the last', { type: 'hints', anchor: at(7), index: 10 }],
    ['items of a chunk behind the last', { type: 'items', anchor: at(7), index: 10, runs: [0, 1] }],
    ['an item behind the last', { type: 'items', anchor: at(7), index: 9, runs: [1, 1] }],
    ['items beyond all numbers', { type: 'items', anchor: at(7), index: 9, runs: [0, 0xffff_ffff, 1] }],
    ['too many runs', { type: 'items', anchor: at(7), index: 9, runs: Array(RUNS_MAX + 1).fill(0) }],
  ])('%s: OutOfRange, and the offer is not revived', async (_what, body) => {
    await offer(7)
    clock.advance(400)
    await expect(connect().payload(body)).rejects.toEqual(error('OutOfRange'))
    expect(remainingMs(7)).toBe(600)
  })

  test.each(['hints', 'items'] as const)('%s of small items: OutOfRange', async (type) => {
    const small = numberedItems(100, HINTED_ITEM_BYTES_MIN - 2)
    available.add(at(7), new ItemSnapshot(small), { control: CONTROL, chunkBytes: 8_192 })
    await available.whenCut(at(7))
    const asked = { type, anchor: at(7), index: 0, runs: [0, 1] } as Parameters<Channel['payload']>[0]
    await expect(connect().payload(asked)).rejects.toEqual(error('OutOfRange', 'less than 32 bytes'))
  })

  test.each<[what: string, body: Parameters<Channel['payload']>[0]]>([
    ['hints', { type: 'hints', anchor: at(7), index: 0 }],
    ['items', { type: 'items', anchor: at(7), index: 0, runs: [0, 1] }],
  ])('%s of an offer that expires while they wait for room: Expired', async (_what, body) => {
    await offer(7)
    await offer(8)
    host.admit('slow')
    provider = makeProvider({ limits: { sendingBytes: 100 } })
    const taken = Promise.withResolvers<void>()
    const [ours, theirs] = duplexPair()
    void provider.serve('slow', { ...theirs, send: () => taken.promise })
    const turns = async () => {
      for (let n = 0; n < 10; n++) await new Promise(setImmediate)
    }
    await ours.send(encodeFrame({ header: encodeRequest({ id: 1, ...SCOPE, body: chunks(8) }) }))
    await turns()
    const asked = expect(connect().payload(body)).rejects.toEqual(error('Expired', 'e:7'))
    await turns()
    for (let passedMs = 0; passedMs <= TTL_MS; passedMs += 100) {
      clock.advance(100)
      await turns()
    }
    taken.resolve()
    await asked
  })

  test('any range of an empty snapshot: OutOfRange', async () => {
    available.add(at(7), new ItemSnapshot([]), { control: new Uint8Array(0), chunkBytes: 1 })
    await available.whenCut(at(7))
    await expect(connect().fetch(chunks(7), () => {})).rejects.toEqual(error('OutOfRange'))
  })

  test.each(about(7).slice(0, 2))(
    '%s while the snapshot is still being cut: Busy, after a while',
    async (_what, body) => {
      clock.hold = true
      available.add(at(7), new ItemSnapshot([]), { control: new Uint8Array(0), chunkBytes: 100 })
      const asked = ask(connect(), body)
      asked.catch(() => {})
      await new Promise(setImmediate)
      clock.advance(ANSWER_WAIT_MS)
      await expect(asked).rejects.toEqual(error('Busy', 'still being cut'))
      await expect(asked).rejects.toMatchObject({ retryMs: expect.any(Number) })
    },
  )

  test('a manifest that is withdrawn while it is waited for: Expired', async () => {
    clock.hold = true
    available.add(at(7), new ItemSnapshot([]), { control: new Uint8Array(0), chunkBytes: 100 })
    const asked = connect().request(list(7), 'manifest')
    asked.catch(() => {})
    await new Promise(setImmediate)
    available.withdraw()
    clock.letGo()
    await expect(asked).rejects.toEqual(error('Expired', 'withdrawn'))
  })

  test.each([
    ['somebody else', 'boss'],
    ['nobody', undefined],
  ])('a snapshot request where %s leads: NotLeader, and who does', async (_who, leader) => {
    host.leads = leader
    const asked = connect().request({ type: 'snapshot', position: at(1) }, 'anchored')
    await expect(asked).rejects.toMatchObject({ name: 'NotLeader', leader })
  })

  test('a snapshot request where as many anchors are live as may be, and none fits: Busy', async () => {
    host.leads = 'me'
    for (const index of [7, 8, 9]) {
      await offer(index)
      allocator.captured(at(index))
    }
    await expect(connect().request({ type: 'snapshot', position: at(50) }, 'anchored')).rejects.toEqual(
      error('Busy', '3 anchors are in use'),
    )
    expect(host.markers).toEqual([])
  })

  test('a stranger: Unauthorized, after the membership was read anew', async () => {
    await offer(7)
    await expect(connect('stranger').request({ type: 'offers' }, 'offers')).rejects.toEqual(
      error('Unauthorized'),
    )
    expect(host.refreshed).toBe(1)
  })

  test('a newcomer that the membership read anew knows is no stranger', async () => {
    host.onRefresh = () => host.admit('newcomer')
    await connect('newcomer').request({ type: 'offers' }, 'offers')
    expect(host.refreshed).toBe(1)
  })

  test('a member is not looked up again', async () => {
    await connect().request({ type: 'offers' }, 'offers')
    expect(host.refreshed).toBe(0)
  })

  test.each([
    ['another group', { group: 'h', signature: 's' }, 'of another group'],
    ['another signature', { group: 'g', signature: 't' }, 'state machine is s, not t'],
  ])('%s: Incompatible', async (_what, scope, message) => {
    await offer(7)
    await expect(connect('peer', scope).fetch(chunks(7), () => {})).rejects.toEqual(
      error('Incompatible', message),
    )
  })

  test.each<[string, RequestBody]>([
    ['a position', { type: 'snapshot', position: at(1, 'older') }],
    ['a manifest', { ...list(7), anchor: at(7, 'older') }],
    ['a range', { ...chunks(7), anchor: at(7, 'older') }],
    ['a keep-alive', { type: 'keepAlive', anchor: at(7, 'older') }],
  ])('%s of another epoch: Incompatible', async (_what, body) => {
    host.leads = 'me'
    await expect(ask(connect(), body)).rejects.toEqual(error('Incompatible', 'epoch e, not older'))
  })

  test('a membership that cannot be read: Failed, and later ones are let in', async () => {
    host.onRefresh = () => {
      throw new Error('the presence store is locked')
    }
    const asked = connect('stranger').request({ type: 'offers' }, 'offers')
    await expect(asked).rejects.toEqual(error('Failed', 'the membership cannot be read'))
    host.admit('stranger')
    await connect('stranger').request({ type: 'offers' }, 'offers')
  })

  test('a stranger learns nothing else, whatever it sends, and nothing of it is read', async () => {
    await offer(7)
    const { source, send, served } = open('stranger')
    const noise = new Uint8ArrayList(Buffer.alloc(1024 * 1024, 0xff))
    send(noise).catch(() => {})
    const answers = []
    for await (const { header } of decodeFrames(source, 1_000)) answers.push(decodeResponse(header))
    expect(answers).toEqual([{ id: 0, body: { type: 'error', error: error('Unauthorized') } }])
    await served
    expect(refused).toEqual(['stranger Unauthorized'])
  })

  test('strangers that come at once cost one reading of the membership, and later ones one a second', async () => {
    const ask = (peer: string) => {
      const asked = connect(peer).request({ type: 'offers' }, 'offers')
      asked.catch(() => {})
      return asked
    }
    const first = ['a', 'b', 'c'].map(ask)
    for (const asked of first) await expect(asked).rejects.toEqual(error('Unauthorized'))
    expect(host.refreshed).toBe(1)
    const second = ['d', 'e'].map(ask)
    await new Promise(setImmediate)
    clock.advance(999)
    await new Promise(setImmediate)
    expect(host.refreshed).toBe(1)
    host.admit('e')
    clock.advance(1)
    await expect(second[0]).rejects.toEqual(error('Unauthorized'))
    await second[1]
    expect(host.refreshed).toBe(2)
  })

  test.each<[string, ProviderInit['authorize']]>([
    ['says no', async () => false],
    [
      'throws',
      () => {
        throw new Error('the directory is down')
      },
    ],
  ])('a member for whom authorize %s: Unauthorized', async (_what, authorize) => {
    provider = makeProvider({ authorize })
    await expect(connect().request({ type: 'offers' }, 'offers')).rejects.toEqual(error('Unauthorized'))
  })
})

describe('limits', () => {
  const stuck = () => {
    clock.hold = true
    available.add(at(7), new ItemSnapshot([]), { control: new Uint8Array(0), chunkBytes: 100 })
  }

  test('a stream too many of one peer: Busy, until another ends; others are not concerned', async () => {
    provider = makeProvider({ limits: { streamsPerPeer: 2 } })
    host.admit('other')
    const [first] = [connect(), connect()]
    await new Promise(setImmediate)
    await expect(connect().request({ type: 'offers' }, 'offers')).rejects.toEqual(error('Busy', '2 streams'))
    await connect('other').request({ type: 'offers' }, 'offers')
    await first!.close()
    await new Promise(setImmediate)
    await connect().request({ type: 'offers' }, 'offers')
  })

  test('a request too many of one peer at once: Busy', async () => {
    provider = makeProvider({ limits: { requestsPerPeer: 2 } })
    stuck()
    for (let n = 0; n < 2; n++)
      connect()
        .request(list(7), 'manifest')
        .catch(() => {})
    await new Promise(setImmediate)
    await expect(connect().request({ type: 'offers' }, 'offers')).rejects.toEqual(error('Busy', '2 requests'))
  })

  test('a peer too many that fetches: Busy, and its fetch revives nothing, until another has left', async () => {
    provider = makeProvider({ limits: { sessions: 1 } })
    host.admit('other')
    await offer(7)
    await fetch(connect(), chunks(7))
    clock.advance(400)
    await expect(fetch(connect('other'), chunks(7))).rejects.toEqual(error('Busy', '1 peers'))
    expect(remainingMs(7)).toBe(600)
    expect(await fetch(connect(), chunks(7, 1))).toEqual([1])
    const release = available.use(at(7))
    clock.advance(SESSION_IDLE_MS)
    expect(await fetch(connect('other'), chunks(7))).toEqual([0])
    release()
  })

  /** A peer that asks for a chunk and does not read it. */
  async function deaf(): Promise<ByteStream> {
    const stream = open()
    const header = encodeRequest({ id: 1, ...SCOPE, body: chunks(7) })
    await stream.send(encodeFrame({ header }))
    for (let n = 0; n < 3; n++) await new Promise(setImmediate)
    return stream
  }

  test('a chunk for which there is no room among those on their way: Busy, after a while, and nothing is revived', async () => {
    provider = makeProvider({ limits: { sendingBytes: 250_000 }, sendTimeoutMs: 60_000 })
    host.admit('other')
    await offer(7, 200_000)
    await offer(8, 200_000)
    await deaf()
    const asked = fetch(connect('other'), chunks(8))
    asked.catch(() => {})
    for (let n = 0; n < 3; n++) await new Promise(setImmediate)
    clock.advance(ANSWER_WAIT_MS)
    await expect(asked).rejects.toEqual(error('Busy', '200003 bytes are on their way'))
    // It was not revived.
    expect(remainingMs(8)).toBe('expired')
  })

  test('a chunk that waits for room is sent when there is some', async () => {
    provider = makeProvider({ limits: { sendingBytes: 250_000 }, sendTimeoutMs: 60_000 })
    host.admit('other')
    await offer(7, 200_000)
    const stream = await deaf()
    const asked = fetch(connect('other'), chunks(7))
    for (let n = 0; n < 3; n++) await new Promise(setImmediate)
    expect(served).toBe(0)
    for await (const _ of decodeFrames(stream.source, 300_000)) break
    expect(await asked).toEqual([0])
  })

  test('one peer gets a quarter of the room at most, and what it waits for holds up nobody else', async () => {
    provider = makeProvider({ limits: { sendingBytes: 1_000_000 }, sendTimeoutMs: 60_000 })
    host.admit('other')
    await offer(7, 200_000)
    await deaf()
    const second = fetch(connect(), chunks(7))
    second.catch(() => {})
    for (let n = 0; n < 3; n++) await new Promise(setImmediate)
    expect(await fetch(connect('other'), chunks(7))).toEqual([0])
    clock.advance(ANSWER_WAIT_MS)
    await expect(second).rejects.toEqual(error('Busy', '200003 bytes are on their way'))
  })

  test.each([{ sessions: 0 }, { streamsPerPeer: 1.5 }, { sendingBytes: Number.NaN }, { unknown: 1 }])(
    'what is no limit is refused: %j',
    (limits) => {
      expect(() => makeProvider({ limits })).toThrow(RangeError)
    },
  )

  test('more chunks than one request may ask for: OutOfRange, also while they are being cut', async () => {
    const cut = cutting(7, 2)
    await cut()
    const asked = connect().fetch(chunks(7, 0, REQUEST_CHUNKS_MAX + 1), () => {})
    await expect(asked).rejects.toEqual(error('OutOfRange'))
  })
})

describe('what keeps an offer alive', () => {
  test.each<[what: string, alive: boolean, ask: () => Promise<unknown>]>([
    ['a fetch', true, () => fetch(connect(), chunks(7))],
    ['a keep-alive', true, () => connect().request({ type: 'keepAlive', anchor: at(7) }, 'revived')],
    ['a manifest', false, () => connect().request(list(7), 'manifest')],
    ['a look at the offers', false, () => connect().request({ type: 'offers' }, 'offers')],
    ["a stranger's fetch", false, () => fetch(connect('stranger'), chunks(7))],
    [
      'a fetch of another signature',
      false,
      () => fetch(connect('peer', { ...SCOPE, signature: 't' }), chunks(7)),
    ],
    ['a fetch of another anchor', false, () => fetch(connect(), chunks(8))],
    ['a fetch beyond the last chunk', false, () => fetch(connect(), chunks(7, 99))],
    [
      "a stranger's keep-alive",
      false,
      () => connect('stranger').request({ type: 'keepAlive', anchor: at(7) }, 'revived'),
    ],
  ])('%s: %s', async (_what, alive, ask) => {
    await offer(7)
    clock.advance(900)
    await ask().catch(() => {})
    await new Promise(setImmediate)
    expect(remainingMs(7)).toBe(alive ? 1000 : 100)
  })

  test('a slow joiner that fetches one range per 0.9 TTL for 20 TTLs gets all of it', async () => {
    await offer(7)
    const channel = connect()
    const got: number[] = []
    for (let n = 0; n <= 22; n++) {
      got.push(...(await fetch(channel, chunks(7, n % 10))))
      clock.advance(0.9 * TTL_MS)
    }
    expect(clock.now()).toBeGreaterThan(20 * TTL_MS)
    expect(got).toHaveLength(23)
    expect(new Set(got).size).toBe(10)
    clock.advance(0.1 * TTL_MS)
    expect(remainingMs(7)).toBe('expired')
    await expect(fetch(channel, chunks(7))).rejects.toEqual(error('Expired'))
  })

  test('a keep-alive is told how long the offer lives now', async () => {
    await offer(7)
    clock.advance(900)
    expect(await connect().request({ type: 'keepAlive', anchor: at(7) }, 'revived')).toEqual({
      type: 'revived',
      remainingMs: 1000,
    })
  })

  test('a reader that takes nothing holds an offer no longer than the send timeout: its stream is cut off', async () => {
    await offer(7, 1_000_000)
    const deaf = open()
    await deaf.send(encodeFrame({ header: encodeRequest({ id: 1, ...SCOPE, body: chunks(7) }) }))
    await new Promise(setImmediate)
    clock.advance(FETCH_TIMEOUT_MS_DEFAULT - 1)
    expect(remainingMs(7)).toBe(1000)
    clock.advance(1)
    await deaf.served
    clock.advance(TTL_MS)
    expect(remainingMs(7)).toBe('expired')
    await expect(deaf.send(new Uint8ArrayList())).rejects.toThrow('did not take a frame within 5000 ms')
  })

  test('an offer does not expire while a chunk of it waits for a slow reader, and does after the reader has gone', async () => {
    await offer(7, 1_000_000)
    const slow = open()
    await slow.send(encodeFrame({ header: encodeRequest({ id: 1, ...SCOPE, body: chunks(7) }) }))
    await new Promise(setImmediate)
    clock.advance(4 * TTL_MS)
    expect(remainingMs(7)).toBe(1000)
    slow.abort(new Error('gave up'))
    await slow.served
    clock.advance(TTL_MS)
    expect(remainingMs(7)).toBe('expired')
  })
})

describe('streams', () => {
  async function read(stream: ByteStream): Promise<{ id: number; body: ResponseBody }[]> {
    return await Array.fromAsync(decodeFrames(stream.source, 1_000_000), ({ header }) =>
      decodeResponse(header),
    )
  }

  test('bytes that are no frame: Malformed, and the end of the stream', async () => {
    const stream = open()
    await stream.send(encodeFrame({ header: encodeRequest({ id: 1, ...SCOPE, body: { type: 'offers' } }) }))
    await stream.send(encodeFrame({ header: Buffer.from('what?') }).sublist(0, 4))
    await stream.close()
    expect(await read(stream)).toMatchObject([
      { id: 1, body: { type: 'offers' } },
      { id: 0, body: { type: 'error', error: { name: 'Malformed' } } },
    ])
    await stream.served
  })

  test.each([
    ['a request beyond the limit', Buffer.concat([Buffer.from([0x81, 0x80, 0x04]), Buffer.alloc(70_000)])],
    ['a frame that is no message', encodeFrame({ header: Buffer.from('GET / HTTP/1.1') }).subarray()],
    ['a message without a body', encodeFrame({ header: new Uint8Array(0) }).subarray()],
    ['noise', Buffer.alloc(100, 0xff)],
  ])('%s: Malformed, and the end of the stream although the peer does not end it', async (_what, bytes) => {
    const stream = open()
    stream
      .send(encodeFrame({ header: bytes }).sublist(encodeFrame({ header: bytes }).byteLength - bytes.length))
      .catch(() => {})
    expect(await read(stream)).toMatchObject([{ body: { type: 'error', error: { name: 'Malformed' } } }])
    await stream.served
  })

  test('bytes at random are answered, and end their own stream only', async () => {
    await offer(7)
    const request = encodeFrame({ header: encodeRequest({ id: 1, ...SCOPE, body: chunks(7) }) }).subarray()
    const damaged = fc
      .tuple(fc.nat(request.length - 1), fc.nat(255), fc.nat(5))
      .map(([index, byte, cut]) => Uint8Array.from(request).with(index, byte).subarray(cut))
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 60 }), damaged), async (bytes) => {
        const stream = open()
        await stream.send(new Uint8ArrayList(bytes))
        await stream.close()
        await read(stream)
        await stream.served
      }),
      { numRuns: 500 },
    )
    expect(await fetch(connect(), chunks(7))).toEqual([0])
  })

  test('garbage on one stream harms no other', async () => {
    await offer(7)
    const before = connect()
    await fetch(before, chunks(7))
    const bad = open()
    await bad.send(encodeFrame({ header: Buffer.alloc(50, 0xff) }))
    await bad.served
    expect(await fetch(before, chunks(7, 1))).toEqual([1])
    expect(await fetch(connect(), chunks(7, 2))).toEqual([2])
  })

  test('a stream that is ended is ended by the provider, too', async () => {
    const stream = open()
    await stream.close()
    expect(await read(stream)).toEqual([])
    await stream.served
  })

  test('a stream that breaks in the middle of a request ends in peace', async () => {
    const stream = open()
    await stream.send(encodeFrame({ header: Buffer.alloc(100) }).sublist(0, 20))
    stream.abort(new Error('the cable was pulled'))
    await stream.served
  })

  test('an answer that cannot be sent is a refusal that is told and reported, and the stream goes on', async () => {
    const tooLong = { encoding: 'raw', bytes: new Uint8Array(RESPONSE_BYTES_MAX) } as const
    const coder = { ...rawCoder, encode: async () => tooLong }
    available = new AvailableSnapshots({ clock, ttlMs: TTL_MS, coder })
    provider = makeProvider()
    await offer(7)
    const channel = connect()
    await expect(fetch(channel, chunks(7))).rejects.toEqual(error('Failed', `${RESPONSE_BYTES_MAX}`))
    expect([refused, broken]).toEqual([['peer Failed'], []])
    expect(await channel.request({ type: 'offers' }, 'offers')).toMatchObject({ offers: [{}] })
  })

  test('a stream that breaks while an answer is on its way is reported', async () => {
    await offer(7, 1_000_000)
    const stream = open()
    await stream.send(encodeFrame({ header: encodeRequest({ id: 1, ...SCOPE, body: chunks(7) }) }))
    await new Promise(setImmediate)
    stream.abort(new Error('the cable was pulled'))
    await stream.served
    expect([refused, broken]).toEqual([[], ['peer: the cable was pulled']])
  })

  test('requests that come all at once leave the event loop to others', async () => {
    provider = makeProvider({ clock: systemClock })
    const request = encodeFrame({
      header: encodeRequest({ id: 1, ...SCOPE, body: { type: 'offers' } }),
    }).subarray()
    const count = 10_000
    let answered = 0
    let answeredBefore = 0
    setImmediate(() => {
      answeredBefore = answered
    })
    await provider.serve('peer', {
      source: (async function* () {
        yield Buffer.concat(Array.from({ length: count }, () => request))
      })(),
      send: async () => void answered++,
      unsentBytes: 0,
      flushed: async () => {},
      close: async () => {},
      abort: () => {},
    })
    expect(answered).toBe(count)
    expect(answeredBefore).toBeLessThan(count)
  })

  test('a reader that does not read is sent no more than its window holds', async () => {
    available.add(at(7), new ItemSnapshot(Array.from({ length: 50 }, () => new Uint8Array(40_000))), {
      control: new Uint8Array(0),
      chunkBytes: 40_000,
    })
    await available.whenCut(at(7))
    const stream = open()
    for (let id = 1; id <= 20; id++)
      await stream.send(encodeFrame({ header: encodeRequest({ id, ...SCOPE, body: chunks(7, 0, 50) }) }))
    for (let n = 0; n < 100; n++) await new Promise(setImmediate)
    expect(served).toBeLessThan(5)
    stream.abort(new Error('enough'))
    await stream.served
  })
})
