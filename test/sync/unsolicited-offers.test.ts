import { beforeEach, describe, expect, test } from 'vitest'
import type { Position } from '../../src/position.ts'
import { chunkHash } from '../../src/snapshot/manifest.ts'
import { NoMarker } from '../../src/sync/errors.ts'
import { REQUEST_BYTES_MAX } from '../../src/sync/limits.ts'
import { Busy } from '../../src/sync/wire/errors.ts'
import { type ByteStream, decodeFrames, encodeFrame } from '../../src/sync/wire/frames.ts'
import {
  decodeRequest,
  encodeResponse,
  type RequestBody,
  type ResponseBody,
} from '../../src/sync/wire/messages.ts'
import { sleep } from '../../src/time/clock.ts'
import { numberedItems } from '../snapshot/item-snapshot.ts'
import { at, SyncGroup, type SyncReplica } from './sync-group.ts'

/** Members that lead a session astray without ever sending a wrong byte, and the one that would serve it. */

const ITEMS = numberedItems(40)
const hex = (items: readonly Uint8Array[]) => items.map((item) => Buffer.from(item).toString('hex'))
const busy: ResponseBody = { type: 'error', error: new Busy('soon', 500) }
const offers = (...indexes: number[]): ResponseBody => ({
  type: 'offers',
  offers: indexes.map((index) => ({ anchor: at(index), remainingMs: 10_000, ready: true })),
})

let group: SyncGroup
let leader: SyncReplica
let joiner: SyncReplica

beforeEach(() => {
  group = new SyncGroup()
  leader = group.add(['l', 'f1', 'f2'], ITEMS)[0]!
  group.leader = 'l'
  joiner = group.add(['j'], [])[0]!
})

/** From now on a member answers so. */
function answerAs(
  id: string,
  answer: (body: RequestBody) => readonly (readonly [ResponseBody, Uint8Array?])[],
  delayMs = 0,
): void {
  group.network.join(id).serveWith(async (_peer, stream: ByteStream) => {
    for await (const { header } of decodeFrames(stream.source, REQUEST_BYTES_MAX)) {
      const request = decodeRequest(header)
      if (delayMs > 0) await sleep(group.clock, delayMs)
      for (const [body, payload] of answer(request.body)) {
        const frame = { header: encodeResponse({ id: request.id, body }), ...(payload && { payload }) }
        await stream.send(encodeFrame(frame))
      }
    }
  })
}

test('followers that offer and are Busy for ever: the leader serves', async () => {
  for (const id of ['f1', 'f2']) answerAs(id, ({ type }) => [[type === 'offers' ? offers(101) : busy]])
  await group.until(joiner.catchUp())
  expect(leader.served).toBe(40)
})

test('a member that is said to lead and is not: another one names the leader', async () => {
  answerAs('evil', () => [[busy]])
  const { members } = joiner.host
  joiner.host.leader = () => 'evil'
  joiner.host.members = () => [...members(), { id: 'evil', addresses: [], serves: true, applied: 1 }]
  const report = await group.until(joiner.catchUp())
  expect([report.anchor, hex(joiner.items)]).toEqual([at(101), hex(ITEMS)])
})

test('a leader that names what is no anchor is not believed again', async () => {
  group.mark('j')
  await group.pass(500)
  answerAs('l', ({ type }) => [[type === 'snapshot' ? { type: 'anchored', anchor: at(60) } : offers()]])
  const { sealedRoot } = joiner.host
  joiner.host.sealedRoot = async (anchor: Position, signal) => {
    if (!group.seals.has(anchor.index)) throw new NoMarker(anchor)
    return await sealedRoot(anchor, signal)
  }
  const report = await group.until(joiner.catchUp())
  expect([report.anchor, report.anchorsLost]).toEqual([at(101), 1])
  expect(joiner.faults.map(({ peer }) => peer)).toContain('l')
})

test('once all is verified nobody is needed: what is being built is installed, though all have gone', async () => {
  const slow = joiner.host.beginInstall
  let building = false
  joiner.host.beginInstall = (signal, anchor) => {
    const installing = slow(signal, anchor)
    return {
      ...installing,
      add: async (chunk, items) => {
        if (!building) await new Promise<void>((resolve) => group.clock.schedule(20_000, resolve))
        building = true
        await installing.add(chunk, items)
      },
    }
  }
  const catching = joiner.catchUp()
  while (!joiner.states.includes('installing')) await group.pass(50)
  for (const id of ['l', 'f1', 'f2']) group.network.kill(id)
  await group.until(catching)
  expect(hex(joiner.items)).toEqual(hex(ITEMS))
})

describe('a list without an end', () => {
  /** One empty item. */
  const bytes = Buffer.of(0)
  const info = { items: 1, bytes: 1, hash: chunkHash(bytes) }

  test('is given up when another has told of all its chunks, and no seal comes', async () => {
    const endless = (body: RequestBody): readonly (readonly [ResponseBody, Uint8Array?])[] => {
      if (body.type === 'offers') return [[offers(101)]]
      if (body.type === 'manifest') return [[{ type: 'manifest', chunks: [info], control: undefined }]]
      if (body.type !== 'chunks') return [[{ type: 'revived', remainingMs: 1 }]]
      return Array.from({ length: body.count }, (_, n) => {
        return [{ type: 'chunk', index: body.first + n, encoding: 'raw' }, bytes] as const
      })
    }
    answerAs('f1', endless, 100)
    group.attests = false
    const catching = joiner.catchUp()
    catching.catch(() => {})
    await group.pass(20_000)
    expect(joiner.lost[0]).toContain('never sealed')
  })
})
