import { describe, expect, test } from 'vitest'
import { CutSnapshot } from '../../src/snapshot/cut-snapshot.ts'
import { type ChunkCoder, zstdCoder } from '../../src/snapshot/encoding.ts'
import { MalformedChunk } from '../../src/snapshot/errors.ts'
import { chunkHash } from '../../src/snapshot/manifest.ts'
import { syncCoder } from '../../src/testing/simulation/coder.ts'

const REPETITIVE = Buffer.alloc(100_000, 'the same again, ')
const NOISE = Buffer.from(Array.from({ length: 5000 }, (_, n) => chunkHash(Buffer.of(n & 0xff, n >> 8))[0]!))

describe.each([
  { where: 'in threads', coder: zstdCoder },
  { where: 'within the turn', coder: syncCoder },
])('zstd $where', ({ coder }) => {
  test('a chunk that gets smaller travels as zstd, and comes back', async () => {
    const encoded = await coder.encode(REPETITIVE)
    expect(encoded.encoding).toBe('zstd')
    expect(encoded.bytes.length).toBeLessThan(1000)
    expect(Buffer.compare(await coder.decode(encoded, REPETITIVE.length), REPETITIVE)).toBe(0)
  })

  test('a chunk that does not get smaller travels as it is', async () => {
    const encoded = await coder.encode(NOISE)
    expect(encoded).toEqual({ encoding: 'raw', bytes: NOISE })
    expect(await coder.decode(encoded, NOISE.length)).toEqual(NOISE)
  })

  test.each([-1, 1])('a chunk whose size is off by %i is malformed', async (by) => {
    const encoded = await coder.encode(REPETITIVE)
    await expect(coder.decode(encoded, REPETITIVE.length + by)).rejects.toThrow(MalformedChunk)
    await expect(coder.decode({ encoding: 'raw', bytes: NOISE }, NOISE.length + by)).rejects.toThrow(
      MalformedChunk,
    )
  })

  test('a chunk that would decode to far more than its size is malformed', async () => {
    const bomb = await coder.encode(Buffer.alloc(50_000_000))
    expect(bomb.bytes.length).toBeLessThan(10_000)
    await expect(coder.decode(bomb, 100)).rejects.toThrow(MalformedChunk)
  })

  test('damaged and truncated chunks are malformed', async () => {
    const { bytes } = await coder.encode(REPETITIVE)
    for (const broken of [bytes.subarray(0, bytes.length - 1), bytes.subarray(1), new Uint8Array(0), NOISE]) {
      await expect(coder.decode({ encoding: 'zstd', bytes: broken }, REPETITIVE.length)).rejects.toThrow(
        MalformedChunk,
      )
    }
  })
})

test('each coder reads what the other has encoded', async () => {
  const size = REPETITIVE.length
  const decoded = [
    await syncCoder.decode(await zstdCoder.encode(REPETITIVE), size),
    await zstdCoder.decode(await syncCoder.encode(REPETITIVE), size),
  ]
  for (const bytes of decoded) expect(Buffer.compare(bytes, REPETITIVE)).toBe(0)
})

const infoOf = (bytes: Uint8Array) => ({ items: 1, bytes: bytes.length, hash: chunkHash(bytes) })

function cutOf(chunks: readonly Uint8Array[], coder: ChunkCoder): CutSnapshot {
  const cut = new CutSnapshot(coder)
  for (const bytes of chunks) cut.add(bytes, infoOf(bytes))
  return cut
}

test('a chunk is encoded once for any number of joiners', async () => {
  let encoded = 0
  const counting: ChunkCoder = {
    ...zstdCoder,
    encode(raw) {
      encoded++
      return zstdCoder.encode(raw)
    },
  }
  const cut = cutOf([REPETITIVE, REPETITIVE], counting)
  expect(encoded).toBe(0)
  await Promise.all([cut.chunk(0), cut.chunk(0), cut.chunk(0)])
  await cut.chunk(0)
  expect(encoded).toBe(1)
  expect((await cut.chunk(0)).encoding).toBe('zstd')
})

test('there is no chunk beyond the last', async () => {
  await expect(cutOf([NOISE], zstdCoder).chunk(1)).rejects.toThrow(RangeError)
})
