import fc from 'fast-check'
import { expect, test } from 'vitest'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { cut } from '../../src/snapshot/cut.ts'
import { CutSnapshot } from '../../src/snapshot/cut-snapshot.ts'
import { zstdCoder } from '../../src/snapshot/encoding.ts'
import { SnapshotTooLarge } from '../../src/snapshot/errors.ts'
import { HASH_BYTES } from '../../src/snapshot/hash.ts'
import {
  CONTROL_BYTES_MAX,
  chunkHash,
  MANIFEST_CHUNKS_MAX,
  type Manifest,
  makeManifest,
  totalBytes,
  totalItems,
} from '../../src/snapshot/manifest.ts'
import { systemClock } from '../../src/time/clock.ts'
import { ItemSnapshot, numberedItems } from './item-snapshot.ts'

const CONTROL = Buffer.from('control')

interface Result {
  readonly manifest: Manifest
  readonly chunks: CutSnapshot
}

async function cutItems(
  items: readonly Uint8Array[],
  chunkBytes: number,
  control: Uint8Array = CONTROL,
): Promise<Result> {
  const { signal } = new AbortController()
  const chunks = new CutSnapshot(zstdCoder)
  const source = new ItemSnapshot(items)
  const manifest = await cut(source, chunks, { control, chunkBytes, clock: systemClock, signal })
  return { manifest, chunks }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const rootOf = async (...args: Parameters<typeof cutItems>) => hex((await cutItems(...args)).manifest.root)

/** The chunks that a joiner gets by decoding. */
async function chunksOf({ manifest, chunks }: Result): Promise<Uint8Array[]> {
  return await Promise.all(
    manifest.chunks.map(async ({ bytes }, n) => zstdCoder.decode(await chunks.chunk(n), bytes)),
  )
}

async function itemsBack(result: Result): Promise<string[]> {
  const chunks = await chunksOf(result)
  return chunks.flatMap((chunk, n) => Array.from(itemsOf(chunk, result.manifest.chunks[n]!.items), hex))
}

test.each([
  [0, 1],
  [0, 1_000_000],
  [1, 1],
  [1, 1_000_000],
  [300, 1],
  [300, 100],
  [300, 1_000_000],
])('%i items in chunks of %i bytes come back as they were', async (count, chunkBytes) => {
  const items = numberedItems(count)
  const result = await cutItems(items, chunkBytes)
  expect(await itemsBack(result)).toEqual(items.map(hex))
  expect(totalItems(result.manifest)).toBe(count)
  expect(totalBytes(result.manifest)).toBe(
    (await chunksOf(result)).reduce((sum, { length }) => sum + length, 0),
  )
})

test('an empty state has no chunks, and a root all the same', async () => {
  const { manifest, chunks } = await cutItems([], 1)
  expect([manifest.chunks, chunks.infos, manifest.root.length]).toEqual([[], [], HASH_BYTES])
  expect(chunks.manifest).toBe(manifest)
})

test('as many chunks are cut as a manifest may list, and not one more', async () => {
  const into = new CutSnapshot(zstdCoder)
  const source = new ItemSnapshot(numberedItems(MANIFEST_CHUNKS_MAX + 1))
  const { signal } = new AbortController()
  const cutting = cut(source, into, { control: CONTROL, chunkBytes: 1, clock: systemClock, signal })
  await expect(cutting).rejects.toThrow(SnapshotTooLarge)
  expect(into.infos).toHaveLength(MANIFEST_CHUNKS_MAX)
})

test('as many control bytes are taken as a manifest may carry, and not one more', async () => {
  const control = new Uint8Array(CONTROL_BYTES_MAX + 1)
  await cutItems([], 1, control.subarray(1))
  await expect(cutItems([], 1, control)).rejects.toThrow(SnapshotTooLarge)
})

test('any items come back from chunks of any size, each as its manifest says, with one root on all replicas', async () => {
  const items = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(items, fc.integer({ min: 1, max: 2000 }), async (list, chunkBytes) => {
      const one = await cutItems(list, chunkBytes)
      expect(await itemsBack(one)).toEqual(list.map(hex))
      expect((await chunksOf(one)).map((chunk) => [chunk.length, hex(chunkHash(chunk))])).toEqual(
        one.manifest.chunks.map(({ bytes, hash }) => [bytes, hex(hash)]),
      )
      expect(await rootOf(list, chunkBytes)).toBe(hex(one.manifest.root))
    }),
    { numRuns: 60 },
  )
})

test('any changed byte, other control bytes or other borders between items give another root', async () => {
  const items = fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(
      items,
      fc.integer({ min: 1, max: 200 }),
      fc.nat(),
      fc.nat(),
      async (list, chunkBytes, pick, at) => {
        const root = await rootOf(list, chunkBytes)
        const index = pick % list.length
        const item = list[index]!
        const flipped = item.with(at % item.length, item[at % item.length]! ^ (1 << (at % 8)))
        expect(await rootOf(list.with(index, flipped), chunkBytes)).not.toBe(root)
        const split = at % (item.length + 1)
        const halves = [item.subarray(0, split), item.subarray(split)]
        expect(await rootOf(list.toSpliced(index, 1, ...halves), chunkBytes)).not.toBe(root)
        expect(await rootOf(list.toSpliced(index, 1), chunkBytes)).not.toBe(root)
        expect(await rootOf(list, chunkBytes, Buffer.concat([CONTROL, Buffer.of(at % 256)]))).not.toBe(root)
      },
    ),
    { numRuns: 60 },
  )
})

test('moving bytes from the control bytes to the list of chunks changes the root', () => {
  const info = { items: 1, bytes: 2, hash: new Uint8Array(HASH_BYTES) }
  const list = Buffer.alloc(8 + HASH_BYTES)
  list.writeUInt32BE(1, 0)
  list.writeUInt32BE(2, 4)
  expect(hex(makeManifest(CONTROL, [info]).root)).not.toBe(
    hex(makeManifest(Buffer.concat([list, CONTROL]), []).root),
  )
})

test('each chunk is there as soon as it is full, while the rest is still read', async () => {
  const chunks = new CutSnapshot(zstdCoder)
  const seen: number[] = []
  const source = {
    size: 3,
    *items() {
      for (const item of numberedItems(3)) {
        yield item
        seen.push(chunks.infos.length)
      }
    },
    release() {},
  }
  const { signal } = new AbortController()
  const cutting = cut(source, chunks, { control: CONTROL, chunkBytes: 1, clock: systemClock, signal })
  await chunks.beyond(2)
  expect(seen).toEqual([1, 2, 3])
  expect((await cutting).chunks).toEqual(chunks.infos)
})

test('a cut that is aborted rejects with the reason and reads no further', async () => {
  const stop = new AbortController()
  let read = 0
  const source = {
    size: Number.POSITIVE_INFINITY,
    *items() {
      for (;;) {
        if (++read === 1000) stop.abort(new Error('not wanted any more'))
        yield new Uint8Array(1000)
      }
    },
    release() {},
  }
  const into = new CutSnapshot(zstdCoder)
  const cutting = cut(source, into, {
    control: CONTROL,
    chunkBytes: 10_000,
    clock: systemClock,
    signal: stop.signal,
  })
  await expect(cutting).rejects.toThrow('not wanted any more')
  await expect(into.beyond(into.infos.length)).rejects.toThrow('not wanted any more')
})

test('a snapshot that was withdrawn before its cut began is not read', async () => {
  let read = false
  const source = {
    size: 1,
    *items() {
      read = true
      yield new Uint8Array(1)
    },
    release() {},
  }
  const signal = AbortSignal.abort(new Error('withdrawn'))
  const into = new CutSnapshot(zstdCoder)
  const options = { control: CONTROL, chunkBytes: 1, clock: systemClock, signal }
  await expect(cut(source, into, options)).rejects.toThrow('withdrawn')
  expect(read).toBe(false)
})

test('cutting leaves the event loop free', async () => {
  let turns = 0
  let cutting = true
  const count = () => {
    turns++
    if (cutting) setImmediate(count)
  }
  setImmediate(count)
  await cutItems(numberedItems(300_000), 1_000_000)
  cutting = false
  expect(turns).toBeGreaterThan(3)
})
