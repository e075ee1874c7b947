import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isBoundary, itemHash } from '../../src/snapshot/boundary.ts'
import { ChunkWriter, itemsOf } from '../../src/snapshot/chunk.ts'
import { chunkHash } from '../../src/snapshot/manifest.ts'
import { generatedItems } from './generated-items.ts'

interface Chunk {
  readonly items: readonly Uint8Array[]
  readonly bytes: number
  readonly hash: string
}

function chunksOf(items: readonly Uint8Array[], chunkBytes: number): Chunk[] {
  const writer = new ChunkWriter(chunkBytes)
  const chunks: Chunk[] = []
  const take = () => {
    const { items, bytes } = writer.take()
    const hash = Buffer.from(chunkHash(bytes)).toString('hex')
    chunks.push({ items: [...itemsOf(bytes, items)], bytes: bytes.length, hash })
  }
  for (const item of items) {
    writer.add(item)
    if (writer.ended) take()
  }
  if (writer.items > 0) take()
  return chunks
}

const hashes = (chunks: readonly Chunk[]) => chunks.map(({ hash }) => hash)

/** The size of an item in a chunk: its length, as a varint, and its bytes. */
const sizeIn = (item: Uint8Array) => item.length + (item.length < 0x80 ? 1 : item.length < 0x4000 ? 2 : 3)

/** The hash of an item at offset `start` of a larger buffer. */
function hashAt(item: Uint8Array, start: number): number {
  const buffer = new Uint8Array(start + item.length + 7).fill(0xa5)
  buffer.set(item, start)
  return itemHash(new DataView(buffer.buffer), start, start + item.length)
}

describe('the hash of an item', () => {
  test('is the same at any offset of the item', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(50), (item, start) => {
        expect(hashAt(item, start)).toBe(hashAt(item, 0))
      }),
    )
  })

  test('changes with any byte of an item of up to 64 bytes, and with its length', () => {
    const item = fc.uint8Array({ minLength: 1, maxLength: 64 })
    fc.assert(
      fc.property(item, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, flip) => {
        const changed = bytes.with(at % bytes.length, bytes[at % bytes.length]! ^ flip)
        expect(hashAt(changed, 0)).not.toBe(hashAt(bytes, 0))
      }),
    )
    const zeros = Array.from({ length: 65 }, (_, length) => hashAt(new Uint8Array(length), 0))
    expect(new Set(zeros).size).toBe(65)
  })

  test('covers the first 48 and the last 16 bytes of a longer one, and nothing between', () => {
    const item = new Uint8Array(1000)
    const matters = (at: number) => hashAt(item.with(at, 1), 0) !== hashAt(item, 0)
    expect([0, 47, 48, 500, 983, 984, 999].map(matters)).toEqual([
      true,
      true,
      false,
      false,
      false,
      true,
      true,
    ])
  })
})

test.each([
  [10, 1_000],
  [100, 1_000],
  [300, 1_000],
  [100, 1_048_576],
])(
  'of items of %i bytes, about one in half an average of %i bytes is a boundary',
  (itemBytes, chunkBytes) => {
    const count = 200_000
    let boundaries = 0
    const view = new DataView(new ArrayBuffer(8))
    for (let n = 0; n < count; n++) {
      view.setUint32(0, n)
      if (isBoundary(itemHash(view, 0, 8), itemBytes, chunkBytes)) boundaries++
    }
    const expected = (count * itemBytes * 2) / chunkBytes
    // Four standard deviations, and a bit.
    expect(Math.abs(boundaries - expected)).toBeLessThan(4 * Math.sqrt(expected) + 2)
  },
)

test('chunks have whole items at any average size: at 1 byte, each item is a chunk', () => {
  const items = [...generatedItems(1, 300, 0, 40), new Uint8Array(0), new Uint8Array(0)]
  expect(chunksOf(items, 1).map((chunk) => chunk.items)).toEqual(items.map((item) => [item]))
})

test('every chunk but the last has from half the average up to twice as much, beside its last item', () => {
  const list = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 100 })
  fc.assert(
    fc.property(list, fc.integer({ min: 1, max: 2_000 }), (items, chunkBytes) => {
      for (const chunk of chunksOf(items, chunkBytes).slice(0, -1)) {
        expect(chunk.bytes).toBeGreaterThanOrEqual(chunkBytes / 2)
        expect(chunk.bytes - sizeIn(chunk.items.at(-1)!)).toBeLessThan(2 * chunkBytes)
      }
    }),
  )
})

test('on average a chunk has the size asked for, and few end only because they are twice as large', () => {
  const chunks = chunksOf(generatedItems(2, 50_000, 20, 80), 4_096)
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, 0)
  const forced = chunks.filter((chunk) => chunk.bytes >= 8_192).length
  expect(bytes / chunks.length / 4_096).toBeGreaterThan(0.9)
  expect(bytes / chunks.length / 4_096).toBeLessThan(1.1)
  expect(forced / chunks.length).toBeLessThan(0.1)
})

test('equal items, which are all boundaries or none, still give bounded chunks', () => {
  const sizes = Array.from({ length: 50 }, (_, byte) => {
    const chunks = chunksOf(new Array(2_000).fill(new Uint8Array(9).fill(byte)), 100)
    return new Set(chunks.map(({ bytes }) => bytes))
  })
  expect(sizes.filter((each) => each.size !== 1)).toEqual([])
  expect(new Set(sizes.flatMap((each) => [...each]))).toEqual(new Set([50, 200]))
})

test('from a boundary on, the chunks are the same after any other items', () => {
  const list = fc.array(fc.uint8Array({ maxLength: 50 }), { minLength: 1, maxLength: 100 })
  fc.assert(
    fc.property(list, list, fc.integer({ min: 1, max: 300 }), fc.nat(), (items, others, chunkBytes, pick) => {
      const chunks = chunksOf(items, chunkBytes)
      const at = pick % chunks.length
      const rest = chunks.slice(at).flatMap((chunk) => chunk.items)
      expect(hashes(chunksOf(rest, chunkBytes))).toEqual(hashes(chunks.slice(at)))
      // Other items, up to one of their boundaries.
      const before = chunksOf(others, chunkBytes).slice(0, -1)
      const joined = chunksOf([...before.flatMap((chunk) => chunk.items), ...rest], chunkBytes)
      expect(hashes(joined)).toEqual(hashes([...before, ...chunks.slice(at)]))
    }),
  )
})

interface Edited {
  readonly bytes: Uint8Array
  /** Whether it is new, or a neighbour of it is gone. */
  touched: boolean
}

describe('a small change', () => {
  /**
   * After an edit a common boundary is found within this many average chunks. Each of them has one in two of
   * three cases.
   */
  const NEAR_CHUNKS = 24
  /** The average size of an item in a chunk, in bytes. */
  const ITEM_BYTES = 13
  const edit = fc.record({
    kind: fc.constantFrom('insert', 'delete', 'change'),
    at: fc.nat(),
    item: fc.nat(),
  })
  const edits = fc.array(edit, { minLength: 1, maxLength: 4 })

  test('of a long list changes no chunk that is not near', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(64, 128, 200), edits, (seed, chunkBytes, changes) => {
        const cutAgain = (list: readonly Edited[]) =>
          chunksOf(
            list.map(({ bytes }) => bytes),
            chunkBytes,
          )
        const items: Edited[] = generatedItems(seed, 8_000, ITEM_BYTES - 5, ITEM_BYTES + 3).map((bytes) => ({
          bytes,
          touched: false,
        }))
        const before = new Set(hashes(cutAgain(items)))
        for (const { kind, at, item } of changes) {
          const index = at % items.length
          const [bytes] = generatedItems(item, 1, ITEM_BYTES, ITEM_BYTES)
          if (kind === 'insert') items.splice(index, 0, { bytes: bytes!, touched: true })
          else if (kind === 'change') items[index] = { bytes: bytes!, touched: true }
          else {
            items.splice(index, 1)
            for (const neighbour of items.slice(Math.max(0, index - 1), index + 1)) neighbour.touched = true
          }
        }
        let sinceTouched = Number.POSITIVE_INFINITY
        const isNear = items.map(({ touched }) => {
          sinceTouched = touched ? 0 : sinceTouched + 1
          return sinceTouched * ITEM_BYTES <= NEAR_CHUNKS * chunkBytes
        })
        const far = cutAgain(items).filter(({ items }) => !isNear.splice(0, items.length).includes(true))
        expect(far.filter(({ hash }) => !before.has(hash))).toEqual([])
        expect(far.length).toBeGreaterThan(changes.length * NEAR_CHUNKS)
      }),
      { numRuns: 60 },
    )
  })

  test('of ten items among 200,000 changes some ten chunks among 320', () => {
    const items = generatedItems(3, 200_000, 80, 120)
    const before = hashes(chunksOf(items, 65_536))
    for (const [n, item] of generatedItems(4, 10, 100, 100).entries()) {
      const at = 9_973 + n * 19_231
      if (n % 3 === 0) items.splice(at, 0, item)
      else if (n % 3 === 1) items.splice(at, 1)
      else items[at] = item
    }
    const after = hashes(chunksOf(items, 65_536))
    const changed = after.filter((hash) => !before.includes(hash)).length
    expect(before.length).toBeGreaterThan(280)
    expect(before.length).toBeLessThan(360)
    expect(changed).toBeLessThanOrEqual(40)
  })
})
