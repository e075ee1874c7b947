import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SnapshotReleased } from '../../src/machine/errors.ts'
import type { Snapshot } from '../../src/machine/machine.ts'
import { Basis } from '../../src/snapshot/basis.ts'
import { ChunkWriter, itemsOf } from '../../src/snapshot/chunk.ts'
import { MalformedChunk } from '../../src/snapshot/errors.ts'
import { hintsOf, picked } from '../../src/snapshot/hints.ts'
import { chunkHash } from '../../src/snapshot/manifest.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { ItemSnapshot, numberedItems } from './item-snapshot.ts'
import { RunSnapshot, runsOf } from './run-snapshot.ts'

const CHUNK_BYTES = 1024

async function basisOf(
  items: readonly Uint8Array[],
  snapshot: Snapshot = new ItemSnapshot(items),
): Promise<Basis> {
  const { signal } = new AbortController()
  const enough = signal
  return await Basis.of(snapshot, { chunkBytes: CHUNK_BYTES, clock: new VirtualClock(), signal, enough })
}

/** All items in one chunk. */
function chunkOf(items: readonly Uint8Array[]): Buffer {
  const writer = new ChunkWriter(8 * 1024 * 1024)
  for (const item of items) writer.add(item)
  return writer.take().bytes
}

/** The chunk that a joiner with `basis` builds, and how many items must be sent for it. */
async function rebuilt(basis: Basis, items: readonly Uint8Array[]) {
  const chunk = chunkOf(items)
  const parsed = itemsOf(chunk, items.length)
  const match = await basis.match(hintsOf(parsed))
  const sent = picked(parsed, match.runs)
  expect(sent.length + match.bytes).toBe(chunk.length)
  return { same: chunk.equals(basis.assemble(match, sent, chunk.length)), missing: match.missing }
}

const item = fc.uint8Array({ maxLength: 6 })

test('any basis and the missing items together make the chunk', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(item), fc.array(item), async (have, want) => {
      expect((await rebuilt(await basisOf(have), want)).same).toBe(true)
    }),
  )
})

test('any basis of packed items, too', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(item),
      fc.array(item),
      fc.array(fc.nat(9), { minLength: 1 }),
      async (a, b, sizes) => {
        const basis = await basisOf(a, new RunSnapshot(runsOf(a, sizes)))
        expect((await rebuilt(basis, b)).same).toBe(true)
      },
    ),
  )
})

const OLD = numberedItems(2_000, 40)

test.each<[what: string, want: readonly Uint8Array[], missing: number]>([
  ['nothing changed', OLD, 0],
  ['a part of it', OLD.slice(700, 900), 0],
  ['the first item changed', OLD.with(0, Buffer.from('new')), 1],
  ['the last item changed', OLD.with(-1, Buffer.from('new')), 1],
  ['every tenth item changed', OLD.map((old, n) => (n % 10 === 0 ? Buffer.from(`new ${n}`) : old)), 200],
  ['one item is gone', OLD.toSpliced(500, 1), 0],
  ['a thousand items are gone', OLD.toSpliced(500, 1_000), 0],
  ['every third item is gone', OLD.filter((_, n) => n % 3 !== 0), 0],
  ['a thousand items are new', OLD.toSpliced(500, 0, ...numberedItems(1_000, 41)), 1_000],
  ['a run was replaced', OLD.toSpliced(500, 300, ...numberedItems(300, 41)), 300],
  ['nothing is left', numberedItems(100, 41), 100],
])('%s: the number of items that are asked for', async (_what, want, missing) => {
  const packed = new RunSnapshot(runsOf(OLD, [7, 36]))
  for (const basis of [await basisOf(OLD), await basisOf(OLD, packed)])
    expect(await rebuilt(basis, want)).toEqual({ same: true, missing })
  expect([packed.released, packed.breaches]).toEqual([0, []])
})

test('many equal items do not take endless work', async () => {
  const same = Array<Uint8Array>(100_000).fill(Buffer.from('the same'))
  expect(await rebuilt(await basisOf(same), same.slice(0, 1_000))).toEqual({ same: true, missing: 0 })
})

test.each<[what: string, snapshot: Snapshot]>([
  ['a copy', new ItemSnapshot(OLD)],
  ['packed', new RunSnapshot(runsOf(OLD, [5]))],
])('whole chunks are known by their hash: %s', async (_what, snapshot) => {
  const basis = await basisOf(OLD, snapshot)
  const writer = new ChunkWriter(CHUNK_BYTES)
  for (const old of OLD) {
    writer.add(old)
    if (writer.ended) break
  }
  const { bytes } = writer.take()
  expect(basis.has(chunkHash(bytes))).toBe(true)
  expect(Buffer.from(basis.chunk(chunkHash(bytes))!)).toEqual(bytes)
  expect(basis.has(chunkHash(Buffer.from('another')))).toBe(false)
  expect(basis.chunk(chunkHash(Buffer.from('another')))).toBeUndefined()
})

describe('what does not fit is no chunk', () => {
  const want = OLD.slice(0, 10).with(5, Buffer.from('new'))
  const chunk = chunkOf(want)

  test.each<[what: string, sent: string, bytes: number]>([
    ['an item is missing', '', chunk.length],
    ['there is one too many', '\x03new\x03new', chunk.length],
    ['it is longer than it was said to be', '\x05newer', chunk.length],
    ['it is shorter', '\x01n', chunk.length],
    ['the chunk is larger', '\x03new', chunk.length + 1],
    ['the chunk is smaller', '\x03new', chunk.length - 1],
    ['the sent bytes are no items', '\x04new', chunk.length],
  ])('%s', async (_what, sent, bytes) => {
    const basis = await basisOf(OLD)
    const match = await basis.match(hintsOf(itemsOf(chunk, 10)))
    expect(() => basis.assemble(match, Buffer.from(sent), bytes)).toThrow(MalformedChunk)
  })
})

test('the snapshot is released, even if its cut is given up', async () => {
  const read = new ItemSnapshot(OLD)
  await basisOf([], read)
  const late = new ItemSnapshot(OLD)
  const signal = AbortSignal.abort(new Error('too late'))
  const { signal: enough } = new AbortController()
  const options = { chunkBytes: CHUNK_BYTES, clock: new VirtualClock(), signal, enough }
  await expect(Basis.of(late, options)).rejects.toThrow('too late')
  expect([read.released, late.released, read.breaches, late.breaches]).toEqual([1, 1, [], []])
})

test('packed items are released with the basis, and it is empty then', async () => {
  const source = new RunSnapshot(runsOf(OLD, [36]))
  const basis = await basisOf(OLD, source)
  const hints = hintsOf(itemsOf(chunkOf(OLD), OLD.length))
  const match = await basis.match(hints)
  expect(source.released).toBe(0)
  basis.release()
  basis.release()
  expect([source.released, source.breaches, basis.isEmpty]).toEqual([1, [], true])
  expect(() => basis.assemble(match, Buffer.of(), 1)).toThrow(SnapshotReleased)
  expect((await basis.match(hints)).missing).toBe(OLD.length)
})

test('packed items whose cut is given up are released', async () => {
  const late = new RunSnapshot(runsOf(OLD, [36]))
  const signal = AbortSignal.abort(new Error('too late'))
  const { signal: enough } = new AbortController()
  const options = { chunkBytes: CHUNK_BYTES, clock: new VirtualClock(), signal, enough }
  await expect(Basis.of(late, options)).rejects.toThrow('too late')
  expect([late.released, late.breaches]).toEqual([1, []])
})

test('when cutting has taken long enough, the basis is what was cut so far', async () => {
  const enough = new AbortController()
  const { signal } = new AbortController()
  const clock = new VirtualClock()
  const snapshot = new ItemSnapshot(OLD)
  const halfway = {
    size: OLD.length,
    *items() {
      for (const [n, item] of OLD.entries()) {
        if (n === 1_000) enough.abort()
        // A cut looks at the clock after this many items, and then rests.
        if (n > 1_000) clock.advance(1)
        yield item
      }
    },
    release: () => snapshot.release(),
  }
  const basis = await Basis.of(halfway, { chunkBytes: CHUNK_BYTES, clock, signal, enough: enough.signal })
  const { same, missing } = await rebuilt(basis, OLD)
  expect([same, snapshot.released]).toEqual([true, 1])
  expect(missing).toBeGreaterThan(0)
  expect(missing).toBeLessThan(1_100)
})
