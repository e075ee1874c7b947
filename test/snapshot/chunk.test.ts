import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChunkWriter, ITEM_BYTES_MAX, itemsOf } from '../../src/snapshot/chunk.ts'
import { MalformedChunk } from '../../src/snapshot/errors.ts'

function chunkOf(items: readonly Uint8Array[]): Uint8Array {
  const writer = new ChunkWriter(1000)
  for (const item of items) writer.add(item)
  return writer.take().bytes
}

const read = (chunk: Uint8Array, count: number) => Array.from(itemsOf(chunk, count), (item) => item.length)
const someItems = fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 10 })

test('a writer grows with its items and begins anew after each chunk', () => {
  const writer = new ChunkWriter(200_000)
  writer.add(new Uint8Array(99_000))
  expect(writer.ended).toBe(false)
  writer.add(new Uint8Array(3_000_000).fill(7))
  expect([writer.ended, writer.items]).toEqual([true, 2])
  const { items, bytes } = writer.take()
  expect(read(bytes, items)).toEqual([99_000, 3_000_000])
  expect([writer.ended, writer.items]).toEqual([false, 0])
  writer.add(new Uint8Array(1))
  expect(read(bytes, items)).toEqual([99_000, 3_000_000])
  expect(read(writer.take().bytes, 1)).toEqual([1])
})

test('the largest item fits, and one byte more does not', () => {
  const writer = new ChunkWriter(1)
  writer.add(new Uint8Array(ITEM_BYTES_MAX))
  expect(read(writer.take().bytes, 1)).toEqual([ITEM_BYTES_MAX])
  expect(() => writer.add(new Uint8Array(ITEM_BYTES_MAX + 1))).toThrow(RangeError)
  expect(writer.items).toBe(0)
})

test('a chunk that ends too early, at any byte, is malformed', () => {
  fc.assert(
    fc.property(someItems, fc.nat(), (items, at) => {
      const chunk = chunkOf(items)
      expect(() => read(chunk.subarray(0, at % chunk.length), items.length)).toThrow(MalformedChunk)
    }),
  )
})

test('a chunk with bytes behind its items, or with another number of items, is malformed', () => {
  fc.assert(
    fc.property(someItems, fc.uint8Array({ minLength: 1, maxLength: 5 }), (items, more) => {
      const chunk = chunkOf(items)
      expect(() => read(Buffer.concat([chunk, more]), items.length)).toThrow(MalformedChunk)
      expect(() => read(chunk, items.length - 1)).toThrow(MalformedChunk)
      expect(() => read(chunk, items.length + 1)).toThrow(MalformedChunk)
    }),
  )
})

test('random bytes are items or malformed, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), fc.nat(5), (bytes, count) => {
      try {
        expect(read(bytes, count)).toHaveLength(count)
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedChunk)
      }
    }),
    { numRuns: 2000 },
  )
})

test('a length without an end is malformed', () => {
  expect(() => read(Buffer.alloc(20, 0xff), 1)).toThrow(MalformedChunk)
})
