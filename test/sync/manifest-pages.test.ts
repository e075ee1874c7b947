import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Uint8ArrayList } from 'uint8arraylist'
import { beforeEach, expect, test } from 'vitest'
import { MANIFEST_CHUNKS_MAX } from '../../src/snapshot/manifest.ts'
import { MANIFEST_PAGE_CHUNKS, RESPONSE_BYTES_MAX } from '../../src/sync/limits.ts'
import { type ByteStream, decodeFrames, encodeFrame } from '../../src/sync/wire/frames.ts'
import { decodeResponse, encodeResponse, type ResponseBody } from '../../src/sync/wire/messages.ts'
import { numberedItems } from '../snapshot/item-snapshot.ts'
import { at, SyncGroup, type SyncReplica } from './sync-group.ts'

/** One chunk each: more than a page. */
const ITEMS = numberedItems(5_000)

let group: SyncGroup
let leader: SyncReplica
let joiner: SyncReplica

beforeEach(async () => {
  group = new SyncGroup()
  leader = group.add(['l'], ITEMS)[0]!
  joiner = group.add(['j'], [])[0]!
  group.leader = 'l'
  joiner.serves = false
  group.mark('j')
  await group.until(leader.sync.whenCut(at(group.newest))!)
})

async function* streamOf(bytes: Uint8ArrayList): AsyncGenerator<Uint8ArrayList> {
  yield bytes
}

/** Change what a provider answers; undefined: that answer is never sent. */
function answering(change: (id: number, body: ResponseBody) => ResponseBody | undefined) {
  return (_peer: string, stream: ByteStream): ByteStream => ({
    ...stream,
    send: async (bytes) => {
      for await (const { header, payload } of decodeFrames(streamOf(bytes), RESPONSE_BYTES_MAX)) {
        const { id, body } = decodeResponse(header)
        const changed = change(id, body)
        if (changed === undefined) return await new Promise(() => {})
        const frame = {
          header: encodeResponse({ id, body: changed }),
          ...(payload && { payload: payload.slice() }),
        }
        await stream.send(encodeFrame(frame))
      }
    },
  })
}

test('a list longer than a page is told in pages, the control bytes with the last one, and installed whole', async () => {
  const pages: [chunks: number, last: boolean][] = []
  leader.onServe = answering((_id, body) => {
    if (body.type === 'manifest') pages.push([body.chunks.length, body.control !== undefined])
    return body
  })
  await group.until(joiner.catchUp())
  expect(pages).toEqual([
    [MANIFEST_PAGE_CHUNKS, false],
    [ITEMS.length - MANIFEST_PAGE_CHUNKS, true],
  ])
  expect(joiner.items).toEqual(ITEMS.map((item) => Uint8Array.from(item)))
})

test('a provider whose list goes on beyond what a snapshot may have is left', async () => {
  const chunk = { items: 1, bytes: 9, hash: new Uint8Array(32) }
  const page = new Array(MANIFEST_PAGE_CHUNKS).fill(chunk)
  let pages = 0
  leader.onServe = answering((_id, body) => {
    if (body.type === 'chunk' || body.type === 'error') return undefined
    if (body.type !== 'manifest') return body
    pages++
    return { type: 'manifest', chunks: page, control: undefined }
  })
  const caughtUp = joiner.catchUp()
  caughtUp.catch(() => {})
  while (pages === 0) await group.pass(50)
  // No time passes while it lists, so that no chunk is late.
  const pagesMax = MANIFEST_CHUNKS_MAX / MANIFEST_PAGE_CHUNKS
  for (let n = 0; n < 20_000 && pages <= pagesMax; n++) await nextTurn()
  expect(pages).toBe(pagesMax + 1)
  const error = await group.until(caughtUp.catch((reason: Error) => reason))
  expect([String(error), ...joiner.lost].join()).toContain('a list of too many chunks')
})
