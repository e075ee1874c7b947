import { readFile } from 'node:fs/promises'
import { bytesMap } from '../capture/map.ts'
import { serveCalls } from '../child.ts'
import { restedBytes } from '../memory/resident.ts'
import { addChunk } from './chunks.ts'
import { itemBytes, randomOrder, setEach } from './items.ts'

/** A process that keeps one map, and measures its own resident memory. */

/** A chunk in a file. */
export interface ChunkFile {
  readonly path: string
  readonly items: number
}

export interface Settled {
  /** Resident memory beyond that of the process before it had the items, in bytes. */
  readonly resident: number
  /** The bytes of the items as a snapshot has them. */
  readonly items: number
}

/**
 * Items that are set in another map before. Compiled code and V8's space for young objects, which both come
 * with the first items, then do not count.
 */
const WARM_UP_ITEMS = 10_000

let map = bytesMap()

const methods = {
  /** Set each item once, in random order. */
  written: (items: number): Promise<Settled> => settledAfter(() => setEach(map, randomOrder(items))),
  /** Install a snapshot. */
  installed: (chunks: readonly ChunkFile[]): Promise<Settled> => settledAfter(() => install(chunks)),
  /** Install a snapshot, and set each item once, in random order. */
  churned: (chunks: readonly ChunkFile[]): Promise<Settled> =>
    settledAfter(async () => {
      await install(chunks)
      setEach(map, randomOrder(map.size))
    }),
}
export type SettledMethods = typeof methods

serveCalls(methods, () => {})

async function settledAfter(work: () => void | Promise<void>): Promise<Settled> {
  setEach(map, randomOrder(WARM_UP_ITEMS))
  map = bytesMap()
  const emptyBytes = await restedBytes()
  await work()
  const resident = (await restedBytes()) - emptyBytes
  return { resident, items: itemBytes(map) }
}

async function install(chunks: readonly ChunkFile[]): Promise<void> {
  const installation = map.install()
  for (const { path, items } of chunks) addChunk(installation, { bytes: await readFile(path), items })
  installation.commit()
}
