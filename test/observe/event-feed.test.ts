import { expect, test } from 'vitest'
import type { ProcessEvent } from '../../src/observe/events.ts'
import { EVENTS_MAX, EventFeed, type FedEvent } from '../../src/observe/page/event-feed.ts'

const ANCHOR = { epoch: 'e', index: 7 }

function leader(term: number): ProcessEvent {
  return { type: 'leader', detail: { leader: 'a', term }, atMs: 0 }
}

function served(peer: string, chunks: number): ProcessEvent {
  return {
    type: 'sync',
    detail: { type: 'served', peer, anchor: ANCHOR, chunks, bytes: 10 },
    atMs: 0,
  } as ProcessEvent
}

function detailOf({ json }: FedEvent): { readonly [name: string]: unknown } {
  return JSON.parse(json).detail
}

test('the newest 500 are kept, and those after an id are told', () => {
  const feed = new EventFeed(() => {})
  for (let term = 1; term <= EVENTS_MAX + 10; term++) feed.add(leader(term))
  const all = feed.after(undefined)
  expect([all.length, detailOf(all[0]!), detailOf(all.at(-1)!)]).toMatchObject([
    500,
    { term: 11 },
    { term: 510 },
  ])
  expect(feed.after(all[490]!.id)).toEqual(all.slice(491))
  expect(feed.after(all.at(-1)!.id)).toEqual([])
  expect(new EventFeed(() => {}).after(all[0]!.id)).toEqual([])
})

test('of what tells progress only the newest is kept, in its place among the others', () => {
  const told: FedEvent[] = []
  const feed = new EventFeed((event) => void told.push(event))
  feed.add(served('a', 1))
  feed.add(served('b', 1))
  feed.add(served('a', 2))
  expect(told).toEqual([])
  feed.add(leader(1))
  feed.add(served('a', 3))
  feed.flush()
  expect(told.map(detailOf)).toMatchObject([
    { peer: 'b', chunks: 1 },
    { peer: 'a', chunks: 2 },
    { term: 1 },
    { peer: 'a', chunks: 3 },
  ])
  expect(feed.after(undefined)).toEqual([told[0], told[2], told[3]])
  expect(feed.after(told[1]!.id)).toEqual(told.slice(2))
})

test('a peer that is refused again and again takes the place of nothing else', () => {
  const feed = new EventFeed(() => {})
  feed.add(leader(1))
  for (let n = 0; n < 2 * EVENTS_MAX; n++) {
    const error = { name: 'Unauthorized', message: `attempt ${n}` }
    const detail = { type: 'refused', peer: 'a', error }
    feed.add({ type: 'sync', detail, atMs: 0 } as ProcessEvent)
    feed.flush()
  }
  expect(feed.after(undefined).map(detailOf)).toMatchObject([
    { term: 1 },
    { error: { message: `attempt ${2 * EVENTS_MAX - 1}` } },
  ])
})

test('what many peers were sent does not wait without a bound', () => {
  const told: FedEvent[] = []
  const feed = new EventFeed((event) => void told.push(event))
  for (let peer = 0; peer < 250; peer++) feed.add(served(`${peer}`, 1))
  expect(told).toHaveLength(200)
})

test('bytes are in hexadecimal, maps are objects, long texts are cut, and all together have a bound', () => {
  const feed = new EventFeed(() => {})
  const roots = new Map([['a', Uint8Array.of(1, 255)]])
  feed.add({ type: 'disputed', detail: { anchor: ANCHOR, roots }, atMs: 0 })
  feed.add({ type: 'problem', detail: { name: 'Error', message: 'x\n'.repeat(10_000) }, atMs: 0 })
  const [disputed, problem] = feed.after(undefined)
  expect(detailOf(disputed!)).toEqual({ anchor: ANCHOR, roots: { a: '01ff' } })
  expect(problem!.json).not.toContain('\n')
  expect(detailOf(problem!).message).toHaveLength(1_001)
  feed.add({ type: 'problem', detail: { name: 'Error', message: 'no nats://me:secret@n1:4222' }, atMs: 0 })
  expect(detailOf(feed.after(undefined).at(-1)!).message).toBe('no nats://…@n1:4222')
  for (let n = 0; n < 500; n++)
    feed.add({ type: 'problem', detail: { name: `${n}`, message: 'y'.repeat(5_000) }, atMs: 0 })
  const kept = feed.after(undefined)
  const length = kept.reduce((sum, { json }) => sum + json.length, 0)
  expect(length).toBeLessThanOrEqual(512 * 1024)
  expect(length).toBeGreaterThan(500 * 1024)
  expect(detailOf(kept.at(-1)!).name).toBe('499')
})
