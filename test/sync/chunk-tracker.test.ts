import { zstdCompressSync } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import { type EncodedChunk, zstdCoder } from '../../src/snapshot/encoding.ts'
import { type ChunkInfo, chunkHash, makeManifest } from '../../src/snapshot/manifest.ts'
import { ChunkBook } from '../../src/sync/fetching/chunk-tracker.ts'
import { Failed, Malformed } from '../../src/sync/wire/errors.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'

const CHUNKS = ['first', 'second', 'third!'].map((text) => Buffer.from(text))
const NO_CONTROL = new Uint8Array(0)
const infoOf = (bytes: Uint8Array): ChunkInfo => ({ items: 1, bytes: bytes.length, hash: chunkHash(bytes) })
const INFOS = CHUNKS.map(infoOf)
const raw = (text: string | Uint8Array): EncodedChunk => ({ encoding: 'raw', bytes: Buffer.from(text) })
let book: ChunkBook

const never = () => Number.NEGATIVE_INFINITY

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
  book.asked(0, 2, 'a', 0)
  book.asked(2, 1, 'b', 0)
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
  single.asked(0, 1, 'a', 0)
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
  book.asked(1, 1, 'a', 0)
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
  book.asked(1, 1, 'a', 0)
  book.asked(2, 1, 'b', 0)
  await book.received(1, raw(CHUNKS[1]!), 'a')
  await expect(book.received(index, raw(CHUNKS[index] ?? CHUNKS[0]!), provider)).rejects.toThrow(Malformed)
  expect([book.verified, book.inFlightWith('b')]).toEqual([1, 1])
})

test('what a lost provider still owes is wanted again, what it sent is kept', async () => {
  book.asked(0, 2, 'a', 0)
  book.asked(2, 1, 'b', 0)
  const receiving = book.received(0, raw(CHUNKS[0]!), 'a')
  book.lost('a')
  await receiving
  expect([book.wanted(), book.verified, book.inFlightWith('b')]).toEqual([[1], 1, 1])
})

test('nothing is asked for twice', () => {
  book.asked(0, 1, 'a', 0)
  expect(() => book.asked(0, 1, 'b', 0)).toThrow('chunk 0 is not wanted')
  expect(() => book.asked(2, 2, 'b', 0)).toThrow('chunk 3 is not wanted')
})

test('whoever builds the state gets each chunk as soon as it and all before it are there', async () => {
  const taken: string[] = []
  const taking = (async () => {
    for await (const { bytes, items } of book.inOrder()) taken.push(`${Buffer.from(bytes)} of ${items}`)
  })()
  book.asked(0, 3, 'a', 0)
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

test('a decompression bomb is malformed, and is not unpacked beyond what the manifest promises', async () => {
  const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024))
  const promised = infoOf(Buffer.alloc(bomb.length + 1))
  const single = bookOf([promised])
  single.asked(0, 1, 'a', 0)
  await expect(single.received(0, { encoding: 'zstd', bytes: bomb }, 'a')).rejects.toThrow(ProvenFault)
})

test('a chunk that is longer than what it holds is not even decoded', async () => {
  let decoded = 0
  const decode = async () => Buffer.alloc(decoded++)
  const single = new ChunkBook({ ...zstdCoder, decode })
  single.list(0, [INFOS[0]!])
  single.asked(0, 1, 'a', 0)
  await expect(single.received(0, raw('longer than first'), 'a')).rejects.toThrow('longer than what it holds')
  expect(decoded).toBe(0)
})

test('a decoder that fails for a reason of its own proves nothing', async () => {
  const decode = async () => {
    throw new Error('out of memory')
  }
  const single = new ChunkBook({ ...zstdCoder, decode })
  single.list(0, [INFOS[0]!])
  single.asked(0, 1, 'a', 0)
  await expect(single.received(0, raw('first'), 'a')).rejects.toThrow(Failed)
  expect(single.wanted()).toEqual([0])
})

describe('a chunk that is asked of two providers', () => {
  let decoded: number

  beforeEach(() => {
    decoded = 0
    const { decode } = zstdCoder
    book = new ChunkBook({
      ...zstdCoder,
      decode: (chunk, bytes) => {
        decoded++
        return decode(chunk, bytes)
      },
    })
    book.list(0, INFOS)
    book.asked(0, 1, 'a', 100)
    book.askedAgain(0, 'b', 400)
  })

  test('is owed by both', () => {
    expect([book.inFlightWith('a'), book.inFlightWith('b'), book.wanted()]).toEqual([1, 1, [1, 2]])
  })

  test('is verified by the first valid answer; the other is ignored without being decoded', async () => {
    expect(await book.received(0, raw('first'), 'b')).toBe(true)
    expect([book.inFlightWith('a'), book.inFlightWith('b')]).toEqual([1, 0])
    expect(await book.received(0, raw('whatever'), 'a')).toBe(false)
    expect([decoded, book.verified, book.inFlightWith('a')]).toEqual([1, 1, 0])
  })

  test('is ignored also while the first answer is being decoded', async () => {
    const answers = [book.received(0, raw('first'), 'a'), book.received(0, raw('first'), 'b')]
    expect(await Promise.all(answers)).toEqual([true, false])
    expect(decoded).toBe(1)
  })

  test('stays in flight while one of them still owes it', async () => {
    await expect(book.received(0, raw('wrong'), 'a')).rejects.toThrow(ProvenFault)
    expect(book.wanted()).toEqual([1, 2])
    expect(await book.received(0, raw('first'), 'b')).toBe(true)
  })

  test.each([['a'], ['b']])('is wanted again when neither owes it any more, %s last', (last) => {
    book.lost(last === 'a' ? 'b' : 'a')
    expect(book.wanted()).toEqual([1, 2])
    book.lost(last)
    expect([book.wanted(), book.inFlightWith('a'), book.inFlightWith('b')]).toEqual([[0, 1, 2], 0, 0])
  })

  test('is asked of no third, and of nobody twice', () => {
    expect(() => book.askedAgain(0, 'c', 500)).toThrow('chunk 0 cannot be asked of c as well')
    book.lost('b')
    expect(() => book.askedAgain(0, 'a', 500)).toThrow('chunk 0 cannot be asked of a as well')
    expect(() => book.askedAgain(1, 'b', 500)).toThrow('chunk 1 cannot be asked of b as well')
  })

  test('is not late any more; one that a single provider owes since long is', async () => {
    book.asked(1, 1, 'a', 200)
    book.asked(2, 1, 'b', 300)
    expect(book.late(250, never)).toEqual([{ index: 1, provider: 'a' }])
    expect(book.late(199, never)).toEqual([])
    book.lost('b')
    expect(book.late(250, never)).toEqual([
      { index: 0, provider: 'a' },
      { index: 1, provider: 'a' },
    ])
    await book.received(0, raw('first'), 'a')
    expect(book.late(250, never)).toEqual([{ index: 1, provider: 'a' }])
  })

  test('is late only from when its provider sent the one before', () => {
    book.asked(1, 2, 'b', 200)
    const sentAtMs = (provider: string) => (provider === 'b' ? 400 : never())
    expect(book.late(399, sentAtMs)).toEqual([])
    expect(book.late(400, sentAtMs).map(({ index }) => index)).toEqual([1, 2])
  })

  test('counts for each provider that owes it', () => {
    book.asked(1, 2, 'a', 200)
    expect([book.doubled('a'), book.doubled('b'), book.owing(0)]).toEqual([1, 1, ['a', 'b']])
    book.askedAgain(2, 'b', 500)
    expect([book.doubled('a'), book.doubled('c')]).toEqual([2, 0])
    book.lost('a')
    expect(book.doubled('b')).toBe(0)
  })
})

test('a part of what a provider owes can be lost', () => {
  book.asked(0, 3, 'a', 0)
  book.lost('a', 1, 1)
  expect([book.wanted(), book.inFlightWith('a')]).toEqual([[1], 2])
})

describe('what is given out', () => {
  const bookWith = (chunks: number, bytes: number) => {
    const limited = new ChunkBook(zstdCoder, { chunks, bytes })
    limited.list(0, INFOS)
    return limited
  }

  test.each<[what: string, chunks: number, bytes: number, wanted: number[]]>([
    ['so many chunks', 2, 1000, [0, 1]],
    ['so many bytes', 3, 11, [0, 1]],
    ['a byte less than that', 3, 10, [0]],
    ['the oldest, however large', 3, 1, [0]],
  ])('does not run ahead of what was taken by more than %s', (_what, chunks, bytes, wanted) => {
    expect(bookWith(chunks, bytes).wanted()).toEqual(wanted)
  })

  test('moves on with what is taken, not with what is verified', async () => {
    const limited = bookWith(2, 1000)
    const taking = limited.inOrder()
    limited.asked(0, 2, 'a', 0)
    await limited.received(1, raw(CHUNKS[1]!), 'a')
    expect([limited.wanted(), limited.reaches(2)]).toEqual([[], false])
    await limited.received(0, raw(CHUNKS[0]!), 'a')
    expect(limited.wanted()).toEqual([])
    await taking.next()
    expect([limited.wanted(), limited.reaches(2)]).toEqual([[2], true])
  })

  test('moves on with a list that grows', () => {
    const limited = new ChunkBook(zstdCoder, { chunks: 2, bytes: 1000 })
    limited.list(0, INFOS.slice(0, 1))
    expect(limited.wanted()).toEqual([0])
    limited.list(1, INFOS.slice(1))
    expect(limited.wanted()).toEqual([0, 1])
  })
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
    book.asked(0, 2, 'a', 0)
    for (const n of [0, 1]) await book.received(n, raw(CHUNKS[n]!), 'a')
    expect(book.complete).toBe(false)
    book.finish(makeManifest(NO_CONTROL, [A, B]))
    expect(book.complete).toBe(true)
  })

  test('keeps what is in flight and verified when it is told of more', async () => {
    book.asked(0, 2, 'a', 0)
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
    book.asked(0, 2, 'a', 0)
    for (const n of [0, 1]) await book.received(n, raw(CHUNKS[n]!), 'a')
    await new Promise(setImmediate)
    expect([taken, ended]).toEqual([['first', 'second'], false])
    book.finish(makeManifest(NO_CONTROL, [A, B]))
    await taking
    expect(taken).toEqual(['first', 'second'])
  })
})

test('no more than the read-ahead is given out before the list is trusted', async () => {
  const infos = CHUNKS.map(infoOf)
  const limited = new ChunkBook(zstdCoder, { chunks: 64, bytes: infos[0]!.bytes })
  limited.list(0, infos)
  limited.finish(makeManifest(NO_CONTROL, infos))
  let taken = 0
  const taking = (async () => {
    for await (const _ of limited.inOrder()) taken++
  })()
  const fill = async () => {
    for (const index of limited.wanted()) {
      limited.asked(index, 1, 'a', 0)
      await limited.received(index, raw(CHUNKS[index]!), 'a')
      await new Promise(setImmediate)
    }
  }
  await fill()
  await fill()
  expect(taken).toBe(1)
  limited.trust()
  await new Promise(setImmediate)
  await fill()
  await fill()
  await taking
  expect(taken).toBe(CHUNKS.length)
})
