import { StreamResetError, StreamStateError } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { beforeEach, describe, expect, test } from 'vitest'
import { memoryLog } from '../../src/log/memory.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplicaOn } from '../../src/replica/start.ts'
import type { ByteStream } from '../../src/sync/wire/frames.ts'
import { syncCoder } from '../../src/testing/simulation/coder.ts'
import { keyAt, prepareKeys } from '../../src/testing/simulation/keys.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { LifeClock } from '../../src/testing/simulation/life-clock.ts'
import { type SimulatedEndpoint, SimulatedNetwork } from '../../src/testing/simulation/network.ts'
import { World } from '../../src/testing/simulation/world.ts'
import { systemClock } from '../../src/time/clock.ts'
import { Journal, line } from '../replica/journal.ts'

const WINDOW = 256 * 1024
const EVENTS_MAX = 20_000

let world: World
let network: SimulatedNetwork
let a: Peer
let b: Peer

beforeEach(() => begin(1))

function begin(seed: number): void {
  world = new World(seed)
  network = new SimulatedNetwork(world)
  network.setQuality({ latencyMs: 10 })
  a = new Peer('a')
  b = new Peer('b')
}

/** A process that dials, and keeps the streams that others open to it. */
class Peer {
  readonly life: Life
  readonly endpoint: SimulatedEndpoint
  readonly opened: Side[] = []

  constructor(node: string, name = `${node}#1`, peer = node) {
    this.life = new Life(world, name)
    this.endpoint = network.joinAs(this.life, peer, node)
    this.endpoint.serveWith(async (from, stream) => {
      this.opened.push(new Side(stream, from))
    })
  }

  dial(peer: string, signal = new AbortController().signal): Watched<ByteStream> {
    return new Watched(this.endpoint.dial(peer, signal))
  }
}

/** What became of a promise, and when. */
class Watched<T> {
  value: T | undefined
  error: Error | undefined
  atMs: number | undefined

  constructor(promise: Promise<T>) {
    promise.then(
      (value) => this.#settle({ value }),
      (error) => this.#settle({ error }),
    )
  }

  #settle({ value, error }: { value?: T; error?: Error }): void {
    this.value = value
    this.error = error
    this.atMs = world.nowMs
  }
}

/** One side of a stream, that reads all, or as much as it is told to. */
class Side {
  readonly stream: ByteStream
  readonly peer: string
  readonly pieces: { readonly atMs: number; readonly bytes: Uint8Array }[] = []
  /** Undefined until it has read to the end. */
  end: Watched<void> | undefined
  readonly #source: AsyncIterator<Uint8Array | Uint8ArrayList>

  constructor(stream: ByteStream, peer = '') {
    this.stream = stream
    this.peer = peer
    this.#source = stream.source[Symbol.asyncIterator]()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces.map(({ bytes }) => bytes))
  }

  get times(): number[] {
    return this.pieces.map(({ atMs }) => atMs)
  }

  readAll(): this {
    this.end = new Watched(this.#read(Number.POSITIVE_INFINITY))
    return this
  }

  read(pieces: number): void {
    void this.#read(pieces)
  }

  send(bytes: Uint8Array): Watched<void> {
    return new Watched(this.stream.send(new Uint8ArrayList(bytes)))
  }

  async #read(pieces: number): Promise<void> {
    while (this.pieces.length < pieces) {
      const { done, value } = await this.#source.next()
      if (done) return
      this.pieces.push({ atMs: world.nowMs, bytes: value.slice() })
    }
  }
}

async function until(atMs: number, done: () => boolean = () => false): Promise<void> {
  // What the test has just done leads to something at once.
  await systemClock.turn()
  for (let n = 0; !done() && (await world.step(atMs)); n++)
    if (n > EVENTS_MAX) throw new Error(`more than ${EVENTS_MAX} events`)
}

async function open(from = a, to = b): Promise<readonly [Side, Side]> {
  const dialled = from.dial(to.endpoint.self)
  const known = to.opened.length
  await until(world.nowMs + 1_000, () => dialled.atMs !== undefined)
  return [new Side(dialled.value!, to.endpoint.self), to.opened[known]!]
}

const text = (side: Side): string => side.bytes.toString()
const notes = (): string[] =>
  world.trace.timeline().flatMap(({ who, what }) => (who === 'network' ? [what] : []))

describe('quality', () => {
  test('a dial takes a round trip, and bytes take the latency', async () => {
    const [side, served] = await open()
    expect([world.nowMs, served.peer]).toEqual([20, 'a'])
    served.readAll()
    const sent = side.send(Buffer.from('hello'))
    await until(100)
    expect([text(served), served.times, sent.atMs]).toEqual(['hello', [30], 20])
    expect([...network.bytes]).toEqual([
      ['a>b', 5],
      ['b>a', 0],
    ])
  })

  test('of two nodes with different latencies the worse one counts', async () => {
    network.setQuality({ latencyMs: 70 }, 'b')
    const [side] = await open()
    expect([world.nowMs, side.peer]).toEqual([140, 'b'])
    await open(a, new Peer('c'))
    expect(world.nowMs).toBe(160)
  })

  test('streams of a node share its bandwidth', async () => {
    const c = new Peer('c')
    const [toB, atB] = await open()
    const [toC, atC] = await open(a, c)
    network.setQuality({ bytesPerSecond: 1_000_000 }, 'a')
    atB.readAll()
    atC.readAll()
    const beganMs = world.nowMs
    toB.send(Buffer.alloc(200_000))
    toC.send(Buffer.alloc(200_000))
    await until(5_000)
    expect([atB.bytes.length, atC.bytes.length]).toEqual([200_000, 200_000])
    // They take turns, and the last of 400 KB is through after 400 ms.
    expect(atB.times.at(-1)! - beganMs).toBeCloseTo(300 + 10)
    expect(atC.times.at(-1)! - beganMs).toBeCloseTo(400 + 10)
  })

  test('a slow receiver does not slow down what its sender sends to others', async () => {
    const c = new Peer('c')
    const [toB, atB] = await open()
    const [toC, atC] = await open(a, c)
    network.setQuality({ bytesPerSecond: 100_000 }, 'b')
    atB.readAll()
    atC.readAll()
    const beganMs = world.nowMs
    toB.send(Buffer.alloc(100_000))
    toC.send(Buffer.alloc(100_000))
    await until(5_000)
    expect(atB.times.at(-1)! - beganMs).toBeCloseTo(1_000 + 10)
    expect(atC.times.at(-1)! - beganMs).toBeCloseTo(10)
  })

  test('those who send to a slow receiver share what it can take', async () => {
    const c = new Peer('c')
    const [fromA, atA] = await open()
    const [fromC, atC] = await open(c, b)
    network.setQuality({ bytesPerSecond: 100_000 }, 'b')
    atA.readAll()
    atC.readAll()
    const beganMs = world.nowMs
    fromA.send(Buffer.alloc(100_000))
    fromC.send(Buffer.alloc(100_000))
    await until(5_000)
    expect([atA.bytes.length, atC.bytes.length]).toEqual([100_000, 100_000])
    expect(Math.max(atA.times.at(-1)!, atC.times.at(-1)!) - beganMs).toBeCloseTo(2_000 + 10)
  })

  test('what comes from afar does not hold up what comes from near', async () => {
    const c = new Peer('c')
    const [fromA, atA] = await open()
    const [fromC, atC] = await open(c, b)
    network.setQuality({ latencyMs: 500 }, 'c')
    network.setQuality({ bytesPerSecond: 1_000_000 })
    atA.readAll()
    atC.readAll()
    const beganMs = world.nowMs
    fromC.send(Buffer.alloc(1_000))
    fromA.send(Buffer.alloc(1_000))
    await until(5_000)
    expect(atA.times[0]! - beganMs).toBeCloseTo(11)
    expect(atC.times[0]! - beganMs).toBeCloseTo(501)
  })

  test('a small message of another stream gets between the pieces of a large one', async () => {
    const [large, atLarge] = await open()
    const [small, atSmall] = await open()
    network.setQuality({ bytesPerSecond: 1_000_000 })
    atLarge.readAll()
    atSmall.readAll()
    const beganMs = world.nowMs
    large.send(Buffer.alloc(250_000))
    small.send(Buffer.from('me too'))
    await until(5_000)
    expect(atSmall.times[0]! - beganMs).toBeLessThan(120)
    expect(atLarge.times.at(-1)! - beganMs).toBeGreaterThan(250)
  })

  test('what is sent over a link that gets faster waits for what was sent before', async () => {
    const [side, served] = await open()
    served.readAll()
    network.setQuality({ latencyMs: 100 })
    side.send(Buffer.from('slow'))
    await until(30)
    network.setQuality({ latencyMs: 10 })
    side.send(Buffer.from('fast'))
    await until(1_000)
    expect([text(served), served.times]).toEqual(['slowfast', [120, 120]])
  })

  test('order is kept, whatever the jitter, the bandwidth and the sizes', async () => {
    network.setQuality({ jitterMs: 40, bytesPerSecond: 300_000 })
    const [side, served] = await open()
    served.readAll()
    const chance = world.chance('sizes')
    const all: Buffer[] = []
    for (let n = 0; n < 60; n++) {
      const bytes = Buffer.alloc(chance.integer(1, n % 10 === 0 ? 300_000 : 300), n)
      all.push(bytes)
      side.send(bytes)
      if (n % 7 === 0) await until(world.nowMs + chance.integer(0, 50))
    }
    await until(60_000)
    expect(Buffer.compare(served.bytes, Buffer.concat(all))).toBe(0)
    expect([network.bytesHeld, side.stream.unsentBytes]).toEqual([0, 0])
  })
})

describe('back-pressure', () => {
  test('a sender waits while 256 KiB are unread, and hears of what is read', async () => {
    const [side, served] = await open()
    const fits = side.send(Buffer.alloc(WINDOW))
    await until(100)
    expect(fits.atMs).toBe(20)
    const waits = side.send(Buffer.alloc(1_000))
    const flushed = new Watched(side.stream.flushed())
    await until(200)
    expect([waits.atMs, flushed.atMs, side.stream.unsentBytes]).toEqual([undefined, undefined, 1_000])
    expect(network.bytesHeld).toBe(WINDOW + 1_000)
    served.readAll()
    await until(300)
    expect([waits.atMs, flushed.atMs, side.stream.unsentBytes]).toEqual([210, 210, 0])
    expect([served.bytes.length, network.bytesHeld]).toEqual([WINDOW + 1_000, 0])
  })

  test('what was sent is the state at that time: the sender may use its buffer again', async () => {
    const [side, served] = await open()
    const bytes = Buffer.from('before')
    side.send(bytes)
    bytes.write('after!')
    served.readAll()
    await until(100)
    expect(text(served)).toBe('before')
  })
})

describe('ends', () => {
  test('a side that is closed ends after what was sent, and the other side may go on', async () => {
    const [side, served] = await open()
    served.readAll()
    side.readAll()
    side.send(Buffer.alloc(WINDOW + 10))
    const closed = new Watched(side.stream.close())
    await until(100)
    expect([served.bytes.length, served.end!.atMs, closed.error]).toEqual([WINDOW + 10, 50, undefined])
    await expect(side.stream.send(new Uint8ArrayList(Buffer.from('more')))).rejects.toThrow(StreamStateError)
    served.send(Buffer.from('answer'))
    await served.stream.close()
    await until(200)
    expect([text(side), side.end!.error, network.openStreams]).toEqual(['answer', undefined, 0])
    expect(notes().at(-1)).toBe(`a#1>b#1, ${WINDOW + 10} bytes there and 6 back is over`)
  })

  test('an abort ends both sides: the other one after the latency, and after what had arrived', async () => {
    const [side, served] = await open()
    side.readAll()
    side.send(Buffer.from('last words'))
    await until(35)
    const waiting = side.send(Buffer.alloc(2 * WINDOW))
    side.stream.abort(new Error('enough'))
    await until(36)
    expect([side.end!.error?.message, waiting.error?.message]).toEqual(['enough', 'enough'])
    await until(100)
    served.readAll()
    await until(101)
    expect(text(served).slice(0, 10)).toBe('last words')
    expect(served.end!.error).toBeInstanceOf(StreamResetError)
    expect(network.openStreams).toBe(0)
  })

  test('a peer whose service rejects resets the stream', async () => {
    const life = new Life(world, 'c#1')
    network.joinAs(life, 'c', 'c').serveWith(() => Promise.reject(new Error('not for you')))
    const dialled = a.dial('c')
    await until(20)
    const side = new Side(dialled.value!).readAll()
    await until(100)
    expect(side.end!.error).toBeInstanceOf(StreamResetError)
  })
})

describe('dials', () => {
  test('nobody is there: refused after a round trip', async () => {
    const dialled = a.dial('x')
    await b.endpoint.leave()
    const late = a.dial('b')
    await until(100)
    expect([dialled.error?.message, dialled.atMs]).toEqual(['x refused the connection', 20])
    expect([late.error?.message, late.atMs]).toEqual(['b refused the connection', 20])
    expect(notes()).toContain('b refuses a#1')
  })

  test('a dial that is given up leaves no stream', async () => {
    const given = new AbortController()
    const dialled = a.dial('b', given.signal)
    await until(15)
    given.abort(new Error('too slow'))
    await until(16)
    expect(dialled.error?.message).toBe('too slow')
    b.opened[0]!.readAll()
    await until(100)
    expect(b.opened[0]!.end!.error).toBeInstanceOf(StreamResetError)
    expect(network.openStreams).toBe(0)
  })

  test('of two processes of one identity the one at the address is dialled', async () => {
    const copy = new Peer('c', 'c#1', 'b')
    const { signal } = new AbortController()
    new Watched(a.endpoint.dial('b', signal, ['/sim/b']))
    await until(50)
    expect([b.opened.length, copy.opened.length]).toEqual([1, 0])
    new Watched(a.endpoint.dial('b', signal))
    await until(100)
    expect([b.opened.length, copy.opened.length]).toEqual([1, 1])
  })

  test('who has left dials no more, and its streams have ended on both sides', async () => {
    const [side, served] = await open()
    side.readAll()
    served.readAll()
    const pending = a.dial('b')
    await a.endpoint.leave()
    await until(100)
    expect(side.end!.error?.message).toBe('this node has stopped')
    expect(served.end!.error).toBeInstanceOf(StreamResetError)
    expect(pending.error?.message).toBe('this node has stopped')
    await expect(a.endpoint.dial('b', new AbortController().signal)).rejects.toThrow('has stopped')
    expect(network.openStreams).toBe(0)
  })
})

describe('faults', () => {
  test('a cut holds what one side sends until it is mended; the other direction goes on', async () => {
    const [side, served] = await open()
    side.readAll()
    served.readAll()
    side.send(Buffer.from('1'))
    network.cut('a', 'b')
    await until(50)
    side.send(Buffer.from('2'))
    served.send(Buffer.from('back'))
    await until(1_000)
    expect([text(served), text(side), network.bytesHeld]).toEqual(['', 'back', 2])
    network.mend('a', 'b')
    side.send(Buffer.from('3'))
    await until(2_000)
    expect([text(served), served.times]).toEqual(['123', [1_010, 1_010, 1_010]])
  })

  test('a cut holds what lets a sender go on', async () => {
    const [side, served] = await open()
    served.readAll()
    network.cut('b', 'a')
    const sent = side.send(Buffer.alloc(2 * WINDOW))
    await until(1_000)
    expect([served.bytes.length, sent.atMs]).toEqual([WINDOW, undefined])
    network.mend()
    await until(2_000)
    expect([served.bytes.length, sent.atMs]).toEqual([2 * WINDOW, 1_010])
  })

  test('a link that is cut again before the held bytes are there holds them on', async () => {
    const [side, served] = await open()
    served.readAll()
    network.cut('a', 'b')
    side.send(Buffer.from('1'))
    await until(100)
    network.mend('a', 'b')
    side.send(Buffer.from('2'))
    await until(105)
    network.cut('a', 'b')
    await until(1_000)
    expect(text(served)).toBe('')
    network.mend('a', 'b')
    await until(2_000)
    expect(text(served)).toBe('12')
  })

  test('what was on its way when a link was mended comes after what was held', async () => {
    const [side, served] = await open()
    served.readAll()
    network.cut('a', 'b')
    side.send(Buffer.from('1'))
    await until(95)
    side.send(Buffer.from('2'))
    await until(100)
    network.mend()
    await until(1_000)
    expect([text(served), served.times]).toEqual(['12', [110, 110]])
  })

  test('to an isolated node a dial hangs until it is given up, and until then it may be mended', async () => {
    network.isolate('b')
    const given = new AbortController()
    const one = a.dial('b', given.signal)
    const other = a.dial('b')
    await until(1_000)
    expect([one.atMs, other.atMs]).toEqual([undefined, undefined])
    given.abort(new Error('too slow'))
    await until(1_001)
    expect(one.error?.message).toBe('too slow')
    network.mend('b')
    await until(2_000)
    expect([other.atMs, b.opened.length, network.openStreams]).toEqual([1_021, 1, 1])
  })

  test('both directions of a link are cut', async () => {
    network.cutBoth('a', 'b')
    const dialled = [a.dial('b'), b.dial('a'), a.dial('x')]
    await until(1_000)
    expect(dialled.map(({ atMs }) => atMs)).toEqual([undefined, undefined, 20])
    network.mend('a', 'b')
    network.mend('b', 'a')
    await until(2_000)
    expect(dialled.map(({ atMs }) => atMs)).toEqual([1_020, 1_020, 20])
  })

  test('a silent node takes dials and bytes, and never answers until it speaks', async () => {
    network.silence('b')
    const dialled = a.dial('b')
    await until(1_000)
    expect([dialled.atMs, b.opened.length]).toEqual([undefined, 1])
    b.opened[0]!.readAll().send(Buffer.from('hear me'))
    network.speak('b')
    await until(1_010)
    const side = new Side(dialled.value!).readAll()
    side.send(Buffer.from('I do'))
    await until(2_000)
    expect([text(side), text(b.opened[0]!)]).toEqual(['hear me', 'I do'])
  })

  test('a connection that breaks ends the streams and dials of its two nodes, and no others', async () => {
    const c = new Peer('c')
    const [side, served] = await open()
    const [toC, atC] = await open(a, c)
    for (const one of [side, served, toC, atC]) one.readAll()
    const pending = b.dial('a')
    side.send(Buffer.from('lost'))
    toC.send(Buffer.from('kept'))
    network.disconnect('b', 'a')
    await until(1_000)
    const broke = 'the connection broke'
    expect([side, served].map(({ end }) => end!.error?.message)).toEqual([broke, broke])
    expect([pending.error?.message, text(served), text(atC), atC.end!.atMs]).toEqual([
      broke,
      '',
      'kept',
      undefined,
    ])
    expect(network.openStreams).toBe(1)
  })
})

describe('lives', () => {
  test('the death of a process resets its streams for its peers, and its own side never settles', async () => {
    const [side, served] = await open()
    side.readAll()
    served.readAll()
    side.send(Buffer.from('last words'))
    const waiting = side.send(Buffer.alloc(2 * WINDOW))
    a.life.kill()
    await until(1_000)
    expect(text(served).slice(0, 10)).toBe('last words')
    expect(served.end!).toMatchObject({ atMs: 30, error: expect.any(StreamResetError) })
    expect([side.end!.atMs, waiting.atMs, network.openStreams]).toEqual([undefined, undefined, 0])
    const after = [side.send(Buffer.from('ghost')), a.dial('b')]
    await until(2_000)
    expect(after.map(({ atMs }) => atMs)).toEqual([undefined, undefined])
  })

  test('a dial of a process that dies meanwhile opens nothing', async () => {
    a.dial('b')
    await until(5)
    a.life.kill()
    await until(1_000)
    expect([b.opened.length, network.openStreams]).toEqual([0, 0])
  })

  test('one life may have several identities, and each leaves with its own streams', async () => {
    const other = network.joinAs(a.life, 'other', 'a')
    const dialled = new Watched(other.dial('b', new AbortController().signal))
    const [side] = await open()
    const own = new Side(dialled.value!).readAll()
    side.readAll()
    await other.leave()
    await until(1_000)
    expect(b.opened.map(({ peer }) => peer)).toEqual(['other', 'a'])
    expect([own.end!.error?.message, side.end!.atMs]).toEqual(['this node has stopped', undefined])
    expect(network.openStreams).toBe(1)
  })

  test('a peer that is cut off hears of a death when the link is mended', async () => {
    const [, served] = await open()
    served.readAll()
    network.cut('a', 'b')
    a.life.kill()
    await until(1_000)
    expect([served.end!.atMs, network.openStreams]).toEqual([undefined, 1])
    network.mend()
    await until(2_000)
    expect([served.end!.atMs, network.openStreams]).toEqual([1_010, 0])
  })

  test('the next life of a node is dialled, and not the dead one', async () => {
    b.life.kill()
    const early = a.dial('b')
    await until(100)
    expect(early.error?.message).toBe('b refused the connection')
    const again = new Peer('b', 'b#2')
    await open(a, again)
    expect([b.opened.length, again.opened.length]).toEqual([0, 1])
  })

  test('a process that dies at a send has sent nothing', async () => {
    const [side, served] = await open()
    served.readAll()
    a.life.killAtCall(2)
    side.send(Buffer.from('1'))
    side.send(Buffer.from('2'))
    await until(1_000)
    expect(text(served)).toBe('1')
    expect(served.end!.error).toBeInstanceOf(StreamResetError)
  })

  test('streams of a paused process stall, and go on in order', async () => {
    const [side, served] = await open()
    served.readAll()
    b.life.pause()
    for (const part of ['one ', 'two ', 'three']) side.send(Buffer.from(part))
    const waiting = side.send(Buffer.alloc(WINDOW))
    side.stream.close().catch(() => {})
    await until(1_000)
    expect([text(served), waiting.atMs, side.stream.unsentBytes]).toEqual(['', undefined, 13])
    b.life.resume()
    await until(2_000)
    expect(text(served).slice(0, 13)).toBe('one two three')
    expect([served.bytes.length, served.end!.error, waiting.atMs]).toEqual([WINDOW + 13, undefined, 1_010])
  })

  test('what comes just when a process goes on comes after what had come before', async () => {
    const [side, served] = await open()
    served.readAll()
    b.life.pause()
    world.schedule(100, () => b.life.resume())
    side.send(Buffer.from('1'))
    await until(110)
    side.send(Buffer.from('2'))
    await until(1_000)
    expect([text(served), served.times]).toEqual(['12', [120, 120]])
  })

  test('a process at work takes what came meanwhile after it, in order', async () => {
    const [side, served] = await open()
    served.readAll()
    b.life.work(100)
    side.send(Buffer.from('1'))
    await until(119)
    side.send(Buffer.from('2'))
    await until(125)
    b.life.work(10)
    await until(1_000)
    expect([text(served), served.times]).toEqual(['12', [120, 135]])
  })
})

describe('from a seed', () => {
  async function trouble(seed: number): Promise<string> {
    begin(seed)
    network.setQuality({ jitterMs: 30, bytesPerSecond: 500_000 })
    const chance = world.chance('trouble')
    const [side, served] = await open()
    served.readAll()
    for (let n = 0; n < 30; n++) {
      side.send(Buffer.alloc(chance.integer(1, 20_000)))
      if (chance.happens(0.2)) network.cut('a', 'b')
      else network.mend()
      await until(world.nowMs + chance.integer(0, 40))
      world.note('test', `${served.bytes.length} bytes, ${served.times.at(-1)}`)
    }
    return world.trace.hash
  }

  test('the same seed does the same, and another one does not', async () => {
    const hashes = [await trouble(7), await trouble(7), await trouble(8)]
    expect(hashes[1]).toBe(hashes[0])
    expect(hashes[2]).not.toBe(hashes[0])
  })

  const TIMES = { leaseMs: 1500, ttlMs: 5000, requestTimeoutMs: 3000, fetchTimeoutMs: 1000 }

  async function catchUp(seed: number) {
    begin(seed)
    await prepareKeys(2)
    const log = memoryLog({ now: () => Math.floor(world.nowMs), epoch: 'one' })
    const join = async (node: string, key: number, journal: Journal): Promise<Replica<number>> => {
      const life = new Life(world, `${node}#1`)
      const replica = new Watched(
        createReplicaOn(
          {
            network: () => network.join(life, `peer-${node}`, node),
            processName: life.name,
            coder: syncCoder,
          },
          {
            ...{ group: 'g', machine: journal, log, volatile: true, chunkBytes: 50, ...TIMES },
            privateKey: keyAt(key),
            clock: new LifeClock(life, { wallMs: () => world.nowMs }),
            random: world.chance(life.name).next,
            lead: node === 'a',
          },
        ),
      )
      await until(world.nowMs + 1_000, () => replica.atMs !== undefined)
      if (replica.error !== undefined) throw replica.error
      return replica.value!
    }
    const written = new Journal()
    const fetched = new Journal()
    const leader = await join('a', 0, written)
    await until(world.nowMs + 10_000, () => leader.leader === leader.id)
    const writes = new Watched(
      (async () => {
        for (let n = 0; n < 30; n++) await leader.submit(line(`line ${n}`))
        await leader.prune({ keepEntries: 0 })
      })(),
    )
    await until(world.nowMs + 10_000, () => writes.atMs !== undefined)
    const joiner = await join('b', 1, fetched)
    let providers: readonly string[] | undefined
    joiner.addEventListener('caught-up', ({ detail }) => {
      providers = detail.providersUsed
    })
    await until(world.nowMs + 10_000, () => providers !== undefined)
    const stops = new Watched(Promise.all([leader.stop(), joiner.stop()]))
    await until(world.nowMs + 10_000, () => stops.atMs !== undefined)
    return { written, fetched, providers, writes, hash: world.trace.hash }
  }

  test('a replica catches up from another', async () => {
    network.setQuality({ jitterMs: 5 })
    const { written, fetched, providers, writes, hash } = await catchUp(3)
    expect([writes.error, providers]).toEqual([undefined, ['peer-a']])
    expect(fetched.lines).toEqual(written.lines)
    expect(fetched.lines.length).toBe(30)
    expect(network.openStreams).toBe(0)
    expect((await catchUp(3)).hash).toBe(hash)
  })
})
