import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileStorage } from '../../src/checkpoint/file-storage.ts'
import type { Storage } from '../../src/checkpoint/storage.ts'
import { SimulatedDisk } from '../../src/testing/simulation/disk.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { World } from '../../src/testing/simulation/world.ts'

/** An empty directory, and what it is on. */
export interface Place extends AsyncDisposable {
  readonly storage: Storage
  readonly directory: string
}

/** What `checkpoint/` is tested on. */
export const PLACES = [
  { on: 'the file system', make: onDisk },
  { on: 'a simulated disk', make: () => simulated() },
]

export async function onDisk(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'anchorage-checkpoint-'))
  return {
    storage: fileStorage,
    directory,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

/** A machine with a disk, on which one process after the other is started. */
export class Machine {
  readonly world: World
  readonly disk: SimulatedDisk
  #lives = 0

  constructor(seed = 1) {
    this.world = new World(seed)
    this.disk = new SimulatedDisk(this.world, 'a')
  }

  /** The disk, as the next process sees it. */
  start(): Storage {
    return this.disk.storageFor(new Life(this.world, `a#${++this.#lives}`))
  }
}

/** What comes of it, or undefined if the process dies first. */
export async function beforeDeath<T>(life: Life, work: Promise<T>): Promise<T | undefined> {
  if (!life.isAlive) return undefined
  const death = new Promise<undefined>((resolve) => life.onDeath(() => resolve(undefined)))
  return await Promise.race([work, death])
}

export async function simulated(machine = new Machine()): Promise<Place> {
  const directory = '/a/replica'
  const storage = machine.start()
  await storage.makeDirectory(directory, 0o700)
  return { storage, directory, [Symbol.asyncDispose]: async () => {} }
}
