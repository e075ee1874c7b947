import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ChunkFiles } from '../../src/checkpoint/chunk-files.ts'
import type { Storage } from '../../src/checkpoint/storage.ts'
import { DropQueue } from '../../src/leases/drop-queue.ts'
import { type EncodedChunk, zstdCoder } from '../../src/snapshot/encoding.ts'
import { chunkHash } from '../../src/snapshot/manifest.ts'
import { systemClock } from '../../src/time/clock.ts'
import { Machine, onDisk, PLACES, type Place, simulated } from './places.ts'

const HASH = new Uint8Array(32).fill(7)
const OTHER = new Uint8Array(32).fill(8)
const CHUNK: EncodedChunk = { encoding: 'zstd', bytes: Buffer.from('as it was sent') }

let directory: string
let storage: Storage
let problems: Error[]

function use(place: Place): void {
  directory = place.directory
  storage = place.storage
  problems = []
}

const drops = new DropQueue({ clock: systemClock })
const open = () =>
  ChunkFiles.open({ directory, storage, coder: zstdCoder, drops, onProblem: (error) => problems.push(error) })
async function settle(files: ChunkFiles): Promise<void> {
  await files.close()
  await drops.flush()
}

describe.each(PLACES)('on $on', ({ make }) => {
  let place: Place

  beforeEach(async () => {
    place = await make()
    use(place)
  })
  afterEach(() => place[Symbol.asyncDispose]())

  test('what one session keeps, another reads', async () => {
    const first = await open()
    expect(first.has(HASH)).toBe(false)
    first.keep(HASH, CHUNK)
    first.keep(OTHER, { encoding: 'raw', bytes: new Uint8Array(0) })
    await first.close()
    const second = await open()
    expect(second.has(HASH)).toBe(true)
    expect(await second.read(HASH)).toEqual(CHUNK)
    expect(await second.read(OTHER)).toMatchObject({ encoding: 'raw' })
    expect(problems).toEqual([])
  })

  test('nothing is left once it is cleared, also of what was being written', async () => {
    const files = await open()
    files.keep(HASH, CHUNK)
    files.clear()
    await settle(files)
    expect([files.has(HASH), await storage.list(directory)]).toEqual([false, []])
  })

  test('what is held stays until it is released', async () => {
    const files = await open()
    for (const hash of [HASH, OTHER]) files.keep(hash, CHUNK)
    const hold = files.hold([{ hash: HASH }])
    files.clear()
    await settle(files)
    expect([files.has(HASH), files.has(OTHER), hold.isWhole]).toEqual([true, false, true])
    hold.release()
    files.sweep()
    await settle(files)
    expect([files.has(HASH), await storage.list(directory)]).toEqual([false, []])
  })

  test('what an earlier life left stays until it is known what the checkpoints need', async () => {
    const first = await open()
    for (const hash of [HASH, OTHER]) first.keep(hash, CHUNK)
    await first.close()
    const files = await open()
    files.clear()
    await settle(files)
    expect(await storage.list(directory)).toHaveLength(2)
    files.hold([{ hash: OTHER }])
    files.counted()
    files.sweep()
    await settle(files)
    expect([files.has(HASH), files.has(OTHER)]).toEqual([false, true])
  })

  test('what is held again while it is removed is written anew', async () => {
    const bytes = Buffer.from('a chunk')
    const info = { items: 1, bytes: bytes.length, hash: chunkHash(bytes) }
    const chunk: EncodedChunk = { encoding: 'raw', bytes }
    for (let turns = 0; turns < 12; turns++) {
      const files = await open()
      files.hold([info]).release()
      files.keep(info.hash, chunk)
      await files.close()
      files.clear()
      const removed = drops.flush()
      for (let n = 0; n < turns; n++) await systemClock.turn()
      const hold = files.hold([info])
      await files.put(info, async () => chunk)
      await removed
      expect([hold.isWhole, (await files.read(info.hash)).bytes], `after ${turns} turns`).toEqual([
        true,
        bytes,
      ])
    }
  })

  test('a file that does not begin as a chunk does is an error, and no chunk', async () => {
    const files = await open()
    files.keep(HASH, CHUNK)
    await files.close()
    await storage.write(join(directory, Buffer.from(HASH).toString('hex')), new Uint8Array(0))
    await expect(files.read(HASH)).rejects.toMatchObject({ name: 'CheckpointDamaged' })
  })

  test('drafts of writes that were cut off are removed', async () => {
    await storage.write(join(directory, `${'ab'.repeat(32)}.new`), Buffer.from('half'))
    await open()
    expect(await storage.list(directory)).toEqual([])
  })

  test('other files are none of its business', async () => {
    await storage.write(join(directory, 'notes.txt'), Buffer.from('hello'))
    const files = await open()
    expect(files.has(HASH)).toBe(false)
  })

  test('several hundred small chunks at once are kept', async () => {
    const files = await open()
    const hashes = Array.from({ length: 200 }, (_, n) => new Uint8Array(32).fill(n))
    for (const hash of hashes) files.keep(hash, CHUNK)
    await files.close()
    expect(hashes.filter((hash) => files.has(hash)).length).toBe(200)
  })
})

test('a disk that takes nothing is told of once, and tried again for the next download', async () => {
  await using place = await onDisk()
  use(place)
  const files = await open()
  await rm(directory, { recursive: true })
  for (const hash of [HASH, OTHER]) files.keep(hash, CHUNK)
  await files.close()
  files.keep(HASH, CHUNK)
  await files.close()
  expect([problems.length, files.has(HASH)]).toEqual([1, false])
  await mkdir(directory)
  files.clear()
  await settle(files)
  files.keep(HASH, CHUNK)
  await files.close()
  expect([problems.length, files.has(HASH)]).toEqual([1, true])
})

test('a full disk is a problem that is told once, and tried again once it was cleared', async () => {
  const machine = new Machine()
  use(await simulated(machine))
  const files = await open()
  files.keep(HASH, CHUNK)
  await files.close()
  machine.disk.fill(5)
  for (let n = 100; n < 110; n++) files.keep(new Uint8Array(32).fill(n), CHUNK)
  files.keep(OTHER, CHUNK)
  await files.close()
  expect(problems).toMatchObject([{ code: 'ENOSPC' }])
  expect([files.has(HASH), files.has(OTHER)]).toEqual([true, false])
  machine.disk.mend()
  files.clear()
  await settle(files)
  files.keep(OTHER, CHUNK)
  await files.close()
  expect([problems.length, files.has(OTHER)]).toEqual([1, true])
  expect(await storage.list(directory)).toHaveLength(1)
})
