import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ChunkFiles } from '../../src/checkpoint/chunk-files.ts'
import type { EncodedChunk } from '../../src/snapshot/encoding.ts'

const HASH = new Uint8Array(32).fill(7)
const OTHER = new Uint8Array(32).fill(8)
const CHUNK: EncodedChunk = { encoding: 'zstd', bytes: Buffer.from('as it was sent') }

let directory: string
let problems: Error[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anchorage-chunks-'))
  problems = []
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const open = () => ChunkFiles.open(directory, (error) => problems.push(error))

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
  await files.close()
  expect([files.has(HASH), await readdir(directory)]).toEqual([false, []])
})

test('a file that does not begin as a chunk does is an error, and no chunk', async () => {
  const files = await open()
  files.keep(HASH, CHUNK)
  await files.close()
  await truncate(join(directory, Buffer.from(HASH).toString('hex')), 0)
  await expect(files.read(HASH)).rejects.toMatchObject({ name: 'CheckpointDamaged' })
})

test('other files are none of its business until it is cleared', async () => {
  await writeFile(join(directory, 'notes.txt'), 'hello')
  const files = await open()
  expect(files.has(HASH)).toBe(false)
})

test('a disk that takes nothing is a problem that is told once, and tried again for the next download', async () => {
  const files = await open()
  await rm(directory, { recursive: true })
  for (const hash of [HASH, OTHER]) files.keep(hash, CHUNK)
  await files.close()
  files.keep(HASH, CHUNK)
  await files.close()
  expect([problems.length, files.has(HASH)]).toEqual([1, false])
  await mkdir(directory)
  files.clear()
  await files.close()
  files.keep(HASH, CHUNK)
  await files.close()
  expect([problems.length, files.has(HASH)]).toEqual([1, true])
})

test('several hundred small chunks at once are kept', async () => {
  const files = await open()
  const hashes = Array.from({ length: 200 }, (_, n) => new Uint8Array(32).fill(n))
  for (const hash of hashes) files.keep(hash, CHUNK)
  await files.close()
  expect(hashes.filter((hash) => files.has(hash)).length).toBe(200)
})
