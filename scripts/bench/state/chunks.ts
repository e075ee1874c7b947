import type { Installation } from '../../../src/machine/index.ts'
import { itemsOf } from '../../../src/snapshot/chunk.ts'
import type { CutSnapshot } from '../../../src/snapshot/cut-snapshot.ts'

/** A chunk as it is once it was verified. */
export interface Chunk {
  readonly bytes: Uint8Array
  readonly items: number
}

/** Items that a replica gives to its machine at a time. */
const ITEMS_AT_A_TIME = 256

export function chunksOf(cut: CutSnapshot): Promise<Chunk[]> {
  return Promise.all(cut.infos.map(async ({ items }, index) => ({ bytes: await cut.raw(index), items })))
}

/** The next chunk of an installation, as a replica adds it. */
export function addChunk(installation: Installation, { bytes, items: count }: Chunk): void {
  const items = itemsOf(bytes, count)
  for (let from = 0; from < items.length; from += ITEMS_AT_A_TIME)
    installation.add(items.run(from, ITEMS_AT_A_TIME))
}
