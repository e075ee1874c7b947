import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Snapshot } from '../../src/machine/machine.ts'
import { ITEM_BYTES_MAX } from '../../src/snapshot/chunk.ts'
import { cut } from '../../src/snapshot/cut.ts'
import { CutHistory } from '../../src/snapshot/cut-history.ts'
import { CutSnapshot } from '../../src/snapshot/cut-snapshot.ts'
import { MalformedChunk, SnapshotTooLarge } from '../../src/snapshot/errors.ts'
import { chunkHash } from '../../src/snapshot/manifest.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { generatedItems } from './generated-items.ts'
import { ItemSnapshot, numberedItems } from './item-snapshot.ts'
import { rawCoder } from './raw-coder.ts'
import { Grouping, neighboursOf, RunSnapshot, runsOf, WatchedRun } from './run-snapshot.ts'

const CONTROL = Buffer.from('control')

async function cutOf(snapshot: Snapshot, chunkBytes: number, history?: CutHistory): Promise<CutSnapshot> {
  const into = new CutSnapshot(rawCoder)
  const { signal } = new AbortController()
  await cut(snapshot, into, { control: CONTROL, chunkBytes, clock: new VirtualClock(), signal, history })
  return into
}

/** It is what a cut of the same items one by one comes to. */
async function expectSame(cut: CutSnapshot, items: readonly Uint8Array[], chunkBytes: number): Promise<void> {
  const plain = await cutOf(new ItemSnapshot(items), chunkBytes)
  expect(cut.manifest).toEqual(plain.manifest)
  for (const [index, { bytes, hash }] of cut.infos.entries()) {
    const raw = await cut.raw(index)
    expect([raw.length, chunkHash(raw)]).toEqual([bytes, hash])
  }
}

const item = fc.uint8Array({ maxLength: 200 })
const sizes = fc.array(fc.nat(12), { minLength: 1, maxLength: 5 })
const chunkBytes = fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 60 }))

test('runs of any size are cut as their items are, one by one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 80 }), sizes, chunkBytes, async (items, sizes, bytes) => {
      for (const runs of [runsOf(items, sizes), neighboursOf(items, sizes)])
        await expectSame(await cutOf(new RunSnapshot(runs), bytes), items, bytes)
    }),
    { numRuns: 300 },
  )
})

test('items with lengths of one, two, three and four bytes, in runs of one and of several', async () => {
  const items = [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 5].map((n) => new Uint8Array(n).fill(n))
  for (const sizes of [[1], [3], [8]]) {
    for (const bytes of [1_000, 65_536, 1_048_576]) {
      for (const runs of [runsOf(items, sizes), neighboursOf(items, sizes)])
        await expectSame(await cutOf(new RunSnapshot(runs), bytes), items, bytes)
    }
  }
})

test('equal items, of which all or none may end a chunk, are cut as one by one', async () => {
  for (let byte = 0; byte < 30; byte++) {
    const items = new Array<Uint8Array>(500).fill(new Uint8Array(9).fill(byte))
    await expectSame(await cutOf(new RunSnapshot(runsOf(items, [7, 30])), 100), items, 100)
  }
})

interface Edit {
  readonly kind: 'replace' | 'insert' | 'remove' | 'repack'
  readonly at: number
  readonly items: readonly Uint8Array[]
}

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom('replace', 'insert', 'remove', 'repack'),
  at: fc.nat(),
  items: fc.array(item, { minLength: 1, maxLength: 10 }),
})

/** A list of runs, and the items of each. */
type State = readonly { readonly run: WatchedRun; readonly items: readonly Uint8Array[] }[]

function stateOf(items: readonly Uint8Array[], sizes: readonly number[]): State {
  let at = 0
  return runsOf(items, sizes).map((run) => {
    at += run.length
    return { run, items: items.slice(at - run.length, at) }
  })
}

function edited(state: State, { kind, at, items }: Edit): State {
  const index = at % Math.max(1, state.length)
  const own = { run: WatchedRun.of(items, 3), items }
  switch (kind) {
    case 'insert':
      return state.toSpliced(index, 0, own)
    case 'replace':
      return state.toSpliced(index, 1, own)
    case 'remove':
      return state.toSpliced(index, 1)
    case 'repack': {
      const two = state.slice(index, index + 2).flatMap(({ items }) => items)
      return state.toSpliced(index, 2, ...stateOf(two, [two.length]))
    }
    default:
      return kind satisfies never
  }
}

describe('after an earlier cut', () => {
  test('any changes give what a cut of all items gives', async () => {
    const start = fc.array(item, { maxLength: 80 })
    const steps = fc.array(fc.array(edit, { maxLength: 3 }), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(start, sizes, chunkBytes, steps, async (items, sizes, bytes, steps) => {
        const history = new CutHistory()
        let state = stateOf(items, sizes)
        await cutOf(new RunSnapshot(state.map(({ run }) => run)), bytes, history)
        for (const edits of steps) {
          state = edits.reduce(edited, state)
          const cut = await cutOf(new RunSnapshot(state.map(({ run }) => run)), bytes, history)
          await expectSame(
            cut,
            state.flatMap(({ items }) => items),
            bytes,
          )
        }
      }),
      { numRuns: 300 },
    )
  })

  test('any changes of runs in groups give what a cut of all items gives', async () => {
    const start = fc.array(item, { maxLength: 80 })
    const steps = fc.array(fc.array(edit, { maxLength: 3 }), { minLength: 1, maxLength: 4 })
    const everies = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 2 })
    await fc.assert(
      fc.asyncProperty(
        start,
        sizes,
        chunkBytes,
        steps,
        everies,
        async (items, sizes, bytes, steps, everies) => {
          const history = new CutHistory()
          const grouping = new Grouping()
          let state = stateOf(items, sizes)
          for (const [n, edits] of [[], ...steps].entries()) {
            state = edits.reduce(edited, state)
            const runs = state.map(({ run }) => run)
            const snapshot = new RunSnapshot(grouping.of(runs, everies[n % everies.length]!))
            await expectSame(
              await cutOf(snapshot, bytes, history),
              state.flatMap(({ items }) => items),
              bytes,
            )
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  const ITEMS = generatedItems(1, 5_000, 60, 140)

  test('groups that move, go, come back or come twice are cut as their items are', async () => {
    const count = 12
    const items = ITEMS.slice(0, count * 10)
    const groups = runsOf(items, [5]).flatMap((run, n, runs) => (n % 2 === 0 ? [[run, runs[n + 1]!]] : []))
    const grouping = new Grouping()
    const all = [...groups.keys()]
    const states = all.flatMap((at) => [
      all,
      all.toSpliced(at, 1),
      all,
      all.slice(0, at + 1),
      all.slice(at),
      all.toSpliced(at, 1).toSpliced((at * 5) % count, 0, at),
      all.toSpliced((at * 7) % count, 0, at),
    ])
    for (const bytes of [300, 1_500, 4_000, 6_000, 1_000_000]) {
      const history = new CutHistory()
      for (const state of states) {
        const snapshot = new RunSnapshot(
          state.flatMap((n) => grouping.of(groups[n]!, Number.POSITIVE_INFINITY)),
        )
        const expected = state.flatMap((n) => items.slice(n * 10, n * 10 + 10))
        await expectSame(await cutOf(snapshot, bytes, history), expected, bytes)
      }
    }
  })

  test('no run of a group that did not change is looked at, but beside a change', async () => {
    const history = new CutHistory()
    const grouping = new Grouping()
    const runs = runsOf(ITEMS, [4])
    const { infos } = await cutOf(new RunSnapshot(grouping.of(runs, 50)), 16_384, history)
    const changed = runs.with(600, WatchedRun.of(ITEMS.slice(2_400, 2_404).reverse()))
    const groups = grouping.of(changed, 50)
    const looks = changed.map(({ looks }) => looks)
    const { infos: after } = await cutOf(new RunSnapshot(groups), 16_384, history)
    const looked = changed.flatMap((run, n) => (run.looks > looks[n]! ? [n] : []))
    expect([infos.length > 20, groups.length]).toEqual([true, expect.closeTo(25, -1)])
    expect(looked).toContain(600)
    expect(looked.length).toBeLessThan(200)
    expect(after.filter((info) => !infos.includes(info)).length).toBeLessThan(6)
  })

  test('a state that did not change is not read', async () => {
    const history = new CutHistory()
    const runs = runsOf(ITEMS, [40])
    const first = await cutOf(new RunSnapshot(runs), 16_384, history)
    const reads = runs.map(({ reads }) => reads)
    const second = await cutOf(new RunSnapshot(runs), 16_384, history)
    expect(runs.map(({ reads }) => reads)).toEqual(reads)
    expect(second.manifest).toEqual(first.manifest)
  })

  test('of a state of which one run changed, what is near is read', async () => {
    const history = new CutHistory()
    const runs = runsOf(ITEMS, [40])
    const { infos } = await cutOf(new RunSnapshot(runs), 16_384, history)
    const changed = runs.with(60, WatchedRun.of(ITEMS.slice(2_400, 2_440).reverse()))
    const reads = changed.map(({ reads }) => reads)
    const { infos: after } = await cutOf(new RunSnapshot(changed), 16_384, history)
    const read = changed.flatMap((run, n) => (run.reads > reads[n]! ? [n] : []))
    expect(infos.length).toBeGreaterThan(20)
    expect(read).toContain(60)
    expect(read.length).toBeLessThan(20)
    expect(after.filter((info) => !infos.includes(info)).length).toBeLessThan(6)
  })

  test('a chunk that ended with the items goes on where there are more, and is the same where there are none', async () => {
    const history = new CutHistory()
    const runs = runsOf(numberedItems(100), [10])
    for (const count of [3, 5, 4, 10, 10, 1]) {
      const cut = await cutOf(new RunSnapshot(runs.slice(0, count)), 1_000_000, history)
      await expectSame(
        cut,
        numberedItems(count * 10).map((_, n) => numberedItems(100)[n]!),
        1_000_000,
      )
    }
  })

  test('of another size of chunks, nothing is taken over', async () => {
    const history = new CutHistory()
    const runs = runsOf(ITEMS.slice(0, 500), [40])
    for (const bytes of [4_096, 1_000, 4_096]) {
      await expectSame(await cutOf(new RunSnapshot(runs), bytes, history), ITEMS.slice(0, 500), bytes)
    }
  })

  test('encodings are taken over as long as they are there', async () => {
    const history = new CutHistory()
    const encoded: Uint8Array[] = []
    const coder = {
      encode: async (bytes: Uint8Array) => {
        encoded.push(bytes)
        return { encoding: 'zstd' as const, bytes: bytes.subarray(1) }
      },
      decode: rawCoder.decode,
    }
    const runs = runsOf(ITEMS, [40])
    const options = { control: CONTROL, chunkBytes: 16_384, clock: new VirtualClock(), history }
    const again = async () => {
      const into = new CutSnapshot(coder)
      const source = new RunSnapshot(runs)
      await cut(source, into, { ...options, signal: new AbortController().signal })
      return { into, source }
    }
    const first = await again()
    const [zero, one] = [await first.into.chunk(0), await first.into.chunk(1)]
    const second = await again()
    expect([await second.into.chunk(0), await second.into.chunk(1)]).toEqual([zero, one])
    expect(encoded).toHaveLength(2)
    await second.into.chunk(2)
    expect(encoded).toHaveLength(3)
    first.into.release()
    second.into.release()
    const third = await again()
    await third.into.chunk(0)
    expect(encoded).toHaveLength(4)
  })
})

describe('the state that chunks lie in', () => {
  const ITEMS = numberedItems(200, 50)
  const halving = {
    encode: async (bytes: Uint8Array) => ({
      encoding: 'zstd' as const,
      bytes: bytes.slice(0, bytes.length / 2),
    }),
    decode: rawCoder.decode,
  }

  async function cutWith(
    coder: typeof rawCoder,
    source: RunSnapshot,
    chunkBytes = 2_000,
  ): Promise<CutSnapshot> {
    const into = new CutSnapshot(coder)
    const { signal } = new AbortController()
    await cut(source, into, { control: CONTROL, chunkBytes, clock: new VirtualClock(), signal })
    return into
  }

  test('is released when the last chunk was encoded smaller, and not earlier', async () => {
    const source = new RunSnapshot(runsOf(ITEMS, [9]))
    const cut = await cutWith(halving, source)
    for (const index of cut.infos.keys()) {
      expect(source.released).toBe(0)
      await cut.chunk(index)
    }
    expect([source.released, source.breaches]).toEqual([1, []])
    const bytes = cut.infos.reduce((sum, { bytes }) => sum + Math.floor(bytes / 2), 0)
    expect(cut.release()).toBe(bytes)
    expect(source.released).toBe(1)
  })

  test('is kept for chunks that do not get smaller, until all are let go', async () => {
    const source = new RunSnapshot(runsOf(ITEMS, [9]))
    const cut = await cutWith(rawCoder, source)
    for (const [index, { hash }] of cut.infos.entries()) {
      const { encoding, bytes } = await cut.chunk(index)
      expect([encoding, chunkHash(bytes)]).toEqual(['raw', hash])
    }
    expect(source.released).toBe(0)
    expect(cut.release()).toBe(0)
    expect([source.released, source.breaches]).toEqual([1, []])
    await expect(cut.chunk(0)).rejects.toThrow(RangeError)
  })

  test('of the chunks that are put together, the last four are kept', async () => {
    const runs = runsOf(ITEMS, [9])
    const cut = await cutWith(rawCoder, new RunSnapshot(runs))
    const reads = () => runs.reduce((sum, run) => sum + run.reads, 0)
    for (const index of [0, 1, 2, 3, 0, 4]) await cut.chunk(index)
    const before = reads()
    for (const index of [0, 2, 3, 4]) expect(await cut.raw(index)).toBe((await cut.chunk(index)).bytes)
    expect(reads()).toBe(before)
    await cut.chunk(1)
    expect(reads()).toBeGreaterThan(before)
  })

  test('is sent as views of it where chunks do not get smaller, and as encodings where they do', async () => {
    const runs = runsOf(ITEMS, [9])
    const cut = await cutWith(rawCoder, new RunSnapshot(runs))
    // The first one is put together, to see whether it gets smaller.
    await cut.parts(0)
    const buffers = new Set(runs.map(({ bytes }) => bytes.buffer))
    for (const [index, { hash }] of cut.infos.entries()) {
      const { encoding, parts } = await cut.parts(index)
      expect([encoding, chunkHash(Buffer.concat(parts))]).toEqual(['raw', hash])
      expect(parts.filter(({ buffer }) => !buffers.has(buffer))).toEqual([])
    }
    const smaller = await cutWith(halving, new RunSnapshot(runs))
    for (const index of cut.infos.keys()) {
      const { encoding, parts } = await smaller.parts(index)
      expect([encoding, ...parts]).toEqual(['zstd', (await smaller.chunk(index)).bytes])
    }
    await expect(cut.parts(cut.infos.length)).rejects.toThrow(RangeError)
  })

  test('an encoder that fails costs one try: the chunk is still there', async () => {
    let isBroken = true
    const coder = {
      encode: async (bytes: Uint8Array) => {
        if (isBroken) throw new Error('out of memory')
        return await halving.encode(bytes)
      },
      decode: rawCoder.decode,
    }
    const source = new RunSnapshot(runsOf(ITEMS, [9]))
    const cut = await cutWith(coder, source)
    await expect(cut.chunk(0)).rejects.toThrow('out of memory')
    isBroken = false
    expect(await cut.chunk(0)).toMatchObject({ encoding: 'zstd' })
  })

  test('is released when nothing is in it, and when it cannot be cut', async () => {
    const empty = new RunSnapshot([])
    await cutWith(rawCoder, empty)
    const large = new RunSnapshot([WatchedRun.of([new Uint8Array(ITEM_BYTES_MAX + 1)])])
    await expect(cutWith(rawCoder, large)).rejects.toThrow(SnapshotTooLarge)
    expect([empty.released, large.released, large.breaches]).toEqual([1, 1, []])
  })

  test.each<[what: string, start: number, end: number, length: number]>([
    ['its number of items is another', 0, 51 * 3, 4],
    ['it ends within an item', 0, 51 * 3 - 1, 3],
    ['it ends within a length', 0, 51 * 3 + 1, 3],
  ])('is told apart from one whose run is wrong: %s', async (_what, start, end, length) => {
    const [{ bytes }] = neighboursOf(ITEMS, [ITEMS.length]) as [WatchedRun]
    const run = new WatchedRun(bytes, start, end, length)
    // The smallest chunks, so that every run is looked at.
    const into = new CutSnapshot(rawCoder)
    const { signal } = new AbortController()
    const options = { control: CONTROL, chunkBytes: 10, clock: new VirtualClock(), signal }
    await expect(cut(new RunSnapshot([run]), into, options)).rejects.toThrow(MalformedChunk)
  })

  test('is not copied where a chunk takes most of a buffer, and is where it takes little', async () => {
    const all = await cutWith(rawCoder, new RunSnapshot(neighboursOf(ITEMS.slice(0, 60), [9])), 8_000)
    const [first] = all.infos
    expect(all.infos).toHaveLength(1)
    expect((await all.raw(0)).buffer.byteLength).toBe(first!.bytes)
    const runs = neighboursOf(ITEMS, [9])
    const some = await cutWith(rawCoder, new RunSnapshot(runs))
    expect(some.infos.length).toBeGreaterThan(3)
    expect((await some.raw(1)).buffer).not.toBe(runs[0]!.bytes.buffer)
  })
})
