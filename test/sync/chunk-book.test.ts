import { beforeEach, describe, expect, test } from 'vitest'
import { type EncodedChunk, zstdCoder } from '../../src/snapshot/encoding.ts'
import { type ChunkInfo, chunkHash, makeManifest } from '../../src/snapshot/manifest.ts'
import { ChunkBook } from '../../src/sync/chunk-book.ts'
import { Malformed } from '../../src/sync/errors.ts'

const CHUNKS = ['first', 'second', 'third!'].map((text) => Buffer.from(text))
const NO_CONTROL = new Uint8Array(0)
const infoOf = (bytes: Uint8Array): ChunkInfo => ({ items: 1, bytes: bytes.length, hash: chunkHash(bytes) })
const INFOS = CHUNKS.map(infoOf)
const raw = (text: string | Uint8Array): EncodedChunk => ({ encoding: 'raw', bytes: Buffer.from(text) })
let book: ChunkBook

beforeEach(() => {
  book = bookOf(INFOS)
})

/** A book of all these chunks, and no more. */
function bookOf(infos: readonly ChunkInfo[]): ChunkBook {
  const whole = new ChunkBook(zstdCoder)
  whole.list(0, infos)
  whole.finish(makeManifest(NO_CONTROL, infos))
  return whole
}

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
  const single = bookOf([infoOf(bytes)])
  const encoded = await zstdCoder.encode(bytes)
  expect(encoded.encoding).toBe('zstd')
  single.asked(0, 1, 'a')
  await single.received(0, encoded, 'a')
  expect(single.complete).toBe(true)
})

test('an empty snapshot is complete from the beginning', async () => {
  const empty = bookOf([])
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

describe('a book that grows', () => {
  const [A, B, C] = INFOS as [ChunkInfo, ChunkInfo, ChunkInfo]
  /** Another chunk in every respect, and one that differs in a single one. */
  const X = infoOf(Buffer.from('other'))
  const variants: [what: string, info: ChunkInfo][] = [
    ['hash', { ...B, hash: X.hash }],
    ['size', { ...B, bytes: B.bytes + 1 }],
    ['number of items', { ...B, items: 2 }],
  ]

  beforeEach(() => {
    book = new ChunkBook(zstdCoder)
    book.list(0, [A, B])
  })

  test.each<[what: string, from: number, infos: ChunkInfo[], agrees: boolean, length: number]>([
    ['nothing, from the beginning', 0, [], true, 2],
    ['what is known', 0, [A, B], true, 2],
    ['less than is known', 0, [A], true, 2],
    ['a part of what is known', 1, [B], true, 2],
    ['what comes next', 2, [C], true, 3],
    ['what is known, and what comes next', 1, [B, C], true, 3],
    ['something else', 0, [X], false, 2],
    ['what is known in another order', 0, [B, A], false, 2],
    ['something else, and what comes next', 1, [X, C], false, 2],
    ['chunks behind a gap', 3, [C], false, 2],
    ['nothing, behind a gap', 3, [], false, 2],
  ])('is told of %s', (_what, from, infos, agrees, length) => {
    expect([book.list(from, infos), book.length]).toEqual([agrees, length])
    expect(book.bytes).toBe(INFOS.slice(0, length).reduce((sum, { bytes }) => sum + bytes, 0))
    expect(book.wanted()).toEqual([0, 1, 2].slice(0, length))
  })

  test.each(variants)('is contradicted by a chunk of another %s', (_what, info) => {
    expect([book.list(1, [info]), book.length]).toEqual([false, 2])
  })

  test.each<[what: string, from: number, infos: ChunkInfo[], agrees: boolean]>([
    ['all of it', 0, [A, B], true],
    ['the beginning of it', 0, [A], true],
    ['nothing behind it', 2, [], true],
    ['one more', 2, [C], false],
    ['all of it, and one more', 0, [A, B, C], false],
  ])('once it is finished is told of %s', (_what, from, infos, agrees) => {
    book.finish(makeManifest(NO_CONTROL, [A, B]))
    expect([book.list(from, infos), book.length]).toEqual([agrees, 2])
  })

  test.each<[what: string, infos: ChunkInfo[], ends: boolean]>([
    ['where the list does', [A, B], true],
    ['before the list does', [A], false],
    ['behind what is listed', [A, B, C], false],
  ])('is said to end %s', (_what, infos, ends) => {
    const manifest = makeManifest(NO_CONTROL, infos)
    expect([book.finish(manifest), book.manifest]).toEqual([ends, ends ? manifest : undefined])
  })

  test.each<[what: string, control: Uint8Array, infos: ChunkInfo[], agrees: boolean]>([
    ['the same end', NO_CONTROL, [A, B], true],
    ['an earlier end', NO_CONTROL, [A], false],
    ['other control bytes', Buffer.from('x'), [A, B], false],
  ])('that has an end keeps it when it is told %s', (_what, control, infos, agrees) => {
    const manifest = makeManifest(NO_CONTROL, [A, B])
    book.finish(manifest)
    expect([book.finish(makeManifest(control, infos)), book.manifest]).toEqual([agrees, manifest])
  })

  test('is not complete before its end is known, though every chunk is there', async () => {
    book.asked(0, 2, 'a')
    for (const n of [0, 1]) await book.received(n, raw(CHUNKS[n]!), 'a')
    expect(book.complete).toBe(false)
    book.finish(makeManifest(NO_CONTROL, [A, B]))
    expect(book.complete).toBe(true)
  })

  test('keeps what is in flight and verified when it is told of more', async () => {
    book.asked(0, 2, 'a')
    await book.received(0, raw(CHUNKS[0]!), 'a')
    book.list(1, [B, C])
    expect([book.wanted(), book.inFlightWith('a'), book.verified]).toEqual([[2], 1, 1])
  })

  test('gives chunks in order before its end is known, and ends with it', async () => {
    let ended = false
    const taken: string[] = []
    const taking = (async () => {
      for await (const { bytes } of book.inOrder()) taken.push(`${Buffer.from(bytes)}`)
      ended = true
    })()
    book.asked(0, 2, 'a')
    for (const n of [0, 1]) await book.received(n, raw(CHUNKS[n]!), 'a')
    await new Promise(setImmediate)
    expect([taken, ended]).toEqual([['first', 'second'], false])
    book.finish(makeManifest(NO_CONTROL, [A, B]))
    await taking
    expect(taken).toEqual(['first', 'second'])
  })
})
