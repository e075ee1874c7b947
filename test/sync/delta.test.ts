import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { HINT_BYTES } from '../../src/snapshot/hints.ts'
import { BASIS_TIMEOUT_MS } from '../../src/sync/fetching/chunks/own-chunks.ts'
import { HINTED_ITEM_BYTES_MIN, HINTS_UNPROVEN_BYTES } from '../../src/sync/limits.ts'
import { Busy } from '../../src/sync/wire/errors.ts'
import { type ByteStream, decodeFrames, encodeFrame, type Frame } from '../../src/sync/wire/frames.ts'
import { decodeResponse, encodeResponse, type ResponseBody } from '../../src/sync/wire/messages.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'
import { numberedItems } from '../snapshot/item-snapshot.ts'
import { rawCoder } from '../snapshot/raw-coder.ts'
import { RunSnapshot, runsOf } from '../snapshot/run-snapshot.ts'
import { at, SyncGroup, type SyncReplica } from './sync-group.ts'

const CHUNK_BYTES = 8_192
const ITEM_BYTES = 100
const NEW = numberedItems(5_000, ITEM_BYTES)
/** Of an item in a chunk: its length is before it. */
const RECORD_BYTES = ITEM_BYTES + 1

let group: SyncGroup
let providers: SyncReplica[]
let joiner: SyncReplica

beforeEach(() => begin(NEW))

function begin(
  items: readonly Uint8Array[],
  chunkBytes = CHUNK_BYTES,
  ids: readonly string[] = ['l', 'f1', 'f2'],
): void {
  group = new SyncGroup()
  providers = group.add(ids, items, chunkBytes)
  group.leader = 'l'
  joiner = group.add(['j'], [], chunkBytes)[0]!
}

const changed = (item: Uint8Array) => Buffer.from(Buffer.from(item).toString().replace(/^0/, 'x'))
const text = (items: readonly Uint8Array[]) => items.map((item) => Buffer.from(item).toString())

/** Catch up from an older state. */
async function from(old: readonly Uint8Array[]) {
  joiner.items = old
  const report = await group.until(joiner.catchUp())
  expect(text(joiner.items)).toEqual(text(providers[0]!.items))
  return report
}

/** Everything that providers answer passes through here. */
function answering(change: (body: ResponseBody, payload: Uint8Array | undefined) => Uint8Array | undefined) {
  const serve = (_peer: string, stream: ByteStream): ByteStream => ({
    ...stream,
    async send(bytes) {
      const [frame] = await Array.fromAsync(decodeFrames(once(bytes.slice()), 10_000_000))
      const { header, payload } = frame!
      const other = change(decodeResponse(header.slice()).body, payload?.slice())
      const sent: Frame = other === undefined ? { header } : { header, payload: other }
      await stream.send(encodeFrame(sent))
    },
  })
  for (const provider of providers) provider.onServe = serve
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value
}

describe('a session of a replica that has an older state', () => {
  test('fetches nothing where the states are the same', async () => {
    expect((await from(NEW)).bytesFetched).toBe(0)
  })

  test('fetches the hints of chunks that changed, and the items that it lacks', async () => {
    const old = NEW.map((item, n) => (n % 20 === 10 ? changed(item) : item))
    const { bytesFetched } = await from(old)
    expect(bytesFetched).toBeGreaterThanOrEqual(5_000 * HINT_BYTES + 250 * RECORD_BYTES)
    // One that is between a chunk's end and a changed item is not told from others.
    expect(bytesFetched).toBeLessThan(5_000 * HINT_BYTES + 260 * RECORD_BYTES)
  })

  test('fetches neither hints nor items of chunks that it has as a whole', async () => {
    const { bytesFetched } = await from(
      NEW.map((item, n) => (n >= 2_000 && n < 2_050 ? changed(item) : item)),
    )
    // 50 items and what their chunks, of up to 162 items each, have besides.
    expect(bytesFetched).toBeLessThan(50 * RECORD_BYTES + 6 * 162 * HINT_BYTES)
    expect(bytesFetched).toBeGreaterThan(50 * RECORD_BYTES)
  })

  test('needs no item for what is only gone', async () => {
    const old = [...NEW.slice(0, 1_000), ...numberedItems(500, 90), ...NEW.slice(1_000)]
    expect((await from(old)).bytesFetched % HINT_BYTES).toBe(0)
  })

  test('fetches chunks as a whole where too little of them is there', async () => {
    const { bytesFetched } = await from(NEW.map((item, n) => (n % 3 === 0 ? item : changed(item))))
    expect(bytesFetched).toBe(5_000 * (HINT_BYTES + RECORD_BYTES))
  })

  test('asks a provider for no more hints once they have cost more than they spared', async () => {
    const many = numberedItems((2 * HINTS_UNPROVEN_BYTES) / HINT_BYTES, 40)
    begin(many, 65_536, ['l'])
    const { bytesFetched } = await from(many.map(changed))
    const hintBytes = bytesFetched - many.length * 41
    expect(hintBytes).toBeGreaterThanOrEqual(HINTS_UNPROVEN_BYTES)
    expect(hintBytes).toBeLessThan(1.5 * HINTS_UNPROVEN_BYTES)
  })

  test('loses no delta to providers that are busy for a while', async () => {
    const many = numberedItems(120_000, ITEM_BYTES)
    begin(many, 1_048_576)
    let busy = 8
    for (const provider of providers) {
      provider.onServe = (_peer, stream) => ({
        ...stream,
        async send(bytes) {
          const [frame] = await Array.fromAsync(decodeFrames(once(bytes.slice()), 10_000_000))
          const { id, body } = decodeResponse(frame!.header.slice())
          if (body.type !== 'hints' || busy-- <= 0) return await stream.send(bytes)
          const refusal = { type: 'error', error: new Busy('no room', 500) } as const
          await stream.send(encodeFrame({ header: encodeResponse({ id, body: refusal }) }))
        },
      })
    }
    const { bytesFetched } = await from(many.map((item, n) => (n % 100 === 50 ? changed(item) : item)))
    expect(busy).toBeLessThanOrEqual(0)
    expect(bytesFetched).toBeLessThan(many.length * HINT_BYTES + many.length * 0.011 * RECORD_BYTES)
  })

  test('fetches as little where the states are packed, and lets go of its own when it is over', async () => {
    const states: RunSnapshot[] = []
    for (const replica of [joiner, ...providers]) {
      replica.makeSnapshot = (items) => {
        const state = new RunSnapshot(runsOf(items, [36, 40]))
        if (replica === joiner) states.push(state)
        return state
      }
    }
    const { bytesFetched } = await from(NEW.map((item, n) => (n % 20 === 10 ? changed(item) : item)))
    expect(bytesFetched).toBeGreaterThanOrEqual(5_000 * HINT_BYTES + 250 * RECORD_BYTES)
    expect(bytesFetched).toBeLessThan(5_000 * HINT_BYTES + 260 * RECORD_BYTES)
    await nextTurn()
    expect(states.map(({ released, breaches }) => [released, breaches])).toEqual([[1, []]])
  })

  test('asks for no hints of small items', async () => {
    const small = numberedItems(1_000, HINTED_ITEM_BYTES_MIN - 2)
    begin(small)
    const old = small.map((item, n) => (n % 10 === 5 ? changed(item) : item))
    expect((await from(old)).bytesFetched).toBe(1_000 * (HINTED_ITEM_BYTES_MIN - 1))
  })

  test('fetches all of it where the machine cannot tell what it has, and blames nobody', async () => {
    joiner.items = NEW
    const { makeSnapshot } = joiner
    joiner.makeSnapshot = () => {
      joiner.makeSnapshot = makeSnapshot
      throw new Error('capture: no room')
    }
    expect((await group.until(joiner.catchUp())).bytesFetched).toBe(5_000 * RECORD_BYTES)
    expect(joiner.faults).toEqual([])
  })

  test('does without, where cutting it takes too long', async () => {
    const asked: string[] = []
    answering((body, payload) => {
      asked.push(body.type)
      return payload
    })
    joiner.items = NEW
    joiner.onRest = () => {
      joiner.onRest = async () => {}
      return new Promise((resolve) => group.clock.schedule(BASIS_TIMEOUT_MS + 1, resolve))
    }
    const report = await group.until(joiner.catchUp())
    expect(report.bytesFetched).toBe(5_000 * RECORD_BYTES)
    expect(asked).not.toContain('hints')
  })
})

test('a provider whose stream breaks while a chunk is put together is not blamed for what it owed', async () => {
  begin(NEW, CHUNK_BYTES, ['l'])
  const streams: ByteStream[] = []
  for (const provider of providers) {
    provider.onServe = (_peer, stream) => {
      streams.push(stream)
      return stream
    }
  }
  let broken = 0
  joiner.decode = async (chunk, rawBytes) => {
    // Those are the items that a chunk lacks.
    if (rawBytes < CHUNK_BYTES / 2 && broken++ === 0) {
      for (const stream of streams) stream.abort(new Error('the connection broke'))
      for (let n = 0; n < 5; n++) await nextTurn()
    }
    return await rawCoder.decode(chunk, rawBytes)
  }
  await from(NEW.map((item, n) => (n % 20 === 10 ? changed(item) : item)))
  expect(broken).toBeGreaterThan(0)
  expect(joiner.faults.filter(({ error }) => error instanceof ProvenFault)).toEqual([])
})

describe('a provider that lies', () => {
  const old = NEW.map((item, n) => (n % 20 === 10 ? changed(item) : item))

  test('in its hints makes the session fetch whole chunks', async () => {
    answering((body, payload) => {
      if (body.type === 'hints') payload!.copyWithin(0, HINT_BYTES)
      return payload
    })
    const { bytesFetched } = await from(old)
    expect(bytesFetched).toBeGreaterThan(5_000 * RECORD_BYTES)
    expect(joiner.faults).toEqual([])
  })

  test('in what it sends of an item makes the session fetch the whole chunk', async () => {
    answering((body, payload) => {
      if (body.type === 'items') payload![50]! ^= 1
      return payload
    })
    await from(old)
    expect(joiner.faults).toEqual([])
  })

  test.each<
    [what: string, type: ResponseBody['type'], payload: (sent: Uint8Array) => Uint8Array | undefined]
  >([
    ['too few hints', 'hints', (sent) => sent.subarray(4)],
    ['too many hints', 'hints', (sent) => Buffer.concat([sent, sent])],
    ['half a hint', 'hints', (sent) => sent.subarray(1)],
    ['no hints', 'hints', () => undefined],
  ])('with %s is proven wrong', async (_what, type, change) => {
    for (const provider of providers.slice(1)) group.network.turn(provider.id, 'down')
    answering((body, payload) => (body.type === type ? change(payload!) : payload))
    joiner.items = old
    await expect(group.until(joiner.catchUp())).rejects.toThrow('gone')
    expect(joiner.faults.find(({ peer }) => peer === 'l')!.error).toEqual(
      expect.objectContaining({ message: expect.stringContaining('bytes of hints') }),
    )
    expect(joiner.installs).toBe(0)
  })

  test.each<[what: string, payload: (sent: Uint8Array) => Uint8Array | undefined]>([
    ['no items', () => undefined],
    ['fewer items', (sent) => sent.subarray(RECORD_BYTES)],
    ['more items', (sent) => Buffer.concat([sent, sent])],
    ['bytes that are no items', (sent) => sent.fill(0xff)],
  ])('with %s makes the session fetch the whole chunk', async (_what, change) => {
    answering((body, payload) => (body.type === 'items' ? change(payload!) : payload))
    await from(old)
    expect(joiner.faults).toEqual([])
  })
})

test('another anchor, another delta: what was installed is the basis of the next', async () => {
  await from(NEW.map((item, n) => (n % 100 === 50 ? changed(item) : item)))
  for (const provider of providers) {
    provider.sync.withdraw()
    provider.items = NEW.with(7, changed(NEW[7]!))
  }
  const report = await from(joiner.items)
  expect(report.anchor).toEqual(at(102))
  expect(report.bytesFetched).toBeLessThan(RECORD_BYTES + 162 * HINT_BYTES)
})
