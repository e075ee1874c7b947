import { expect, test, vi } from 'vitest'
import { CHUNK_BYTES_MAX } from '../../src/bounds.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { makeNetworkKey } from '../../src/replica/node/network-key.ts'
import { createReplica } from '../../src/replica/start.ts'
import { isBoundary, itemHash } from '../../src/snapshot/boundary.ts'
import { ITEM_BYTES_MAX } from '../../src/snapshot/chunk.ts'
import { MANIFEST_CHUNKS_MAX } from '../../src/snapshot/manifest.ts'
import { MANIFEST_PAGE_CHUNKS } from '../../src/sync/limits.ts'
import { type Blob, Blobs, bytesOf, making } from './blobs.ts'
import { leads, next } from './cluster.ts'

const MIB = 1024 * 1024

// A quarter of a million items take half a minute on a slow machine that does nothing else.
vi.setConfig({ testTimeout: 240_000 })
/** For a replica to notice, in milliseconds. */
const NOTICED_MS = 200_000

/** A busy machine may take a while over 48 MiB, which are one frame. */
const TIMES = { leaseMs: 10_000, fetchTimeoutMs: 20_000, requestTimeoutMs: 30_000 }

/** A replica that leads and holds these, and starts others that join it over libp2p. */
async function group(blobs: readonly Blob[], init: { chunkBytes?: number; networkKey?: Uint8Array } = {}) {
  const log = memoryLog()
  const start = async (lead: boolean) => {
    const machine = new Blobs()
    const common = { group: 'blobs', machine, log, lead, volatile: true, ...TIMES, ...init }
    return { machine, replica: await createReplica<number>(common) }
  }
  const leader = await start(true)
  await leads(leader.replica)
  await leader.replica.submit(making(blobs))
  await leader.replica.prune({ keepEntries: 0 })
  return { leader, start }
}

/** Items that fill a chunk up to its last byte without ending it, and then one of the largest. */
function largestChunk(): Blob[] {
  const headBytes = CHUNK_BYTES_MAX / 2 - 8
  const itemBytes = 1_000
  const lengthBytes = 2
  const blobs: Blob[] = [[0, headBytes]]
  let used = headBytes + 4
  for (let seed = 1; used + itemBytes + lengthBytes < 2 * CHUNK_BYTES_MAX; seed++) {
    const bytes = Uint8Array.from([...new Array(lengthBytes).fill(0), ...bytesOf([seed, itemBytes])])
    const hash = itemHash(new DataView(bytes.buffer), lengthBytes, bytes.length)
    if (isBoundary(hash, bytes.length, CHUNK_BYTES_MAX)) continue
    blobs.push([seed, itemBytes])
    used += itemBytes + lengthBytes
  }
  return [...blobs, [1_000_000, ITEM_BYTES_MAX]]
}

const KEYS = [['without a network key'], ['with a network key', makeNetworkKey()]] as const
const SIZES: [what: string, blobs: readonly Blob[], chunkBytes?: number][] = [
  ['an item just below 4 MiB', [[1, 4 * MIB - 1]]],
  ['an item just above 4 MiB', [[1, 4 * MIB + 1]]],
  [
    'an item of 16 MiB between small ones',
    [
      [1, 10],
      [2, 16 * MIB],
      [3, 10],
    ],
  ],
  ['the largest item', [[1, ITEM_BYTES_MAX]]],
  ['the largest chunk', largestChunk(), CHUNK_BYTES_MAX],
]

for (const [how, networkKey] of KEYS) {
  test.each(SIZES)(`%s joins ${how}`, async (_what, blobs, chunkBytes) => {
    const init = { ...(chunkBytes && { chunkBytes }), ...(networkKey && { networkKey }) }
    const { leader, start } = await group(blobs, init)
    const joiner = await start(false)
    const caughtUp = next(joiner.replica, 'caught-up')
    await joiner.replica.inSync()
    const same = joiner.machine.items.map((item, n) => Buffer.compare(item, leader.machine.items[n]!))
    expect(same).toEqual(blobs.map(() => 0))
    expect((await caughtUp).anchorsLost).toBe(0)
    await joiner.replica.stop()
    await leader.replica.stop()
  })
}

test('a list of chunks of three pages joins', async () => {
  const blobs = Array.from({ length: 2 * MANIFEST_PAGE_CHUNKS + 1 }, (_, seed): Blob => [seed, 4])
  const { leader, start } = await group(blobs, { chunkBytes: 1 })
  const joiner = await start(false)
  await joiner.replica.inSync()
  expect(joiner.machine.items.map((item) => [...item])).toEqual(blobs.map((blob) => [...bytesOf(blob)]))
  await joiner.replica.stop()
  await leader.replica.stop()
})

test.each<[string, readonly Blob[], { chunkBytes?: number }, string]>([
  ['an item beyond 32 MiB', [[1, ITEM_BYTES_MAX + 1]], {}, `an item of ${ITEM_BYTES_MAX + 1} bytes`],
  [
    'more chunks than a manifest lists',
    Array.from({ length: MANIFEST_CHUNKS_MAX + 1 }, (_, seed): Blob => [seed, 4]),
    { chunkBytes: 1 },
    'make chunkBytes larger',
  ],
])('%s joins nobody: who holds it says so, and so is who asks for it', async (_what, blobs, init, why) => {
  const { leader, start } = await group(blobs, init)
  const problem = next(leader.replica, 'problem', NOTICED_MS)
  const joiner = await start(false)
  const lost = await joiner.replica.inSync().catch((error: Error) => error)
  expect([String(lost), (await problem).message]).toEqual(new Array(2).fill(expect.stringContaining(why)))
  await joiner.replica.stop()
  await leader.replica.stop()
})

test('the largest chunk is one frame', () => {
  const bytes = largestChunk().reduce((sum, [, bytes]) => sum + bytes + 2, 0)
  expect(bytes).toBeGreaterThan(2 * CHUNK_BYTES_MAX + ITEM_BYTES_MAX - 1_100)
})
