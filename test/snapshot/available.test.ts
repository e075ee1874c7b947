import { once } from 'node:events'
import { beforeEach, expect, test, vi } from 'vitest'
import type { Snapshot } from '../../src/machine/machine.ts'
import type { Position } from '../../src/position.ts'
import { type AvailableEvent, AvailableSnapshots } from '../../src/snapshot/available.ts'
import { ITEM_BYTES_MAX } from '../../src/snapshot/chunk.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { allowFault } from '../setup/strict.ts'
import { ItemSnapshot, numberedItems } from './item-snapshot.ts'
import { RunSnapshot, runsOf, WatchedRun } from './run-snapshot.ts'

const TTL_MS = 1000
const CUT = { control: new Uint8Array(0), chunkBytes: 100 }
const at = (index: number): Position => ({ epoch: 'e', index })

let clock: VirtualClock
let events: AvailableEvent[]
let available: AvailableSnapshots

beforeEach(() => {
  clock = new VirtualClock()
  events = []
  available = new AvailableSnapshots({ clock, ttlMs: TTL_MS, onEvent: (event) => events.push(event) })
})

const EXPIRED = { released: 'expired', why: undefined }

const released = () =>
  events.flatMap((event) => (event.type === 'released' ? [[event.anchor.index, event.cause]] : []))

/** A snapshot at `index`, cut. */
async function held(index: number, source: Snapshot = new ItemSnapshot(numberedItems(50))): Promise<void> {
  available.add(at(index), source, CUT)
  await available.whenCut(at(index))
}

test('a captured snapshot is there at once, and its chunks once they are cut', async () => {
  const source = new ItemSnapshot(numberedItems(50))
  available.add(at(7), source, CUT)
  expect(available.get(at(7))).toEqual({ anchor: at(7), remainingMs: TTL_MS, ready: false, uses: 1 })
  expect(available.chunks(at(7))?.infos).toEqual([])
  const manifest = await available.whenCut(at(7))
  expect(available.get(at(7))).toEqual({ anchor: at(7), remainingMs: TTL_MS, ready: true, uses: 0 })
  expect(available.chunks(at(7))?.manifest).toBe(manifest)
  expect(events).toMatchObject([{ type: 'captured' }, { type: 'cut', manifest }])
  expect([source.released, source.breaches]).toEqual([1, []])
})

test('a source whose release throws is a warning, and its chunks are there', async () => {
  const source = new ItemSnapshot(numberedItems(50))
  source.release = () => {
    throw new Error('the machine has lost count')
  }
  allowFault(/ReleaseFailed/)
  const warned = once(process, 'warning')
  available.add(at(7), source, CUT)
  const manifest = await available.whenCut(at(7))
  expect(await warned).toMatchObject([
    { name: 'ReleaseFailed', detail: expect.stringContaining('lost count') },
  ])
  expect(events).toMatchObject([{ type: 'captured' }, { type: 'cut', manifest }])
})

test('a snapshot without a fetch expires after its TTL, not a millisecond earlier', async () => {
  await held(7)
  clock.advance(TTL_MS - 1)
  expect(available.get(at(7))).toMatchObject({ remainingMs: 1 })
  clock.advance(1)
  expect(available.get(at(7))).toEqual(EXPIRED)
  expect(available.list()).toEqual([])
  expect(released()).toEqual([[7, 'expired']])
})

test('a revived snapshot lives a full TTL from then on', async () => {
  await held(7)
  clock.advance(TTL_MS - 1)
  expect(available.revive(at(7))).toBe(TTL_MS)
  clock.advance(TTL_MS - 1)
  expect(available.get(at(7))).toMatchObject({ remainingMs: 1 })
  clock.advance(1)
  expect(available.get(at(7))).toEqual(EXPIRED)
})

test('each snapshot has a deadline of its own', async () => {
  await held(7)
  clock.advance(600)
  await held(8)
  clock.advance(400)
  expect(available.list().map(({ anchor }) => anchor.index)).toEqual([8])
  clock.advance(600)
  expect(released()).toEqual([
    [7, 'expired'],
    [8, 'expired'],
  ])
})

test('an unknown anchor cannot be revived, used or waited for', () => {
  expect(available.get(at(9))).toBeUndefined()
  expect(available.revive(at(9))).toBeUndefined()
  expect(available.whenCut(at(9))).toBeUndefined()
  expect(available.chunks(at(9))).toBeUndefined()
  available.use(at(9))()
})

test('the same index of another epoch is another anchor', async () => {
  await held(7)
  expect(available.get({ epoch: 'other', index: 7 })).toBeUndefined()
})

test('a snapshot does not expire while it is being cut, and has a full TTL after that', async () => {
  available.add(at(7), new ItemSnapshot(numberedItems(50)), CUT)
  clock.advance(10 * TTL_MS)
  expect(available.get(at(7))).toMatchObject({ ready: false, remainingMs: TTL_MS })
  await available.whenCut(at(7))
  clock.advance(TTL_MS - 1)
  expect(available.get(at(7))).toMatchObject({ remainingMs: 1 })
})

test('a snapshot does not expire while it is being sent, and has a full TTL after the last fetch', async () => {
  await held(7)
  const [endFirst, endSecond] = [available.use(at(7)), available.use(at(7))]
  clock.advance(2 * TTL_MS)
  endFirst()
  endFirst()
  clock.advance(2 * TTL_MS)
  expect(available.get(at(7))).toMatchObject({ remainingMs: TTL_MS })
  endSecond()
  clock.advance(TTL_MS - 1)
  expect(available.get(at(7))).toMatchObject({ remainingMs: 1 })
  clock.advance(1)
  expect(available.get(at(7))).toEqual(EXPIRED)
})

test('a withdrawn snapshot is gone at once, the others stay', async () => {
  await held(7)
  await held(8)
  const end = available.use(at(7))
  available.withdraw(at(7))
  expect(available.get(at(7))).toEqual({ released: 'withdrawn', why: undefined })
  end()
  expect(available.list().map(({ anchor }) => anchor.index)).toEqual([8])
  expect(released()).toEqual([[7, 'withdrawn']])
  available.withdraw()
  expect(available.list()).toEqual([])
})

test('a snapshot withdrawn during its cut is not read any more when it is released', async () => {
  const source = new ItemSnapshot(numberedItems(50))
  available.add(at(7), source, CUT)
  const whenCut = available.whenCut(at(7))
  const first = available.chunks(at(7))!.beyond(0)
  available.withdraw()
  await expect(whenCut).rejects.toThrow('released while it was being cut')
  await expect(first).rejects.toThrow('released while it was being cut')
  expect([source.released, source.breaches]).toEqual([1, []])
  expect(released()).toEqual([[7, 'withdrawn']])
})

test('a snapshot withdrawn between two slices of its cut is released after the last read', async () => {
  const source = new ItemSnapshot(numberedItems(5000))
  available.add(at(7), source, CUT)
  const whenCut = available.whenCut(at(7))!
  // Each look at the clock finds a slice used up, so the cut rests in the middle of the items.
  clock.now = () => performance.now() * 1e6
  await clock.turn()
  await clock.turn()
  available.withdraw()
  await expect(whenCut).rejects.toThrow('released while it was being cut')
  expect([source.released, source.breaches]).toEqual([1, []])
})

test('a snapshot whose items cannot be read is released as failed, with the reason', async () => {
  const source = {
    size: 1,
    releases: 0,
    // biome-ignore lint/correctness/useYield: it fails before its first item
    *items(): Generator<Uint8Array> {
      throw new Error('the disk is gone')
    },
    release() {
      this.releases++
    },
  }
  available.add(at(7), source, CUT)
  await expect(available.whenCut(at(7))).rejects.toThrow('the disk is gone')
  expect(released()).toEqual([[7, 'failed']])
  expect(events.at(-1)).toMatchObject({ why: 'the disk is gone' })
  expect(source.releases).toBe(1)
})

test('an anchor that is added again is revived, and the second capture given back', async () => {
  await held(7)
  clock.advance(TTL_MS - 1)
  const again = new ItemSnapshot([])
  available.add(at(7), again, CUT)
  expect(again.released).toBe(1)
  expect(available.get(at(7))).toMatchObject({ remainingMs: TTL_MS })
  expect(events.map(({ type }) => type)).toEqual(['captured', 'cut', 'revived'])
})

test('an anchor that was released can be offered anew', async () => {
  await held(7)
  clock.advance(TTL_MS)
  await held(7)
  expect(available.get(at(7))).toMatchObject({ remainingMs: TTL_MS })
})

test('the newest 64 released anchors are remembered, older ones forgotten', async () => {
  for (let index = 1; index <= 65; index++) available.add(at(index), new ItemSnapshot([]), CUT)
  available.withdraw()
  const withdrawn = { released: 'withdrawn' }
  expect([1, 2, 65].map((index) => available.get(at(index)))).toMatchObject([undefined, withdrawn, withdrawn])
})

test('the reason why a snapshot could not be cut is remembered with it', async () => {
  const broken = {
    size: 1,
    items(): Iterable<Uint8Array> {
      throw new Error('the machine is out of order')
    },
    release() {},
  }
  await expect(held(7, broken)).rejects.toThrow('the machine is out of order')
  expect(available.get(at(7))).toEqual({ released: 'failed', why: 'the machine is out of order' })
  await expect(held(8, new ItemSnapshot([new Uint8Array(ITEM_BYTES_MAX + 1)]))).rejects.toThrow()
  const why = `an item of ${ITEM_BYTES_MAX + 1} bytes is beyond the limit of ${ITEM_BYTES_MAX}`
  expect(available.get(at(8))).toEqual({ released: 'failed', why })
})

test('snapshots are listed from the oldest anchor to the newest', async () => {
  for (const index of [9, 7, 8]) available.add(at(index), new ItemSnapshot([]), CUT)
  expect(available.list().map(({ anchor }) => anchor.index)).toEqual([7, 8, 9])
})

const freed = () => events.flatMap((event) => (event.type === 'freed' ? [[event.count, event.bytes]] : []))
/** Queued releases are executed a little later. */
async function dropped(): Promise<void> {
  clock.advance(50)
  for (let n = 0; n < 4; n++) await clock.turn()
}

test('the chunks of an expired snapshot are freed soon, and the event says how many bytes', async () => {
  await held(7)
  const chunks = available.chunks(at(7))!
  const bytes = chunks.infos.reduce((sum, info) => sum + info.bytes, 0)
  clock.advance(TTL_MS)
  expect(freed()).toEqual([])
  await dropped()
  expect(freed()).toEqual([[1, bytes]])
  await expect(chunks.chunk(0)).rejects.toThrow(RangeError)
})

test('packed items are held until the snapshot is freed, or all of it is encoded', async () => {
  const zeros = new Array<Uint8Array>(50).fill(new Uint8Array(50))
  const [expired, encoded] = [new RunSnapshot(runsOf(zeros, [7])), new RunSnapshot(runsOf(zeros, [50]))]
  await held(7, expired)
  clock.advance(TTL_MS)
  expect(expired.released).toBe(0)
  await dropped()
  expect([expired.released, expired.breaches, freed()]).toEqual([1, [], [[1, 0]]])
  await held(8, encoded)
  const chunks = available.chunks(at(8))!
  for (const index of chunks.infos.keys()) {
    expect(encoded.released).toBe(0)
    await chunks.chunk(index)
  }
  expect([encoded.released, encoded.breaches]).toEqual([1, []])
})

test('packed items whose cut fails after some chunks are held until those are freed', async () => {
  const good = runsOf(numberedItems(200), [50])
  const source = new RunSnapshot([...good, WatchedRun.of([new Uint8Array(ITEM_BYTES_MAX + 1)])])
  available.add(at(7), source, CUT)
  const chunks = available.chunks(at(7))!
  await expect(available.whenCut(at(7))).rejects.toThrow('beyond the limit')
  expect([chunks.infos.length > 3, source.released]).toEqual([true, 0])
  await dropped()
  expect([source.released, source.breaches]).toEqual([1, []])
})

test('a snapshot withdrawn while it is being sent keeps its chunks until it was sent', async () => {
  await held(7)
  const end = available.use(at(7))
  const chunks = available.chunks(at(7))!
  available.withdraw()
  await dropped()
  expect(freed()).toEqual([])
  await expect(chunks.chunk(0)).resolves.toMatchObject({ encoding: expect.any(String) })
  end()
  await dropped()
  expect(freed()).toHaveLength(1)
})

test('closing gives everything back and leaves no timer', async () => {
  await held(7)
  await held(8)
  const scheduled = vi.spyOn(clock, 'schedule')
  await available.close()
  expect(freed()).toEqual([[2, expect.any(Number)]])
  clock.advance(10 * TTL_MS)
  await clock.turn()
  expect(scheduled.mock.calls.length).toBeLessThanOrEqual(1)
  expect(available.list()).toEqual([])
})

test('keep-alives without a fetch hold an offer for sixty TTLs, and a fetch for as many more', async () => {
  await held(7)
  const keptAlive = () => {
    let count = 0
    for (; available.keepAlive(at(7)) === TTL_MS; count++) clock.advance(TTL_MS / 2)
    return count
  }
  available.use(at(7))()
  expect(keptAlive()).toBe(120)
  available.use(at(7))()
  expect(keptAlive()).toBe(120)
  clock.advance(TTL_MS)
  expect(released()).toEqual([[7, 'expired']])
})
