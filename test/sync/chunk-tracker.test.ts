import { zstdCompressSync } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import { type EncodedChunk, zstdCoder } from '../../src/snapshot/encoding.ts'
import { type ChunkInfo, chunkHash, makeManifest } from '../../src/snapshot/manifest.ts'
import { ChunkTracker } from '../../src/sync/fetching/chunks/chunk-tracker.ts'
import { Failed, Malformed } from '../../src/sync/wire/errors.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'

const CHUNKS = ['first', 'second', 'third!'].map((text) => Buffer.from(text))
const NO_CONTROL = new Uint8Array(0)
const infoOf = (bytes: Uint8Array): ChunkInfo => ({ items: 1, bytes: bytes.length, hash: chunkHash(bytes) })
const INFOS = CHUNKS.map(infoOf)
const raw = (text: string | Uint8Array): EncodedChunk => ({ encoding: 'raw', bytes: Buffer.from(text) })
let tracker: ChunkTracker

const never = () => Number.NEGATIVE_INFINITY

beforeEach(() => {
  tracker = bookOf(INFOS)
})

/** A tracker of all these chunks, and no more. */
function bookOf(infos: readonly ChunkInfo[]): ChunkTracker {
  const whole = new ChunkTracker(zstdCoder)
  whole.list(0, infos)
  whole.finish(makeManifest(NO_CONTROL, infos))
  return whole
}

test('every chunk is wanted, then in flight, then verified', async () => {
  expect([tracker.wanted(), tracker.complete]).toEqual([[0, 1, 2], false])
  tracker.asked(0, 2, 'a', 0)
  tracker.asked(2, 1, 'b', 0)
  expect([tracker.wanted(), tracker.inFlightWith('a'), tracker.inFlightWith('b')]).toEqual([[], 2, 1])
  await tracker.received(1, raw(CHUNKS[1]!), 'a')
  expect([tracker.inFlightWith('a'), tracker.verified, tracker.verifiedBytes]).toEqual([1, 1, 6])
  await tracker.received(2, raw(CHUNKS[2]!), 'b')
  expect(tracker.complete).toBe(false)
  await tracker.received(0, raw(CHUNKS[0]!), 'a')
  expect(tracker.complete).toBe(true)
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
  tracker.asked(1, 1, 'a', 0)
  await expect(tracker.received(1, chunk, 'a')).rejects.toThrow(Malformed)
  expect([tracker.wanted(), tracker.verified]).toEqual([[0, 1, 2], 0])
})

test.each([
  ['that nobody was asked for', 0, 'a'],
  ['that was received already', 1, 'a'],
  ['that another provider was asked for', 2, 'a'],
  ['beyond the last', 3, 'a'],
  ['before the first', -1, 'a'],
])('a chunk %s is malformed', async (_what, index, provider) => {
  tracker.asked(1, 1, 'a', 0)
  tracker.asked(2, 1, 'b', 0)
  await tracker.received(1, raw(CHUNKS[1]!), 'a')
  await expect(tracker.received(index, raw(CHUNKS[index] ?? CHUNKS[0]!), provider)).rejects.toThrow(Malformed)
  expect([tracker.verified, tracker.inFlightWith('b')]).toEqual([1, 1])
})

test('what a lost provider still owes is wanted again, what it sent is kept', async () => {
  tracker.asked(0, 2, 'a', 0)
  tracker.asked(2, 1, 'b', 0)
  const receiving = tracker.received(0, raw(CHUNKS[0]!), 'a')
  tracker.lost('a')
  await receiving
  expect([tracker.wanted(), tracker.verified, tracker.inFlightWith('b')]).toEqual([[1], 1, 1])
})

test('nothing is asked for twice', () => {
  tracker.asked(0, 1, 'a', 0)
  expect(() => tracker.asked(0, 1, 'b', 0)).toThrow('chunk 0 is not wanted')
  expect(() => tracker.asked(2, 2, 'b', 0)).toThrow('chunk 3 is not wanted')
})

test('whoever builds the state gets each chunk as soon as it and all before it are there', async () => {
  const taken: string[] = []
  const taking = (async () => {
    for await (const { bytes, items } of tracker.inOrder()) taken.push(`${Buffer.from(bytes)} of ${items}`)
  })()
  tracker.asked(0, 3, 'a', 0)
  await tracker.received(1, raw(CHUNKS[1]!), 'a')
  await new Promise(setImmediate)
  expect(taken).toEqual([])
  await tracker.received(0, raw(CHUNKS[0]!), 'a')
  await new Promise(setImmediate)
  expect(taken).toEqual(['first of 1', 'second of 1'])
  await tracker.received(2, raw(CHUNKS[2]!), 'a')
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
  const single = new ChunkTracker({ ...zstdCoder, decode })
  single.list(0, [INFOS[0]!])
  single.asked(0, 1, 'a', 0)
  await expect(single.received(0, raw('longer than first'), 'a')).rejects.toThrow('longer than what it holds')
  expect(decoded).toBe(0)
})

test('a decoder that fails for a reason of its own proves nothing', async () => {
  const decode = async () => {
    throw new Error('out of memory')
  }
  const single = new ChunkTracker({ ...zstdCoder, decode })
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
    tracker = new ChunkTracker({
      ...zstdCoder,
      decode: (chunk, bytes) => {
        decoded++
        return decode(chunk, bytes)
      },
    })
    tracker.list(0, INFOS)
    tracker.asked(0, 1, 'a', 100)
    tracker.askedAgain(0, 'b', 400)
  })

  test('is owed by both', () => {
    expect([tracker.inFlightWith('a'), tracker.inFlightWith('b'), tracker.wanted()]).toEqual([1, 1, [1, 2]])
  })

  test('is verified by the first valid answer; the other is ignored without being decoded', async () => {
    expect(await tracker.received(0, raw('first'), 'b')).toBe(true)
    expect([tracker.inFlightWith('a'), tracker.inFlightWith('b')]).toEqual([1, 0])
    expect(await tracker.received(0, raw('whatever'), 'a')).toBe(false)
    expect([decoded, tracker.verified, tracker.inFlightWith('a')]).toEqual([1, 1, 0])
  })

  test('is ignored also while the first answer is being decoded', async () => {
    const answers = [tracker.received(0, raw('first'), 'a'), tracker.received(0, raw('first'), 'b')]
    expect(await Promise.all(answers)).toEqual([true, false])
    expect(decoded).toBe(1)
  })

  test('stays in flight while one of them still owes it', async () => {
    await expect(tracker.received(0, raw('wrong'), 'a')).rejects.toThrow(ProvenFault)
    expect(tracker.wanted()).toEqual([1, 2])
    expect(await tracker.received(0, raw('first'), 'b')).toBe(true)
  })

  test.each([['a'], ['b']])('is wanted again when neither owes it any more, %s last', (last) => {
    tracker.lost(last === 'a' ? 'b' : 'a')
    expect(tracker.wanted()).toEqual([1, 2])
    tracker.lost(last)
    expect([tracker.wanted(), tracker.inFlightWith('a'), tracker.inFlightWith('b')]).toEqual([
      [0, 1, 2],
      0,
      0,
    ])
  })

  test('is asked of no third, and of nobody twice', () => {
    expect(() => tracker.askedAgain(0, 'c', 500)).toThrow('chunk 0 cannot be asked of c as well')
    tracker.lost('b')
    expect(() => tracker.askedAgain(0, 'a', 500)).toThrow('chunk 0 cannot be asked of a as well')
    expect(() => tracker.askedAgain(1, 'b', 500)).toThrow('chunk 1 cannot be asked of b as well')
  })

  test('is not late any more; one that a single provider owes since long is', async () => {
    tracker.asked(1, 1, 'a', 200)
    tracker.asked(2, 1, 'b', 300)
    expect(tracker.late(250, never)).toEqual([{ index: 1, provider: 'a' }])
    expect(tracker.late(199, never)).toEqual([])
    tracker.lost('b')
    expect(tracker.late(250, never)).toEqual([
      { index: 0, provider: 'a' },
      { index: 1, provider: 'a' },
    ])
    await tracker.received(0, raw('first'), 'a')
    expect(tracker.late(250, never)).toEqual([{ index: 1, provider: 'a' }])
  })

  test('is late only from when its provider sent the one before', () => {
    tracker.asked(1, 2, 'b', 200)
    const sentAtMs = (provider: string) => (provider === 'b' ? 400 : never())
    expect(tracker.late(399, sentAtMs)).toEqual([])
    expect(tracker.late(400, sentAtMs).map(({ index }) => index)).toEqual([1, 2])
  })

  test('counts for each provider that owes it', () => {
    tracker.asked(1, 2, 'a', 200)
    expect([tracker.doubled('a'), tracker.doubled('b'), tracker.owing(0)]).toEqual([1, 1, ['a', 'b']])
    tracker.askedAgain(2, 'b', 500)
    expect([tracker.doubled('a'), tracker.doubled('c')]).toEqual([2, 0])
    tracker.lost('a')
    expect(tracker.doubled('b')).toBe(0)
  })
})

test('a part of what a provider owes can be lost', () => {
  tracker.asked(0, 3, 'a', 0)
  tracker.lost('a', 1, 1)
  expect([tracker.wanted(), tracker.inFlightWith('a')]).toEqual([[1], 2])
})

describe('what is given out', () => {
  const bookWith = (chunks: number, bytes: number) => {
    const limited = new ChunkTracker(zstdCoder, { chunks, bytes })
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
    const limited = new ChunkTracker(zstdCoder, { chunks: 2, bytes: 1000 })
    limited.list(0, INFOS.slice(0, 1))
    expect(limited.wanted()).toEqual([0])
    limited.list(1, INFOS.slice(1))
    expect(limited.wanted()).toEqual([0, 1])
  })
})

describe('a tracker that grows', () => {
  const [A, B, C] = INFOS as [ChunkInfo, ChunkInfo, ChunkInfo]
  /** Another chunk in every respect, and one that differs in a single one. */
  const X = infoOf(Buffer.from('other'))
  const variants: [what: string, info: ChunkInfo][] = [
    ['hash', { ...B, hash: X.hash }],
    ['size', { ...B, bytes: B.bytes + 1 }],
    ['number of items', { ...B, items: 2 }],
  ]

  beforeEach(() => {
    tracker = new ChunkTracker(zstdCoder)
    tracker.list(0, [A, B])
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
    expect([tracker.list(from, infos), tracker.length]).toEqual([agrees, length])
    expect(tracker.bytes).toBe(INFOS.slice(0, length).reduce((sum, { bytes }) => sum + bytes, 0))
    expect(tracker.wanted()).toEqual([0, 1, 2].slice(0, length))
  })

  test.each(variants)('is contradicted by a chunk of another %s', (_what, info) => {
    expect([tracker.list(1, [info]), tracker.length]).toEqual([false, 2])
  })

  test.each<[what: string, from: number, infos: ChunkInfo[], agrees: boolean]>([
    ['all of it', 0, [A, B], true],
    ['the beginning of it', 0, [A], true],
    ['nothing behind it', 2, [], true],
    ['one more', 2, [C], false],
    ['all of it, and one more', 0, [A, B, C], false],
  ])('once it is finished is told of %s', (_what, from, infos, agrees) => {
    tracker.finish(makeManifest(NO_CONTROL, [A, B]))
    expect([tracker.list(from, infos), tracker.length]).toEqual([agrees, 2])
  })

  test.each<[what: string, infos: ChunkInfo[], ends: boolean]>([
    ['where the list does', [A, B], true],
    ['before the list does', [A], false],
    ['behind what is listed', [A, B, C], false],
  ])('is said to end %s', (_what, infos, ends) => {
    const manifest = makeManifest(NO_CONTROL, infos)
    expect([tracker.finish(manifest), tracker.manifest]).toEqual([ends, ends ? manifest : undefined])
  })

  test.each<[what: string, control: Uint8Array, infos: ChunkInfo[], agrees: boolean]>([
    ['the same end', NO_CONTROL, [A, B], true],
    ['an earlier end', NO_CONTROL, [A], false],
    ['other control bytes', Buffer.from('x'), [A, B], false],
  ])('that has an end keeps it when it is told %s', (_what, control, infos, agrees) => {
    const manifest = makeManifest(NO_CONTROL, [A, B])
    tracker.finish(manifest)
    expect([tracker.finish(makeManifest(control, infos)), tracker.manifest]).toEqual([agrees, manifest])
  })

  test('is not complete before its end is known, though every chunk is there', async () => {
    tracker.asked(0, 2, 'a', 0)
    for (const n of [0, 1]) await tracker.received(n, raw(CHUNKS[n]!), 'a')
    expect(tracker.complete).toBe(false)
    tracker.finish(makeManifest(NO_CONTROL, [A, B]))
    expect(tracker.complete).toBe(true)
  })

  test('keeps what is in flight and verified when it is told of more', async () => {
    tracker.asked(0, 2, 'a', 0)
    await tracker.received(0, raw(CHUNKS[0]!), 'a')
    tracker.list(1, [B, C])
    expect([tracker.wanted(), tracker.inFlightWith('a'), tracker.verified]).toEqual([[2], 1, 1])
  })

  test('gives chunks in order before its end is known, and ends with it', async () => {
    let ended = false
    const taken: string[] = []
    const taking = (async () => {
      for await (const { bytes } of tracker.inOrder()) taken.push(`${Buffer.from(bytes)}`)
      ended = true
    })()
    tracker.asked(0, 2, 'a', 0)
    for (const n of [0, 1]) await tracker.received(n, raw(CHUNKS[n]!), 'a')
    await new Promise(setImmediate)
    expect([taken, ended]).toEqual([['first', 'second'], false])
    tracker.finish(makeManifest(NO_CONTROL, [A, B]))
    await taking
    expect(taken).toEqual(['first', 'second'])
  })
})

test('no more than the read-ahead is given out before the list is trusted', async () => {
  const infos = CHUNKS.map(infoOf)
  const limited = new ChunkTracker(zstdCoder, { chunks: 64, bytes: infos[0]!.bytes })
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
