import { beforeEach, expect, test } from 'vitest'
import { PeerUnavailable } from '../../src/sync/errors.ts'
import { REQUEST_BYTES_MAX } from '../../src/sync/limits.ts'
import { Channel } from '../../src/sync/wire/channel.ts'
import { Busy, Failed, Malformed } from '../../src/sync/wire/errors.ts'
import { type ByteStream, decodeFrames, encodeFrame } from '../../src/sync/wire/frames.ts'
import {
  decodeRequest,
  encodeResponse,
  type Request,
  type ResponseBody,
} from '../../src/sync/wire/messages.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'
import { Pulse } from '../../src/sync/wire/pulse.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { duplexPair } from './memory-network.ts'

const TIMEOUT_MS = 1000
const ANCHOR = { epoch: 'e', index: 7 }
const RANGE = { type: 'chunks', anchor: ANCHOR, first: 3, count: 2 } as const

let clock: VirtualClock
let channel: Channel
let pulse: Pulse
let peer: ByteStream
let requests: AsyncIterator<Request>
let proofs: ProvenFault[]

beforeEach(() => {
  clock = new VirtualClock()
  pulse = new Pulse()
  const [ours, theirs] = duplexPair()
  peer = theirs
  requests = (async function* () {
    for await (const { header } of decodeFrames(theirs.source, 1000)) yield decodeRequest(header)
  })()
  const scope = { group: 'g', signature: 's' }
  proofs = []
  const onProof = (proof: ProvenFault) => proofs.push(proof)
  channel = new Channel({ stream: ours, scope, clock, timeoutMs: TIMEOUT_MS, pulse, onProof })
})

const nextRequest = async (): Promise<Request> => (await requests.next()).value
const answer = (id: number, body: ResponseBody, payload?: Uint8Array) =>
  peer.send(encodeFrame({ header: encodeResponse({ id, body }), ...(payload && { payload }) }))
const chunk = (id: number, index: number) =>
  answer(id, { type: 'chunk', index, encoding: 'raw' }, Buffer.of(index))

test('a request carries the group and the signature, and gets its answer', async () => {
  const noted = channel.request({ type: 'offers' }, 'offers')
  expect(await nextRequest()).toEqual({ id: 1, group: 'g', signature: 's', body: { type: 'offers' } })
  await answer(1, { type: 'offers', offers: [] })
  expect(await noted).toEqual({ type: 'offers', offers: [] })
})

test('requests are numbered, and may be sent before earlier ones were answered', async () => {
  const first = channel.request({ type: 'offers' }, 'offers')
  const second = channel.request({ type: 'keepAlive', anchor: ANCHOR }, 'revived')
  expect([(await nextRequest()).id, (await nextRequest()).id]).toEqual([1, 2])
  await answer(1, { type: 'offers', offers: [] })
  await answer(2, { type: 'revived', remainingMs: 5 })
  expect([(await first).type, (await second).remainingMs]).toEqual(['offers', 5])
})

test('a request that its receiver would not read fails at once, and the channel stays open', async () => {
  const runs = new Array<number>(REQUEST_BYTES_MAX).fill(1)
  const asked = channel.payload({ type: 'items', anchor: ANCHOR, index: 0, runs })
  await expect(asked).rejects.toThrow(expect.objectContaining({ name: 'FrameTooLong' }))
  const noted = channel.request({ type: 'offers' }, 'offers')
  await answer((await nextRequest()).id, { type: 'offers', offers: [] })
  expect(await noted).toEqual({ type: 'offers', offers: [] })
})

test('an error is the answer to its request alone: the channel stays open', async () => {
  const first = channel.request({ type: 'offers' }, 'offers')
  const second = channel.request({ type: 'offers' }, 'offers')
  await answer(1, { type: 'error', error: new Busy('later', 50) })
  await expect(first).rejects.toThrow(Busy)
  await answer(2, { type: 'offers', offers: [] })
  await second
  expect(channel.open).toBe(true)
})

test('a ranged fetch gets its chunks in order', async () => {
  const got: [number, string][] = []
  const fetched = channel.fetch(RANGE, (index, { bytes }) => got.push([index, String(bytes[0])]))
  await chunk(1, 3)
  await chunk(1, 4)
  await fetched
  expect(got).toEqual([
    [3, '3'],
    [4, '4'],
  ])
})

test('a range that ends early with an error rejects with it, and the chunks before count', async () => {
  const got: number[] = []
  const fetched = channel.fetch(RANGE, (index) => got.push(index))
  await chunk(1, 3)
  await answer(1, { type: 'error', error: new Failed('the disk is gone') })
  await expect(fetched).rejects.toThrow('the disk is gone')
  expect([got, channel.open]).toEqual([[3], true])
})

test('a peer that says nothing while an answer is due is unavailable', async () => {
  const asked = channel.request({ type: 'offers' }, 'offers')
  const fetched = channel.fetch(RANGE, () => {})
  clock.advance(TIMEOUT_MS - 1)
  expect(channel.open).toBe(true)
  clock.advance(1)
  await expect(asked).rejects.toThrow(PeerUnavailable)
  await expect(fetched).rejects.toThrow('sent nothing for 1000 ms')
  expect(channel.open).toBe(false)
})

test('every chunk shows that the peer is alive', async () => {
  const got = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const fetched = channel.fetch(RANGE, (index) => got[index - 3]!.resolve())
  clock.advance(TIMEOUT_MS - 1)
  await chunk(1, 3)
  await got[0]!.promise
  clock.advance(TIMEOUT_MS - 1)
  await chunk(1, 4)
  await fetched
})

test('a peer may be silent as long as nothing is due', async () => {
  const asked = channel.request({ type: 'offers' }, 'offers')
  await answer(1, { type: 'offers', offers: [] })
  await asked
  clock.advance(100 * TIMEOUT_MS)
  expect(channel.open).toBe(true)
})

test('a channel that ended fails whoever asks next, with the same reason', async () => {
  peer.abort(new Error('died'))
  await expect(channel.request({ type: 'offers' }, 'offers')).rejects.toThrow(PeerUnavailable)
  await expect(channel.request({ type: 'offers' }, 'offers')).rejects.toThrow('died')
})

test('a peer that ends the stream with an answer due is unavailable', async () => {
  const asked = channel.request({ type: 'offers' }, 'offers')
  await peer.close()
  await expect(asked).rejects.toThrow(PeerUnavailable)
})

test.each<[what: string, send: () => Promise<void>]>([
  ['an answer of another kind', () => answer(1, { type: 'noted' })],
  ['an answer to another request', () => answer(2, { type: 'offers', offers: [] })],
  ['a chunk for a question', () => chunk(1, 0)],
  ['bytes that are no frame', () => peer.send(encodeFrame({ header: Buffer.from('hello?') }))],
])('%s ends the channel as malformed', async (_what, send) => {
  const asked = channel.request({ type: 'offers' }, 'offers')
  await send()
  await expect(asked).rejects.toThrow(ProvenFault)
  expect([channel.open, proofs.length]).toEqual([false, 1])
})

test.each<[what: string, send: () => Promise<void>]>([
  ['another chunk than the next', () => chunk(1, 4)],
  ['a chunk without bytes', () => answer(1, { type: 'chunk', index: 3, encoding: 'raw' })],
  ['no chunk', () => answer(1, { type: 'noted' })],
])('a fetch that is answered with %s ends the channel as malformed', async (_what, send) => {
  const fetched = channel.fetch(RANGE, () => {})
  await send()
  await expect(fetched).rejects.toThrow(ProvenFault)
  expect([channel.open, channel.chunksDue, proofs.length]).toEqual([false, 0, 1])
})

test('an answer that nobody asked for ends the channel', async () => {
  await answer(1, { type: 'noted' })
  await clock.turn()
  expect([channel.open, proofs.length]).toEqual([false, 1])
})

test('an error that nobody asked for ends the channel with it: the peer did not read on', async () => {
  const asked = channel.request({ type: 'offers' }, 'offers')
  await answer(0, { type: 'error', error: new Busy('too many streams', 50) })
  await expect(asked).rejects.toThrow(Busy)
  expect([channel.open, proofs]).toEqual([false, []])
})

test('a stream that ends within a frame proves nothing against its sender', async () => {
  const asked = channel.request({ type: 'offers' }, 'offers')
  await peer.send(encodeFrame({ header: Buffer.alloc(20) }).sublist(0, 10))
  await peer.close()
  await expect(asked).rejects.toThrow(PeerUnavailable)
  expect(proofs).toEqual([])
})

test('what is due are the chunks that were asked for and have not come', async () => {
  const got = Promise.withResolvers<void>()
  const fetched = channel.fetch(RANGE, () => got.resolve())
  const second = channel.fetch(RANGE, () => {})
  expect(channel.chunksDue).toBe(4)
  await chunk(1, 3)
  await got.promise
  expect(channel.chunksDue).toBe(3)
  await answer(1, { type: 'error', error: new Busy('later', 50) })
  await expect(fetched).rejects.toThrow(Busy)
  expect(channel.chunksDue).toBe(2)
  channel.abort(new Failed('enough'))
  await expect(second).rejects.toThrow('enough')
  expect(channel.chunksDue).toBe(0)
})

test('a peer that complains of malformed bytes says so to whoever waits', async () => {
  const asked = channel.request({ type: 'offers' }, 'offers')
  await answer(0, { type: 'error', error: new Malformed('what was that?') })
  await expect(asked).rejects.toThrow('what was that?')
  // What a peer says of us proves nothing against it.
  expect(proofs).toEqual([])
})

test('what the taker of a chunk throws ends the channel', async () => {
  const fetched = channel.fetch(RANGE, () => {
    throw new Malformed('not what the manifest promises')
  })
  await chunk(1, 3)
  await expect(fetched).rejects.toThrow('not what the manifest promises')
  expect(channel.open).toBe(false)
})

test('a channel that is closed ends the stream and fails what is due', async () => {
  const asked = channel.request({ type: 'offers' }, 'offers')
  await channel.close()
  await channel.close()
  await expect(asked).rejects.toThrow('the channel was closed')
  await nextRequest()
  expect((await requests.next()).done).toBe(true)
})

test('a large frame that comes slowly is no silence, and an answer behind the chunks of another stream is none either', async () => {
  const due = channel.request({ type: 'offers' }, 'offers')
  const { id } = await nextRequest()
  const frame = encodeFrame({ header: encodeResponse({ id, body: { type: 'offers', offers: [] } }) })
  for (let second = 0; second < 5; second++) {
    clock.advance(TIMEOUT_MS - 1)
    pulse.beat(16 * 1024, clock.now())
    clock.advance(1)
  }
  await peer.send(frame)
  expect(await due).toMatchObject({ offers: [] })
})

test('a byte now and then is silence all the same', async () => {
  const due = channel.request({ type: 'offers' }, 'offers')
  await nextRequest()
  for (let n = 0; n < 10; n++) {
    clock.advance(TIMEOUT_MS / 10)
    pulse.beat(1, clock.now())
  }
  await expect(due).rejects.toMatchObject({ name: 'PeerUnavailable' })
})
