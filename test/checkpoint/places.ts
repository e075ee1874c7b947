import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileStorage } from '../../src/checkpoint/file-storage.ts'
import type { Storage } from '../../src/checkpoint/storage.ts'
import { MemoryStorage } from './memory-storage.ts'

/** An empty directory, and what it is on. */
export interface Place extends AsyncDisposable {
  readonly storage: Storage
  readonly directory: string
}

/** What `checkpoint/` is tested on. */
export const PLACES = [
  { on: 'the file system', make: onDisk },
  { on: 'memory', make: inMemory },
]

export async function onDisk(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'anchorage-checkpoint-'))
  return {
    storage: fileStorage,
    directory,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

export async function inMemory(storage = new MemoryStorage()): Promise<Place> {
  const directory = '/a/replica'
  await storage.makeDirectory(directory)
  return { storage, directory, [Symbol.asyncDispose]: async () => {} }
}
