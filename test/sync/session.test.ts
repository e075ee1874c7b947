import { beforeEach, describe, expect, test } from 'vitest'
import { NoProvider } from '../../src/sync/errors.ts'
import type { ChunkOutcome } from '../../src/sync/fetching/chunks/chunk-requests.ts'
import { PROVIDER_FAILURES_MAX } from '../../src/sync/fetching/chunks/provider-pool.ts'
import type { CaughtUp } from '../../src/sync/fetching/session-state.ts'
import { Busy, Malformed, UnknownAnchor } from '../../src/sync/wire/errors.ts'
import { type ByteStream, decodeFrames, encodeFrame, type Frame } from '../../src/sync/wire/frames.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeResponse,
  type Response,
  type ResponseBody,
} from '../../src/sync/wire/messages.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'
import { chanceOf } from '../../src/testing/simulation/chance.ts'
import { numberedItems } from '../snapshot/item-snapshot.ts'
import { PACED_ITEM_BYTES, PacedSnapshot } from '../snapshot/paced-snapshot.ts'
import {
  at,
  FETCH_TIMEOUT_MS,
  groupWithJoiner,
  REQUEST_TIMEOUT_MS,
  type SyncGroup,
  type SyncReplica,
  TTL_MS,
} from './sync-group.ts'

/** One chunk each. */
const ITEMS = numberedItems(40)
const hex = (items: readonly Uint8Array[]) => items.map((item) => Buffer.from(item).toString('hex'))

let group: SyncGroup
let leader: SyncReplica
let followers: SyncReplica[]
let joiner: SyncReplica

beforeEach(() => {
  ;({ group, leader, followers, joiner } = groupWithJoiner(ITEMS))
})

/** Run `act` when the `count`th chunk is sent by any of the providers. */
function whenServed(providers: readonly SyncReplica[], count: number, act: () => void): void {
  let sent = 0
  for (const { events } of providers) {
    const push = events.push.bind(events)
    events.push = (...added) => {
      for (const { type } of added) if (type === 'served' && ++sent === count) act()
      return push(...added)
    }
  }
}

/** Damage the frames that a provider sends, once it has sent `after` of them. */
function damaging(after: number): (peer: string, stream: ByteStream) => ByteStream {
  let sent = 0
  return (_peer, stream) => ({
    ...stream,
    source: stream.source,
    send: async (bytes) => {
      if (sent++ >= after) {
        const last = bytes.byteLength - 1
        bytes.set(last, bytes.get(last) ^ 1)
      }
      await stream.send(bytes)
    },
  })
}

type Chunk = Frame & { readonly id: number; readonly index: number; readonly payload: Uint8Array }

/** Send something else for each chunk of a stream; frames that are no chunks pass. */
function sending(instead: (chunk: Chunk, send: (frame: Frame) => Promise<void>) => Promise<void>) {
  return (_peer: string, stream: ByteStream): ByteStream => ({
    ...stream,
    source: stream.source,
    send: async (bytes) => {
      const [frame] = await Array.fromAsync(decodeFrames(once(bytes), 1_000_000))
      const { id, body } = decodeResponse(frame!.header)
      if (body.type !== 'chunk') return await stream.send(bytes)
      const chunk = { ...frame!, id, index: body.index, payload: frame!.payload!.slice() }
      await instead(chunk, (other) => stream.send(encodeFrame(other)))
    },
  })
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value
}

const header = (response: Response) => encodeResponse(response)

/** Answer so many requests for chunks with an error, and tell when each came. */
function refusing(times: number, error: Busy): { serve: SyncReplica['onServe']; askedMs: number[] } {
  const askedMs: number[] = []
  const seen = new Set<string>()
  let streams = 0
  const serve = (peer: string, stream: ByteStream) => {
    const own = ++streams
    const refused = new Set<number>()
    return sending(async (chunk, send) => {
      if (refused.has(chunk.id)) return
      const request = `${own}/${chunk.id}`
      if (!seen.has(request)) askedMs.push(group.clock.now())
      seen.add(request)
      if (askedMs.length > times) return await send(chunk)
      refused.add(chunk.id)
      await send({ header: header({ id: chunk.id, body: { type: 'error', error } }) })
    })(peer, stream)
  }
  return { serve, askedMs }
}

/** A catch-up from an anchor that nobody has attested yet, where only one provider is in reach at first. */
async function beginWith(first: SyncReplica): Promise<{ catching: Promise<CaughtUp> }> {
  group.leader = undefined
  group.attests = false
  group.mark('j')
  for (const replica of group.replicas.values()) if (replica !== first) group.network.turn(replica.id, 'down')
  const catching = joiner.catchUp()
  catching.catch(() => {})
  await group.pass(1000)
  for (const { id } of group.replicas.values()) group.network.turn(id, 'up')
  return { catching }
}

/** What the leader and the followers have is attested and sealed. */
async function attestLate(): Promise<void> {
  group.attests = true
  for (const { id, sync } of [leader, ...followers]) {
    group.attest(101, id, (await sync.whenCut(at(101))!).root)
  }
}

describe('a session', () => {
  test('brings the state of the group to one that has nothing', async () => {
    const report = await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(report).toMatchObject({ anchor: at(101), anchorsLost: 0, bytesFetched: 40 * 9 })
    expect(joiner.states).toEqual(['requesting', 'choosing', 'fetching', 'installing', 'done'])
  })

  test('has one id in the events of the joiner, the leader and the providers, and no other session has it', async () => {
    group.random = chanceOf(7, 'ids').next
    const first = (await group.until(joiner.catchUp())).catchUp
    expect(first).toMatch(/^[0-9a-f]{16}$/)
    const told = joiner.events.flatMap((event) => ('catchUp' in event ? [[event.type, event.catchUp]] : []))
    expect(new Set(told.map(([type]) => type))).toEqual(new Set(['session', 'fetched']))
    expect(new Set(told.map(([, id]) => id))).toEqual(new Set([first]))
    const named = { type: 'named', peer: joiner.id, anchor: at(101), catchUp: first }
    expect(leader.events.filter(({ type }) => type === 'named')).toEqual([named])
    for (const provider of followers) {
      const served = provider.events.filter((event) => event.type === 'served')
      expect(served.length).toBeGreaterThan(0)
      expect(new Set(served.map(({ catchUp }) => catchUp))).toEqual(new Set([first]))
    }
    expect(joiner.sync.catchUpId).toBe(undefined)
    const again = joiner.catchUp()
    const running = joiner.sync.catchUpId
    expect(running).not.toBe(first)
    expect((await group.until(again)).catchUp).toBe(running)
  })

  test('brings an empty state, too', async () => {
    for (const replica of [leader, ...followers]) replica.items = []
    joiner.items = ITEMS
    const report = await group.until(joiner.catchUp())
    expect([joiner.items, joiner.installs, report.bytesFetched]).toEqual([[], 1, 0])
  })

  test('takes chunks from several providers, and from the leader only what followers have no room for', async () => {
    const report = await group.until(joiner.catchUp())
    expect([...report.providersUsed]).toEqual(expect.arrayContaining(['f1', 'f2']))
    expect(leader.served + followers[0]!.served + followers[1]!.served).toBe(40)
    expect(followers[0]!.served + followers[1]!.served).toBeGreaterThan(leader.served)
  })

  test('shares the anchor of a live offer: two joiners cost one marker', async () => {
    const [second] = group.add(['k'], [])
    const reports = await group.until(Promise.all([joiner.catchUp(), second!.catchUp()]))
    expect(reports.map(({ anchor }) => anchor.index)).toEqual([101, 101])
    expect(group.newest).toBe(101)
  })

  test('pins its anchor while it needs it, and ends every stream', async () => {
    const catching = joiner.catchUp()
    await group.pass(200)
    expect(joiner.pinned).toEqual(at(101))
    await group.until(catching)
    await group.pass(100)
    expect(group.network.open).toBe(0)
  })

  test('goes on with the others when a provider dies on the way', async () => {
    whenServed(followers, 5, () => group.network.kill('f1'))
    const report = await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(report.anchorsLost).toBe(0)
  })

  test('goes on with the others when a provider falls silent on the way', async () => {
    followers[0]!.onServe = (_peer, stream) => {
      let sent = 0
      return { ...stream, send: (bytes) => (++sent > 5 ? new Promise(() => {}) : stream.send(bytes)) }
    }
    const report = await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(report.anchorsLost).toBe(0)
  })

  test('comes back to its only provider after a broken stream', async () => {
    for (const { id } of followers) group.network.turn(id, 'down')
    whenServed([leader], 3, () => {
      group.network.kill('l')
      group.network.turn('l', 'up')
    })
    const report = await group.until(joiner.catchUp())
    expect([report.providersUsed, report.anchorsLost]).toEqual([['l'], 0])
  })

  test('fetches a damaged chunk from another provider, and asks the one that sent it no more', async () => {
    // Its answers to the questions for offers and the manifest are sound.
    followers[0]!.onServe = damaging(2)
    const report = await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(report.anchorsLost).toBe(0)
    expect(followers[0]!.served).toBeLessThan(10)
  })

  test('does not wait for the rest of a range after a damaged chunk', async () => {
    followers[0]!.onServe = (peer, stream) => {
      const damaged = damaging(1)(peer, stream)
      let sent = 0
      return { ...damaged, send: (bytes) => (++sent > 2 ? new Promise(() => {}) : damaged.send(bytes)) }
    }
    const beganMs = group.clock.now()
    await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(group.clock.now() - beganMs).toBeLessThan(FETCH_TIMEOUT_MS)
  })

  test('does not believe a provider whose state is another, though it answered first', async () => {
    const [liar] = group.add(['a-liar'], numberedItems(30, 5))
    const { catching } = await beginWith(liar!)
    expect([liar!.served, joiner.installs]).toEqual([30, 0])
    await attestLate()
    const report = await group.until(catching)
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(report.providersUsed).not.toContain('a-liar')
  })

  test('follows NotLeader to who leads', async () => {
    group.leader = 'f1'
    const host = joiner.host as { leader: () => string | undefined }
    host.leader = () => 'l'
    const report = await group.until(joiner.catchUp())
    expect(report.anchor).toEqual(at(101))
    expect(report.phasesMs.request).toBeLessThan(1000)
  })

  test('asks the new leader when the old one is silent', async () => {
    group.network.turn('l', 'silent')
    const catching = joiner.catchUp()
    await group.pass(1000)
    group.leader = 'f1'
    const report = await group.until(catching)
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(report.phasesMs.request).toBeLessThan(2 * REQUEST_TIMEOUT_MS)
  })

  test.each([
    ['of another epoch', { epoch: 'another', index: 70 }],
    ['that is not above what it has', at(60)],
  ])('refuses an anchor %s, and asks whoever leads by then', async (_what, wrong) => {
    leader.host.appendMarker = async () => {
      group.leader = 'f1'
      return wrong
    }
    const report = await group.until(joiner.catchUp({ position: at(60) }))
    expect(report).toMatchObject({ anchor: at(101), anchorsLost: 0 })
  })

  test('comes back to providers that did not know it yet', async () => {
    leader.serves = false
    for (const { host } of followers) {
      const { members } = host
      host.members = () => members().filter(({ id }) => id !== 'j' || group.clock.now() >= 300)
    }
    const report = await group.until(joiner.catchUp())
    expect(report.providersUsed).toEqual(expect.arrayContaining(['f1', 'f2']))
  })

  test('takes a live offer that fits where nobody leads', async () => {
    group.leader = undefined
    group.mark('somebody')
    const report = await group.until(joiner.catchUp())
    expect(report.anchor).toEqual(at(101))
  })

  test('takes no offer that is not above what it has', async () => {
    group.leader = undefined
    group.mark('somebody')
    await expect(group.until(joiner.catchUp({ position: at(101) }))).rejects.toMatchObject({
      name: 'NoProvider',
    })
    expect(joiner.states.at(-1)).toBe('failed')
  })

  test('where nobody is left gives up with NoProvider', async () => {
    for (const id of ['l', 'f1', 'f2']) group.network.turn(id, 'down')
    await expect(group.until(joiner.catchUp())).rejects.toMatchObject({ name: 'NoProvider' })
    expect([joiner.installs, joiner.pinned]).toEqual([0, undefined])
  })

  test('one at a time: a second is refused', async () => {
    const first = joiner.catchUp()
    await expect(joiner.catchUp()).rejects.toThrow('running already')
    await group.until(first)
  })
})

describe('providers that are still cutting', () => {
  const LARGE = numberedItems(8, PACED_ITEM_BYTES)

  /** These cut one chunk after the other, and stop at the `at`th until they are let go. */
  function holding(providers: readonly SyncReplica[], at: number): { letGo: () => void } {
    const gate = Promise.withResolvers<void>()
    for (const provider of providers) {
      let snapshot: PacedSnapshot | undefined
      provider.items = LARGE
      provider.makeSnapshot = (items) => {
        snapshot = new PacedSnapshot(items, group.clock)
        return snapshot
      }
      provider.onRest = async () => {
        // Others rest too: only the cut does right after it has read an item.
        if (!snapshot?.fresh) return
        snapshot.fresh = false
        if (snapshot.read >= at) await gate.promise
      }
    }
    return { letGo: () => gate.resolve() }
  }

  const fetched = () =>
    joiner.events.flatMap((event) =>
      event.type === 'session' && event.state.status === 'fetching' ? [event.state.chunks] : [],
    )

  test('are asked for each chunk as soon as it is there', async () => {
    const { letGo } = holding([leader, ...followers], 3)
    const catching = joiner.catchUp()
    await group.pass(1000)
    expect([fetched().at(-1), joiner.installs]).toEqual([3, 0])
    letGo()
    const report = await group.until(catching)
    expect(hex(joiner.items)).toEqual(hex(LARGE))
    expect([report.anchorsLost, leader.served + followers[0]!.served + followers[1]!.served]).toEqual([0, 8])
  })

  test('are not waited for by chunks that another has', async () => {
    const [fast, slow] = [followers[0]!, followers[1]!]
    holding([fast, leader], Number.POSITIVE_INFINITY)
    const { letGo } = holding([slow], 1)
    const catching = joiner.catchUp()
    await group.pass(1000)
    expect([fetched().at(-1), slow.served]).toEqual([8, expect.toSatisfy((served) => served <= 1)])
    letGo()
    expect(hex((await group.until(catching)) && joiner.items)).toEqual(hex(LARGE))
  })

  test('and stop half-way: the session waits for as long as they live', async () => {
    const { letGo } = holding([leader, ...followers], 3)
    const catching = joiner.catchUp()
    await group.pass(2 * REQUEST_TIMEOUT_MS)
    expect([joiner.lost, fetched().at(-1)]).toEqual([[], 3])
    letGo()
    expect((await group.until(catching)).anchor).toEqual(at(101))
  })
})

describe('lists that contradict', () => {
  const lists: [what: string, items: readonly Uint8Array[]][] = [
    ['ends early', ITEMS.slice(0, 30)],
    ['ends late', [...ITEMS, ...numberedItems(3, 5)]],
    ['has another first chunk', [Buffer.from('wrong'), ...ITEMS.slice(1)]],
    ['has another last chunk', [...ITEMS.slice(0, -1), Buffer.from('wrong')]],
    ['is empty', []],
  ]

  test.each(lists)('one that %s came first: nothing of it is installed', async (_what, items) => {
    const [liar] = group.add(['a-liar'], items)
    const { catching } = await beginWith(liar!)
    expect([liar!.served, joiner.installs, joiner.states.at(-1)]).toEqual([items.length, 0, 'verifying'])
    await attestLate()
    const report = await group.until(catching)
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect([joiner.installs, report.anchorsLost]).toEqual([1, 0])
    expect(report.providersUsed).not.toContain('a-liar')
  })

  test.each(lists)('one that %s came second: its provider waits aside', async (_what, items) => {
    const [liar] = group.add(['a-liar'], items)
    followers[0]!.onServe = (_peer, stream) => {
      let sent = 0
      return { ...stream, send: (bytes) => (++sent > 4 ? new Promise(() => {}) : stream.send(bytes)) }
    }
    const { catching } = await beginWith(followers[0]!)
    for (const id of ['l', 'f2']) group.network.turn(id, 'down')
    await group.pass(1000)
    expect([liar!.served, joiner.installs]).toEqual([0, 0])
    for (const id of ['l', 'f2']) group.network.turn(id, 'up')
    await attestLate()
    const report = await group.until(catching)
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect([liar!.served, report.anchorsLost]).toEqual([0, 0])
  })

  test('one that goes on without end and without chunks ends its provider', async () => {
    group.network.join('f1').serveWith(async (_peer, stream) => {
      for await (const { header } of decodeFrames(stream.source, 1000)) {
        const { id, body: asked } = decodeRequest(header)
        const bodies: Partial<Record<typeof asked.type, ResponseBody>> = {
          manifest: { type: 'manifest', chunks: [], control: undefined },
          keepAlive: { type: 'revived', remainingMs: TTL_MS },
          offers: { type: 'offers', offers: [{ anchor: at(101), remainingMs: TTL_MS, ready: true }] },
        }
        await stream.send(encodeFrame({ header: encodeResponse({ id, body: bodies[asked.type]! }) }))
      }
    })
    const { catching } = await beginWith(followers[0]!)
    for (const replica of [leader, followers[1]!]) replica.sync.withdraw()
    group.attests = true
    group.leader = 'l'
    const report = await group.until(catching)
    expect(joiner.lost[0]).toContain('f1: a list of chunks without an end')
    expect(report.anchor).toEqual(at(102))
  })
})

describe('an anchor that is gone', () => {
  test('because its offers were withdrawn: the next one', async () => {
    let withdrawn = false
    whenServed(followers, 3, () => {
      withdrawn = true
      for (const replica of [leader, ...followers]) replica.sync.withdraw()
    })
    const report = await group.until(joiner.catchUp())
    expect([withdrawn, report.anchor, report.anchorsLost]).toEqual([true, at(102), 1])
    expect(joiner.lost).toEqual([
      expect.stringMatching(/e:101 is gone: nobody offers it any more.*withdrawn/),
    ])
    expect(joiner.installs).toBe(1)
  })

  test('because the log was pruned past it: the next one', async () => {
    whenServed(followers, 3, () => {
      group.first = 102
      for (const { id } of [leader, ...followers]) group.network.turn(id, 'silent')
    })
    for (const replica of [leader, ...followers]) {
      replica.onServe = (_peer, stream) => {
        let sent = 0
        return {
          ...stream,
          send: (bytes) => (++sent > 4 && group.newest === 101 ? new Promise(() => {}) : stream.send(bytes)),
        }
      }
    }
    const catching = joiner.catchUp()
    await group.pass(2000)
    for (const { id } of [leader, ...followers]) group.network.turn(id, 'up')
    const report = await group.until(catching)
    expect(report.anchor.index).toBeGreaterThan(101)
    expect(joiner.lost[0]).toContain('pruned')
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
  })

  test('because it was never sealed: a newer one', async () => {
    group.attests = false
    const catching = joiner.catchUp()
    await group.pass(REQUEST_TIMEOUT_MS / 2)
    expect([joiner.states.at(-1), joiner.installs]).toEqual(['verifying', 0])
    group.attests = true
    const report = await group.until(catching)
    expect([report.anchor.index, report.anchorsLost]).toEqual([102, 1])
    expect(joiner.lost[0]).toContain('never sealed')
  })

  test('because it was never sealed, and the provider that was begun with has left: a newer one', async () => {
    const [liar] = group.add(['a-liar'], numberedItems(30, 5))
    liar!.onServe = (_peer, stream) => {
      let sent = 0
      return { ...stream, send: (bytes) => (++sent > 4 ? new Promise(() => {}) : stream.send(bytes)) }
    }
    const { catching } = await beginWith(liar!)
    group.network.kill('a-liar')
    liar!.serves = false
    await group.pass(REQUEST_TIMEOUT_MS)
    group.attests = true
    group.leader = 'l'
    const report = await group.until(catching)
    expect([report.anchor.index, report.anchorsLost]).toEqual([102, 1])
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
  })

  test('although the group cannot be told that it is needed no more: the next one', async () => {
    whenServed(followers, 3, () => {
      for (const replica of [leader, ...followers]) replica.sync.withdraw()
    })
    const host = joiner.host as { pin: (anchor?: { index: number }) => Promise<void> }
    host.pin = async (anchor) => {
      if (anchor === undefined) throw new Error('the presence store is locked')
    }
    const report = await group.until(joiner.catchUp())
    expect([report.anchor, report.anchorsLost]).toEqual([at(102), 1])
  })

  test('because nobody captured it: the next one, as soon as everybody has said so', async () => {
    for (const replica of [leader, ...followers]) replica.serves = false
    const catching = joiner.catchUp()
    await group.pass(1000)
    for (const replica of [leader, ...followers]) replica.serves = true
    const beganMs = group.clock.now()
    const report = await group.until(catching)
    expect([report.anchor.index, report.anchorsLost]).toEqual([102, 1])
    expect(group.clock.now() - beganMs).toBeLessThan(1000)
  })
})

describe('nobody is waited for who', () => {
  test('has let the anchor expire: the leader sends it', async () => {
    group.mark('somebody')
    await group.pass(100)
    for (const { sync } of followers) sync.withdraw()
    const report = await group.until(joiner.catchUp())
    expect(report).toMatchObject({ anchor: at(101), providersUsed: ['l'], anchorsLost: 0 })
    expect(report.phasesMs.cut).toBeLessThan(100)
  })

  test('died, when all others have let the anchor expire', async () => {
    group.mark('somebody')
    await group.pass(100)
    for (const { sync } of followers) sync.withdraw()
    whenServed([leader], 3, () => {
      group.network.kill('l')
      group.leader = 'f1'
    })
    const beganMs = group.clock.now()
    const report = await group.until(joiner.catchUp())
    expect(report).toMatchObject({ anchor: at(102), anchorsLost: 1 })
    expect(group.clock.now() - beganMs).toBeLessThan(2_500)
  })

  test('died as the leader, while others offer an anchor', async () => {
    group.mark('somebody')
    await group.pass(100)
    group.network.kill('l')
    const report = await group.until(joiner.catchUp())
    expect(report).toMatchObject({ anchor: at(101), anchorsLost: 0 })
    expect(report.phasesMs.request).toBeLessThan(500)
  })

  test('cannot seal the anchor any more, since its electors have left', async () => {
    const { appendMarker } = leader.host
    leader.host.appendMarker = async (requester, retires) => {
      group.attests = group.newest > 100
      return await appendMarker(requester, retires)
    }
    joiner.host.mayBeSealed = ({ index }) => index > 101
    const report = await group.until(joiner.catchUp())
    expect(report).toMatchObject({ anchor: at(102), anchorsLost: 1 })
    expect(joiner.lost[0]).toContain('too many of its electors have left')
  })

  test('has electors that are away for a moment, and keeps the anchor', async () => {
    const attest = group.attest.bind(group)
    group.attest = (...attestation) => void group.clock.schedule(1_000, () => attest(...attestation))
    const backMs = group.clock.now() + 1_200
    joiner.host.mayBeSealed = () => group.clock.now() >= backMs
    const report = await group.until(joiner.catchUp())
    expect(report).toMatchObject({ anchor: at(101), anchorsLost: 0 })
  })
})

describe('what others do', () => {
  test('a slow joiner keeps the offers of the providers it holds in reserve', async () => {
    // A follower that trickles: one frame in three seconds, but never silent for the fetch timeout.
    const slowly = (_peer: string, stream: ByteStream): ByteStream => ({
      ...stream,
      send: async (bytes) => {
        await new Promise<void>((resolve) => void group.clock.schedule(3000, resolve))
        await stream.send(bytes)
      },
    })
    for (const replica of [leader, ...followers]) replica.onServe = slowly
    const catching = joiner.catchUp()
    await group.pass(3 * TTL_MS)
    expect([leader, ...followers].map(({ offered }) => offered)).toEqual([[101], [101], [101]])
    expect((await group.until(catching)).anchorsLost).toBe(0)
    await group.pass(TTL_MS + 100)
    expect([leader, ...followers].map(({ offered }) => offered)).toEqual([[], [], []])
  })

  test('a member that never answers a dial does not delay the end', async () => {
    const [mute] = group.add(['mute'], ITEMS)
    group.network.turn('mute', 'silent')
    const beganMs = group.clock.now()
    await group.until(joiner.catchUp())
    expect(mute!.served).toBe(0)
    expect(group.clock.now() - beganMs).toBeLessThan(2000)
  })

  test('a leader that is busy for ever does not hold the session for longer than its timeout', async () => {
    group.network.join('l').serveWith(async (_peer, stream) => {
      let id = 0
      for await (const _bytes of stream.source) {
        const error = new Busy('come back next month', 2_000_000_000)
        await stream.send(
          encodeFrame({ header: encodeResponse({ id: ++id, body: { type: 'error', error } }) }),
        )
      }
    })
    const beganMs = group.clock.now()
    await expect(group.until(joiner.catchUp())).rejects.toMatchObject({ name: 'NoProvider' })
    expect(group.clock.now() - beganMs).toBeLessThan(2 * 60_000)
  })

  test('a provider whose items the machine refuses does not end a session before the seal speaks', async () => {
    // More chunks than a fetch reads ahead of what is built.
    const [liar] = group.add(['a-liar'], [Buffer.from('nonsense'), ...numberedItems(100, 5)])
    joiner.takeItem = (item) => {
      if (Buffer.from(item).toString() === 'nonsense') throw new Error('that is no item')
      return Uint8Array.from(item)
    }
    const { catching } = await beginWith(liar!)
    expect(liar!.served).toBe(101)
    await attestLate()
    const report = await group.until(catching)
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(report.providersUsed).not.toContain('a-liar')
  })
})

describe('a provider that lies', () => {
  const lies: [what: string, instead: Parameters<typeof sending>[0]][] = [
    ['sends other bytes', (chunk, send) => send({ ...chunk, payload: Buffer.alloc(9) })],
    ['sends too few bytes', (chunk, send) => send({ ...chunk, payload: chunk.payload.subarray(1) })],
    ['sends too many bytes', (chunk, send) => send({ ...chunk, payload: Buffer.alloc(10_000) })],
    ['sends no bytes', ({ header }, send) => send({ header })],
    [
      'sends each chunk twice',
      async (chunk, send) => {
        await send(chunk)
        await send(chunk)
      },
    ],
    [
      'sends another chunk than the next',
      ({ id, index, payload }, send) =>
        send({ header: header({ id, body: { type: 'chunk', index: index + 1, encoding: 'raw' } }), payload }),
    ],
    [
      'sends what nobody asked for',
      async (chunk, send) => {
        const body = { type: 'chunk', index: chunk.index, encoding: 'raw' } as const
        await send({ header: header({ id: chunk.id + 1000, body }), payload: chunk.payload })
      },
    ],
    ['answers something else', ({ id }, send) => send({ header: header({ id, body: { type: 'noted' } }) })],
    ['sends bytes that are no message', (_chunk, send) => send({ header: Buffer.from('hello?') })],
  ]

  test.each(lies)('and %s is found out, dropped and named; the others serve', async (_what, instead) => {
    followers[0]!.onServe = sending(instead)
    const report = await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect([report.anchorsLost, followers[0]!.served]).toEqual([0, expect.toSatisfy((n) => n <= 8)])
    expect(joiner.faults).toEqual([{ peer: 'f1', error: expect.any(ProvenFault) }])
  })

  test('is dropped for later anchors of the session too, though it pushes its offer and lied once', async () => {
    const [liar, honest] = [followers[0]!, followers[1]!]
    let lied = false
    liar.onServe = sending(async (chunk, send) => {
      await send(lied ? chunk : { ...chunk, payload: Buffer.alloc(9) })
      lied = true
    })
    // Its offer of the next anchor comes when the session has chosen that.
    const capture = liar.capture.bind(liar)
    liar.capture = (index, requester) => {
      if (index === 101) capture(index, requester)
      else group.clock.schedule(300, () => capture(index, requester))
    }
    for (const replica of [leader, honest]) {
      replica.onServe = sending(async (chunk, send) => {
        await new Promise<void>((resolve) => void group.clock.schedule(100, resolve))
        await send(chunk)
      })
    }
    let withdrawn = false
    whenServed([leader, honest], 8, () => {
      withdrawn = true
      for (const replica of [leader, ...followers]) replica.sync.withdraw()
    })
    const report = await group.until(joiner.catchUp())
    expect([withdrawn, report.anchor, liar.offered]).toEqual([true, at(102), [102]])
    const served = liar.events.filter((event) => event.type === 'served')
    expect(served.filter(({ anchor }) => anchor.index === 102)).toEqual([])
    expect(joiner.faults.map(({ peer }) => peer)).toEqual(['f1'])
  })

  test('and holds another snapshot than the group sealed is dropped for later anchors, too', async () => {
    const [liar] = group.add(['a-liar'], numberedItems(30, 5))
    const { catching } = await beginWith(liar!)
    await attestLate()
    await group.until(catching)
    expect(joiner.faults.filter(({ peer }) => peer === 'a-liar')).toEqual([
      { peer: 'a-liar', error: expect.objectContaining({ message: expect.stringContaining('sealed') }) },
    ])
    expect(joiner.faults.at(-1)!.error).toBeInstanceOf(ProvenFault)
  })

  test('while nothing is asked of it is found out by that', async () => {
    followers[0]!.onServe = (_peer, stream) => {
      const body: ResponseBody = { type: 'noted' }
      group.clock.schedule(100, () => {
        stream.send(encodeFrame({ header: header({ id: 77, body }) })).catch(() => {})
      })
      return stream
    }
    for (const replica of [leader, followers[1]!]) {
      replica.onServe = sending(async (chunk, send) => {
        await new Promise<void>((resolve) => void group.clock.schedule(200, resolve))
        await send(chunk)
      })
    }
    await group.until(joiner.catchUp())
    expect(joiner.faults).toContainEqual({ peer: 'f1', error: expect.any(ProvenFault) })
  })

  test('and is the only one that is linked is left at once', async () => {
    const [liar] = group.add(['a-liar'], numberedItems(30, 5))
    liar!.onServe = (_peer, stream) => {
      const body: ResponseBody = { type: 'noted' }
      group.clock.schedule(1500, () => {
        stream.send(encodeFrame({ header: header({ id: 77, body }) })).catch(() => {})
      })
      return stream
    }
    const { catching } = await beginWith(liar!)
    for (const { id } of [leader, ...followers]) group.network.turn(id, 'down')
    await group.pass(500 + FETCH_TIMEOUT_MS + 500)
    expect(joiner.lost).toEqual([expect.stringContaining('nobody offers it any more')])
    for (const { id } of [leader, ...followers]) group.network.turn(id, 'up')
    group.attests = true
    group.leader = 'l'
    await group.until(catching)
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
  })

  test('and leads: what others offer is worth more than the anchor it names', async () => {
    leader.onServe = damaging(2)
    for (const replica of followers) {
      replica.onServe = sending(async (chunk, send) => {
        await new Promise<void>((resolve) => void group.clock.schedule(100, resolve))
        await send(chunk)
      })
    }
    group.network.turn('f2', 'down')
    const catching = joiner.catchUp()
    await group.pass(1200)
    group.network.turn('f2', 'up')
    expect(joiner.faults).toContainEqual({ peer: 'l', error: expect.any(ProvenFault) })
    group.mark('somebody')
    leader.sync.withdraw()
    leader.host.appendMarker = async () => at(5000)
    for (const { sync } of followers) sync.withdraw(at(101))
    const report = await group.until(catching)
    expect([report.anchor, joiner.lost.length]).toEqual([at(102), 1])
  })

  test('and leads is not asked for chunks, but for an anchor where nobody else offers one', async () => {
    leader.onServe = damaging(2)
    for (const { id } of followers) group.network.turn(id, 'down')
    const catching = joiner.catchUp()
    await group.pass(1000)
    for (const { id } of followers) group.network.turn(id, 'up')
    await group.until(catching)
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(joiner.faults.filter(({ error }) => error instanceof ProvenFault).map(({ peer }) => peer)).toEqual(
      ['l'],
    )
  })

  test('like everybody else: the session fails, and says who did what', async () => {
    for (const replica of [leader, ...followers]) replica.onServe = damaging(2)
    const error = await group.until(joiner.catchUp()).catch((reason) => reason)
    expect(error).toBeInstanceOf(NoProvider)
    const { faults, message } = error as NoProvider
    expect(faults.map(({ peer }) => peer).sort()).toEqual(['f1', 'f2', 'l'])
    for (const { peer, what } of faults) expect(message).toContain(`${peer}: ${what}`)
    expect(message).toContain('whoever serves was proven wrong')
    expect(joiner.installs).toBe(0)
  })
})

describe('a provider that fails', () => {
  /** Break the stream at the first chunk, so many times. */
  const breaking = (times: number): SyncReplica['onServe'] => {
    let broken = 0
    return (peer, stream) =>
      sending(async (chunk, send) => {
        if (broken >= times) return await send(chunk)
        broken++
        stream.abort(new Error('the cable is loose'))
        throw new Error('the cable is loose')
      })(peer, stream)
  }

  test('is no liar: where nobody else serves it gets more chances than where others do', async () => {
    for (const { id } of followers) group.network.turn(id, 'down')
    leader.onServe = breaking(PROVIDER_FAILURES_MAX + 2)
    const report = await group.until(joiner.catchUp())
    expect([report.providersUsed, report.anchorsLost]).toEqual([['l'], 0])
    expect(joiner.faults.some(({ error }) => error instanceof Malformed)).toBe(false)
  })

  test('and ended its stream within a frame is no liar', async () => {
    let cut = false
    followers[0]!.onServe = (_peer, stream) => ({
      ...stream,
      source: stream.source,
      send: async (bytes) => {
        if (cut || bytes.byteLength < 40) return await stream.send(bytes)
        cut = true
        await stream.send(bytes.sublist(0, 30))
        await stream.close()
      },
    })
    await group.until(joiner.catchUp())
    const named = joiner.faults.filter(({ peer }) => peer === 'f1')
    expect([cut, named.length]).toEqual([true, 1])
    expect(named[0]!.error).not.toBeInstanceOf(Malformed)
  })

  test('like everybody else, again and again: the session gives up, and says who did what', async () => {
    for (const replica of [leader, ...followers]) replica.onServe = breaking(Number.POSITIVE_INFINITY)
    const error = await group.until(joiner.catchUp()).catch((reason) => reason)
    expect(error).toBeInstanceOf(NoProvider)
    const peers = new Set((error as NoProvider).faults.map(({ peer }) => peer))
    expect([...peers].sort()).toEqual(['f1', 'f2', 'l'])
  })

  test('by being slow does not hold back the end', async () => {
    followers[0]!.onServe = sending(async (chunk, send) => {
      await new Promise<void>((resolve) => void group.clock.schedule(FETCH_TIMEOUT_MS - 500, resolve))
      await send(chunk)
    })
    const beganMs = group.clock.now()
    await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(group.clock.now() - beganMs).toBeLessThan(2000)
    expect(joiner.faults).toEqual([])
  })

  test.each([
    [200, 0],
    [600, 4],
  ])('by needing %d ms for each chunk costs at most %d chunks that come twice', async (ms, twice) => {
    // The other has all others by then, and nothing else to do.
    const [slow] = followers
    slow!.onServe = sending(async (chunk, send) => {
      await new Promise<void>((resolve) => void group.clock.schedule(ms, resolve))
      await send(chunk)
    })
    await group.until(joiner.catchUp())
    // What is still due comes after the end, and is not waited for.
    await group.pass(5_000)
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    const served = [leader, ...followers].reduce((sum, { served }) => sum + served, 0)
    expect(served - 40).toBeLessThanOrEqual(twice)
  })

  test('by withholding a chunk does not make the session hold all that follow it', async () => {
    const many = numberedItems(300)
    for (const replica of [leader, ...followers]) {
      replica.items = many
      replica.onServe = sending(async (chunk, send) => {
        if (chunk.index === 0) await new Promise<void>((resolve) => void group.clock.schedule(3000, resolve))
        await send(chunk)
      })
    }
    const ahead: number[] = []
    const push = joiner.events.push.bind(joiner.events)
    joiner.events.push = (event) => {
      if (event?.type === 'session' && event.state.status === 'fetching' && group.clock.now() < 3000)
        ahead.push(event.state.chunks)
      return push(event!)
    }
    await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(many))
    expect(Math.max(...ahead)).toBeLessThan(64)
  })

  test('and whose late answers come after all is not blamed for them', async () => {
    // One follower is slow. The other has sent all else by then, and needs a second for each that it is asked
    // for as well.
    followers[0]!.onServe = sending(async (chunk, send) => {
      if (chunk.index < 8) await new Promise<void>((resolve) => void group.clock.schedule(3000, resolve))
      await send(chunk)
    })
    for (const replica of [leader, followers[1]!]) {
      replica.onServe = sending(async (chunk, send) => {
        const ms = chunk.index < 8 ? 700 : 0
        await new Promise<void>((resolve) => void group.clock.schedule(ms, resolve))
        await send(chunk)
      })
    }
    const report = await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    // Some chunks came twice.
    expect([joiner.faults, report.bytesFetched > 40 * 9]).toEqual([[], true])
    const came = (outcome: ChunkOutcome) =>
      joiner.events.filter((event) => event.type === 'fetched' && event.outcome === outcome).length
    expect([came('good'), came('twice') > 0, came('wrong')]).toEqual([40, true, 0])
  })
})

describe('a provider that is busy', () => {
  test.each([
    [0, 1000, 1200],
    [0.9, 1450, 1650],
  ])('with chance at %d is asked again after %d ms, and not blamed', async (chance, fromMs, toMs) => {
    group.random = () => chance
    for (const { id } of followers) group.network.turn(id, 'down')
    const { serve, askedMs } = refusing(1, new Busy('not now', 1000))
    leader.onServe = serve
    const report = await group.until(joiner.catchUp())
    expect([report.providersUsed, report.anchorsLost]).toEqual([['l'], 0])
    const waitedMs = askedMs[1]! - askedMs[0]!
    expect(waitedMs).toBeGreaterThanOrEqual(fromMs)
    // It is looked for every 200 ms.
    expect(waitedMs).toBeLessThanOrEqual(toMs + 50)
    expect(joiner.faults.filter(({ peer }) => peer === 'l')).toEqual([])
  })

  test('keeps its offer alive meanwhile', async () => {
    group.random = () => 1
    for (const { id } of followers) group.network.turn(id, 'down')
    const { serve, askedMs } = refusing(1, new Busy('not now', 5000))
    leader.onServe = serve
    const revivedMs: number[] = []
    const push = leader.events.push.bind(leader.events)
    leader.events.push = (event) => {
      if (event?.type === 'revived') revivedMs.push(group.clock.now())
      return push(event!)
    }
    await group.until(joiner.catchUp())
    const [firstMs, secondMs] = askedMs as [number, number]
    expect(secondMs - firstMs).toBeGreaterThanOrEqual(7500)
    expect(revivedMs.filter((atMs) => atMs > firstMs + 1000 && atMs < secondMs - 500)).not.toEqual([])
  })

  test('like everybody else, for ever: the session gives up', async () => {
    for (const replica of [leader, ...followers]) {
      replica.onServe = refusing(Number.POSITIVE_INFINITY, new Busy('not now', 5000)).serve
    }
    await expect(group.until(joiner.catchUp())).rejects.toMatchObject({ name: 'NoProvider' })
    expect(joiner.lost[0]).toContain('nothing of it came')
  })

  test('because it leads and has no anchor to give is asked again after its time and a bit', async () => {
    group.random = () => 0.9
    const askedMs: number[] = []
    const { appendMarker } = leader.host
    leader.host.appendMarker = async (requester, retires) => {
      askedMs.push(group.clock.now())
      if (askedMs.length === 1) throw new Busy('one moment', 1000)
      return await appendMarker(requester, retires)
    }
    await group.until(joiner.catchUp())
    expect(askedMs[1]! - askedMs[0]!).toBe(1450)
  })
})

describe('a session that its peers do not know', () => {
  test('announces itself again, and is served', async () => {
    for (const { host } of [leader, ...followers]) {
      const { members } = host
      host.members = () => members().filter(({ id }) => id !== 'j' || joiner.announced > 0)
    }
    const report = await group.until(joiner.catchUp())
    expect(report.anchor).toEqual(at(101))
    expect(joiner.faults).toEqual([])
  })

  test('names who refuses it once more, and is served by the others', async () => {
    const [stubborn] = [followers[0]!]
    const { members } = stubborn.host
    stubborn.host.members = () => members().filter(({ id }) => id !== 'j')
    for (const replica of [leader, followers[1]!]) {
      replica.onServe = sending(async (chunk, send) => {
        await new Promise<void>((resolve) => void group.clock.schedule(300, resolve))
        await send(chunk)
      })
    }
    await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    const names = new Set(joiner.faults.map(({ peer, error }) => `${peer} ${error.name}`))
    expect([...names]).toEqual(['f1 Unauthorized'])
  })
})

describe('an abort', () => {
  test.each<[when: string, prepare: () => void, passMs: number]>([
    ['while the leader is being dialled', () => group.network.turn('l', 'silent'), 100],
    [
      'while the leader owes an answer',
      () => {
        leader.onServe = (_peer, stream) => ({ ...stream, send: () => new Promise(() => {}) })
      },
      100,
    ],
    [
      'while providers are silent',
      () => {
        for (const replica of [leader, ...followers]) {
          replica.onServe = (_peer, stream) => {
            let sent = 0
            return { ...stream, send: (bytes) => (++sent > 3 ? new Promise(() => {}) : stream.send(bytes)) }
          }
        }
      },
      500,
    ],
    [
      'while the seal is waited for',
      () => {
        group.attests = false
      },
      3000,
    ],
  ])(
    '%s ends the session at once, with the reason, and leaves nothing open',
    async (_when, prepare, passMs) => {
      prepare()
      const stop = new AbortController()
      const catching = joiner.catchUp({ signal: stop.signal })
      catching.catch(() => {})
      await group.pass(passMs)
      const atMs = group.clock.now()
      stop.abort(new Error('we are closing'))
      await expect(group.until(catching)).rejects.toThrow('we are closing')
      expect(group.clock.now() - atMs).toBeLessThanOrEqual(100)
      expect([joiner.installs, joiner.pinned]).toEqual([0, undefined])
      const before = joiner.events.length
      await group.pass(FETCH_TIMEOUT_MS)
      expect(joiner.events.length).toBe(before)
    },
  )
})

describe('an anchor that nobody has', () => {
  /** A replica that gives other answers than it would. */
  const answering =
    (change: (body: ResponseBody) => ResponseBody) =>
    (_peer: string, stream: ByteStream): ByteStream => ({
      ...stream,
      source: stream.source,
      send: async (bytes) => {
        for await (const { header, payload } of decodeFrames(
          (async function* () {
            yield bytes
          })(),
          1_000_000,
        )) {
          const { id, body } = decodeResponse(header)
          const frame = { header: encodeResponse({ id, body: change(body) }), ...(payload && { payload }) }
          await stream.send(encodeFrame(frame))
        }
      },
    })

  test('named by the leader, since it was pruned: it is asked again, and no anchor is lost', async () => {
    let pruned = 20
    leader.onServe = answering((body) =>
      body.type === 'anchored' && pruned-- > 0 ? { type: 'anchored', anchor: at(10) } : body,
    )
    const report = await group.until(joiner.catchUp())
    expect([report.anchor, report.anchorsLost]).toEqual([at(101), 0])
  })

  test('any more, but for one that says so and does not know it: it is left after a few questions', async () => {
    let answers = 0
    let goneMs: number | undefined
    let lostMs: number | undefined
    const [liar] = followers
    liar!.onServe = answering((body) => {
      if (goneMs === undefined || lostMs !== undefined) return body
      if (body.type === 'offers') {
        return { type: 'offers', offers: [{ anchor: at(101), remainingMs: 10_000, ready: true }] }
      }
      if (body.type === 'error') answers++
      return body.type === 'error' ? { type: 'error', error: new UnknownAnchor('what is that?') } : body
    })
    whenServed([leader, ...followers], 3, () => {
      goneMs = group.clock.now()
      for (const { sync } of [leader, ...followers]) sync.withdraw()
    })
    const push = joiner.events.push.bind(joiner.events)
    joiner.events.push = (...events) => {
      if (events.some(({ type }) => type === 'anchor-lost')) lostMs ??= group.clock.now()
      return push(...events)
    }
    await group.until(joiner.catchUp())
    expect(lostMs! - goneMs!).toBeLessThanOrEqual(1_000)
    expect(answers).toBeLessThan(20)
  })
})

describe('what a session keeps', () => {
  /** A session that ends when providers have sent so many chunks. */
  async function stoppedAfter(chunks: number): Promise<void> {
    const stop = new AbortController()
    whenServed([leader, ...followers], chunks, () => stop.abort(new Error('we are closing')))
    await expect(group.until(joiner.catchUp({ signal: stop.signal }))).rejects.toThrow('we are closing')
  }

  test('spares the next one to fetch it again', async () => {
    await stoppedAfter(25)
    const kept = joiner.store.chunks.size
    expect(kept).toBeGreaterThan(0)
    const report = await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(report.bytesFetched).toBe((40 - kept) * 9)
  })

  test('serves for another anchor as far as its chunks are the same', async () => {
    await stoppedAfter(25)
    const kept = new Set(joiner.store.chunks.keys())
    for (const replica of [leader, ...followers]) {
      replica.sync.withdraw()
      replica.items = [...ITEMS.slice(0, 39), ...numberedItems(41).slice(40)]
    }
    const report = await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(leader.items))
    expect([report.anchor.index, report.bytesFetched]).toEqual([102, (40 - kept.size) * 9])
  })

  test('is fetched again where it is rotten', async () => {
    await stoppedAfter(25)
    const { chunks } = joiner.store
    const kept = chunks.size
    for (const [name, chunk] of [...chunks].slice(0, 3))
      chunks.set(name, { ...chunk, bytes: Buffer.alloc(9) })
    const report = await group.until(joiner.catchUp())
    expect(hex(joiner.items)).toEqual(hex(ITEMS))
    expect(report.bytesFetched).toBe((40 - kept + 3) * 9)
  })

  test('is read a few chunks at a time, also once the state was there', async () => {
    await group.until(joiner.catchUp())
    expect(joiner.store.chunks.size).toBe(40)
    joiner.items = []
    const report = await group.until(joiner.catchUp())
    expect(report.bytesFetched).toBe(0)
    expect(joiner.store.readingMax).toBe(16)
  })
})

describe('a request for an anchor', () => {
  test.each<[where: string, prepare: () => void]>([
    ['is being dialled', () => group.network.turn('l', 'silent')],
    [
      'owes an answer',
      () => {
        leader.onServe = (_peer, stream) => ({ ...stream, send: () => new Promise(() => {}) })
      },
    ],
    [
      'is unknown',
      () => {
        group.leader = undefined
      },
    ],
  ])('that is aborted while the leader %s ends at once, with the reason', async (_where, prepare) => {
    prepare()
    const stop = new AbortController()
    const asking = joiner.sync.requestAnchor(at(0), stop.signal)
    await group.pass(100)
    stop.abort(new Error('we are closing'))
    // The clock stands still from here on.
    await expect(asking).rejects.toThrow('we are closing')
  })
})
