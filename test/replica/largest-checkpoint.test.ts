import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CHUNK_BYTES_MAX } from '../../src/bounds.ts'
import { openCheckpoint, verifiedChunks } from '../../src/checkpoint/file.ts'
import { fileStorage } from '../../src/checkpoint/file-storage.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { createReplica } from '../../src/replica/start.ts'
import { ITEM_BYTES_MAX } from '../../src/snapshot/chunk.ts'
import { zstdCoder } from '../../src/snapshot/encoding.ts'
import { type Blob, Blobs, bytesOf, making } from './blobs.ts'
import { leads } from './cluster.ts'

/** A busy machine may take a while over 48 MiB. */
const TIMES = { leaseMs: 10_000, fetchTimeoutMs: 20_000, requestTimeoutMs: 30_000 }
const BLOBS: readonly Blob[] = [
  [1, CHUNK_BYTES_MAX / 2 - 8],
  [2, ITEM_BYTES_MAX],
  [3, 1],
  [4, ITEM_BYTES_MAX],
]

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'largest-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true })
})

test('the largest items are fetched to disk, exported, and there again after a restart', async () => {
  const log = memoryLog()
  const start = async (name: string, lead: boolean) => {
    const machine = new Blobs()
    const dataDir = join(dir, name)
    const init = { group: 'blobs', machine, log, lead, dataDir, chunkBytes: CHUNK_BYTES_MAX, volatile: true }
    return { machine, replica: await createReplica<number>({ ...init, ...TIMES }) }
  }
  const right = ({ machine }: { machine: Blobs }) =>
    machine.items.map((item, n) => Buffer.compare(item, bytesOf(BLOBS[n]!)))
  const leader = await start('leader', true)
  await leads(leader.replica)
  await leader.replica.submit(making(BLOBS))
  await leader.replica.prune({ keepEntries: 0 })
  const joiner = await start('joiner', false)
  await joiner.replica.inSync()
  expect(right(joiner)).toEqual([0, 0, 0, 0])

  const path = join(dir, 'exported.checkpoint')
  await leader.replica.exportTo(path)
  await using checkpoint = await openCheckpoint(path, fileStorage)
  const sizes = await Array.fromAsync(verifiedChunks(checkpoint, zstdCoder), ({ bytes }) => bytes.length)
  expect(Math.max(...sizes)).toBeGreaterThan(ITEM_BYTES_MAX)
  await joiner.replica.stop()
  await leader.replica.stop()

  const again = await start('joiner', true)
  await again.replica.inSync()
  expect(right(again)).toEqual([0, 0, 0, 0])
  expect(again.replica.counts.get('caught-up')).toBeUndefined()
  await again.replica.stop()
})
