import { beforeEach, expect, test } from 'vitest'
import { type EncodedChunk, zstdCoder } from '../../src/snapshot/encoding.ts'
import { chunkHash, makeManifest } from '../../src/snapshot/manifest.ts'
import { ChunkBook } from '../../src/sync/chunk-book.ts'
import { Malformed } from '../../src/sync/errors.ts'

const CHUNKS = ['first', 'second', 'third!'].map((text) => Buffer.from(text))
const raw = (text: string | Uint8Array): EncodedChunk => ({ encoding: 'raw', bytes: Buffer.from(text) })
let book: ChunkBook

beforeEach(() => {
  const infos = CHUNKS.map((bytes) => ({ items: 1, bytes: bytes.length, hash: chunkHash(bytes) }))
  book = new ChunkBook(makeManifest(new Uint8Array(0), infos), zstdCoder)
})

test('every chunk is wanted, then in flight, then verified', async () => {
  expect([book.wanted(), book.complete]).toEqual([[0, 1, 2], false])
  book.asked(0, 2, 'a')
  book.asked(2, 1, 'b')
  expect([book.wanted(), book.inFlightWith('a'), book.inFlightWith('b')]).toEqual([[], 2, 1])
  await book.received(1, raw(CHUNKS[1]!), 'a')
  expect([book.inFlightWith('a'), book.verified, book.verifiedBytes]).toEqual([1, 1, 6])
  await book.received(2, raw(CHUNKS[2]!), 'b')
  expect(book.complete).toBe(false)
  await book.received(0, raw(CHUNKS[0]!), 'a')
  expect(book.complete).toBe(true)
})

test('a chunk that came compressed is verified like any other', async () => {
  const bytes = Buffer.alloc(10_000, 'again and ')
  const infos = [{ items: 1, bytes: bytes.length, hash: chunkHash(bytes) }]
  const single = new ChunkBook(makeManifest(new Uint8Array(0), infos), zstdCoder)
  const encoded = await zstdCoder.encode(bytes)
  expect(encoded.encoding).toBe('zstd')
  single.asked(0, 1, 'a')
  await single.received(0, encoded, 'a')
  expect(single.complete).toBe(true)
})

test('an empty snapshot is complete from the beginning', async () => {
  const empty = new ChunkBook(makeManifest(new Uint8Array(0), []), zstdCoder)
  expect([empty.complete, empty.wanted(), await Array.fromAsync(empty.inOrder())]).toEqual([true, [], []])
})

test.each([
  ['other bytes of the same length', raw('Second')],
  ['fewer bytes', raw('secon')],
  ['more bytes', raw('second ')],
  ['nothing', raw('')],
  ['another chunk', raw('third!')],
  ['bytes that are not compressed, but said to be', { encoding: 'zstd', bytes: CHUNKS[1]! } as const],
])('%s: not what the manifest promises, so the chunk is wanted again', async (_what, chunk) => {
  book.asked(1, 1, 'a')
  await expect(book.received(1, chunk, 'a')).rejects.toThrow(Malformed)
  expect([book.wanted(), book.verified]).toEqual([[0, 1, 2], 0])
})

test.each([
  ['that nobody was asked for', 0, 'a'],
  ['that was received already', 1, 'a'],
  ['that another provider was asked for', 2, 'a'],
  ['beyond the last', 3, 'a'],
  ['before the first', -1, 'a'],
])('a chunk %s is malformed', async (_what, index, provider) => {
  book.asked(1, 1, 'a')
  book.asked(2, 1, 'b')
  await book.received(1, raw(CHUNKS[1]!), 'a')
  await expect(book.received(index, raw(CHUNKS[index] ?? CHUNKS[0]!), provider)).rejects.toThrow(Malformed)
  expect([book.verified, book.inFlightWith('b')]).toEqual([1, 1])
})

test('what a lost provider still owes is wanted again, what it sent is kept', async () => {
  book.asked(0, 2, 'a')
  book.asked(2, 1, 'b')
  const receiving = book.received(0, raw(CHUNKS[0]!), 'a')
  book.lost('a')
  await receiving
  expect([book.wanted(), book.verified, book.inFlightWith('b')]).toEqual([[1], 1, 1])
})

test('nothing is asked for twice', () => {
  book.asked(0, 1, 'a')
  expect(() => book.asked(0, 1, 'b')).toThrow('chunk 0 is not wanted')
  expect(() => book.asked(2, 2, 'b')).toThrow('chunk 3 is not wanted')
})

test('whoever builds the state gets each chunk as soon as it and all before it are there', async () => {
  const taken: string[] = []
  const taking = (async () => {
    for await (const { bytes, items } of book.inOrder()) taken.push(`${Buffer.from(bytes)} of ${items}`)
  })()
  book.asked(0, 3, 'a')
  await book.received(1, raw(CHUNKS[1]!), 'a')
  await new Promise(setImmediate)
  expect(taken).toEqual([])
  await book.received(0, raw(CHUNKS[0]!), 'a')
  await new Promise(setImmediate)
  expect(taken).toEqual(['first of 1', 'second of 1'])
  await book.received(2, raw(CHUNKS[2]!), 'a')
  await taking
  expect(taken).toEqual(['first of 1', 'second of 1', 'third! of 1'])
})
