import { beforeEach, describe, expect, test } from 'vitest'
import { ANSWER_BYTES_MAX } from '../../src/bounds.ts'
import { AvailableSnapshots } from '../../src/snapshot/available.ts'
import type { Answer, Order } from '../../src/sync/host.ts'
import { ANSWER_WAIT_MS } from '../../src/sync/limits.ts'
import { AnchorAllocator } from '../../src/sync/serving/anchor-allocator.ts'
import { Provider } from '../../src/sync/serving/provider.ts'
import { Channel } from '../../src/sync/wire/channel.ts'
import { NotLeader } from '../../src/sync/wire/errors.ts'
import { Pulse } from '../../src/sync/wire/pulse.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { rawCoder } from '../snapshot/raw-coder.ts'
import { duplexPair } from './memory-network.ts'
import { StubHost } from './stub-host.ts'

const TTL_MS = 1_000
const QUESTION = Buffer.from('CH/Bern')

/** A host that answers. */
class KnowingHost extends StubHost {
  readonly asked: string[] = []
  readonly orders: Order[] = []
  answer: (question: Uint8Array, signal: AbortSignal) => Promise<Answer> = async () => ({
    bytes: Buffer.from('134794'),
    index: 7,
  })

  async query(question: Uint8Array, signal: AbortSignal): Promise<Answer> {
    this.asked.push(Buffer.from(question).toString())
    return await this.answer(question, signal)
  }

  async status(): Promise<object> {
    return { id: 'me', speaks: [Buffer.of(1, 255)] }
  }

  async order(order: Order): Promise<number> {
    this.orders.push(order)
    return 5
  }
}

let clock: VirtualClock
let host: KnowingHost
let mute: StubHost
let onMembersChanged: () => void

beforeEach(() => {
  clock = new VirtualClock()
  host = new KnowingHost('me')
  mute = new StubHost('me')
  for (const each of [host, mute]) each.admit('peer')
  onMembersChanged = () => {}
})

function connect({ peer = 'peer', of = host as StubHost, group = 'g', signature = 's' } = {}): Channel {
  const available = new AvailableSnapshots({ clock, ttlMs: TTL_MS, coder: rawCoder })
  const common = { host: of, available, clock }
  const times = { ttlMs: TTL_MS, sealTimeoutMs: 15_000, markersPerMinute: 30 }
  const allocator = new AnchorAllocator({ ...common, ...times, self: 'me' })
  const [ours, theirs] = duplexPair()
  void new Provider({ ...common, allocator, onEvent: () => {} }).serve(peer, theirs)
  return new Channel({
    stream: ours,
    scope: { group, signature },
    clock,
    timeoutMs: 60_000,
    pulse: new Pulse(),
  })
}

const turns = async () => {
  for (let n = 0; n < 20; n++) await new Promise(setImmediate)
}

describe('a question', () => {
  test('is answered with bytes, and with where in the log the answer is of', async () => {
    const { bytes, index } = await connect().query(QUESTION)
    expect([Buffer.from(bytes!).toString(), index]).toEqual(['134794', 7])
    expect(host.asked).toEqual(['CH/Bern'])
  })

  test('may have no answer, or one without a byte', async () => {
    host.answer = async () => ({ bytes: undefined, index: 7 })
    expect(await connect().query(QUESTION)).toEqual({ bytes: undefined, index: 7 })
    host.answer = async () => ({ bytes: new Uint8Array(), index: 7 })
    expect((await connect().query(QUESTION)).bytes).toHaveLength(0)
  })

  test('needs no machine: whoever asks may know none', async () => {
    expect((await connect({ signature: '' }).query(QUESTION)).index).toBe(7)
  })

  test('is refused to strangers, to another group, and by a host that answers none', async () => {
    const refused = (name: string) => expect.objectContaining({ name })
    await expect(connect({ group: 'other' }).query(QUESTION)).rejects.toEqual(refused('Incompatible'))
    await expect(connect({ of: mute }).query(QUESTION)).rejects.toEqual(refused('Failed'))
    const stranger = connect({ peer: 'stranger' }).query(QUESTION)
    await expect(stranger).rejects.toEqual(refused('Unauthorized'))
    expect(host.asked).toEqual([])
  })

  test('that the machine does not understand is answered with why', async () => {
    host.answer = async () => {
      throw new Error('a list is asked for an index')
    }
    const expected = expect.objectContaining({ name: 'Failed', message: 'a list is asked for an index' })
    await expect(connect().query(QUESTION)).rejects.toEqual(expected)
  })

  test('whose answer does not come in time is told Busy, and ended', async () => {
    let ended = false
    host.answer = (_, signal) =>
      new Promise(() => {
        signal.addEventListener('abort', () => {
          ended = true
        })
      })
    const answer = connect().query(QUESTION)
    answer.catch(() => {})
    await turns()
    clock.advance(ANSWER_WAIT_MS)
    await expect(answer).rejects.toEqual(expect.objectContaining({ name: 'Busy' }))
    expect(ended).toBe(true)
  })

  test('whose answer no frame would hold is refused, and the stream goes on', async () => {
    const channel = connect()
    host.answer = async () => ({ bytes: new Uint8Array(ANSWER_BYTES_MAX + 1), index: 7 })
    const expected = expect.objectContaining({ name: 'Failed', message: expect.stringContaining('at most') })
    await expect(channel.query(QUESTION)).rejects.toEqual(expected)
    host.answer = async () => ({ bytes: Buffer.from('1'), index: 8 })
    expect((await channel.query(QUESTION)).index).toBe(8)
  })
})

test('a status is JSON, with bytes in hexadecimal', async () => {
  const report = JSON.parse(Buffer.from(await connect().status()).toString())
  expect(report).toEqual({ id: 'me', speaks: ['01ff'] })
  await expect(connect({ of: mute }).status()).rejects.toMatchObject({ name: 'Failed' })
})

describe('an order', () => {
  const prune = { type: 'prune', keepEntries: 3 } as const

  test('is obeyed by the host, and answered with the entry that it is about', async () => {
    const done = await connect().request({ type: 'order', order: prune }, 'done')
    expect(done).toEqual({ type: 'done', index: 5 })
    expect(host.orders).toEqual([prune])
  })

  test('is answered with the leader by others, and refused where nobody takes any', async () => {
    host.order = async () => {
      throw new NotLeader('l')
    }
    const asked = { type: 'order', order: prune } as const
    await expect(connect().request(asked, 'done')).rejects.toMatchObject({ name: 'NotLeader', leader: 'l' })
    await expect(connect({ of: mute }).request(asked, 'done')).rejects.toMatchObject({ name: 'Failed' })
    const stranger = connect({ peer: 'stranger' })
    await expect(stranger.request(asked, 'done')).rejects.toMatchObject({ name: 'Unauthorized' })
  })
})

test('a newcomer is let in as soon as its announcement comes, though the members are not read anew yet', async () => {
  Object.assign(host, {
    onMembersChanged: (listener: () => void) => {
      onMembersChanged = listener
      return () => {}
    },
  })
  const available = new AvailableSnapshots({ clock, ttlMs: TTL_MS, coder: rawCoder })
  const common = { host, available, clock }
  const times = { ttlMs: TTL_MS, sealTimeoutMs: 15_000, markersPerMinute: 30 }
  const allocator = new AnchorAllocator({ ...common, ...times, self: 'me' })
  const provider = new Provider({ ...common, allocator, onEvent: () => {} })
  const ask = (peer: string) => {
    const [ours, theirs] = duplexPair()
    void provider.serve(peer, theirs)
    const scope = { group: 'g', signature: 's' }
    return new Channel({ stream: ours, scope, clock, timeoutMs: 60_000, pulse: new Pulse() }).query(QUESTION)
  }
  await expect(ask('stranger')).rejects.toMatchObject({ name: 'Unauthorized' })
  const answer = ask('newcomer')
  await turns()
  expect(host.asked).toEqual([])
  host.admit('newcomer')
  onMembersChanged()
  expect((await answer).index).toBe(7)
  // Only the first stranger cost a reading.
  expect(host.refreshed).toBe(1)
})
