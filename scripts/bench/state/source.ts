import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesMap } from '../capture/map.ts'
import { serveCalls } from '../child.ts'
import { chunksOf } from './chunks.ts'
import { Cutter } from './cutter.ts'
import { randomOrder, setEach } from './items.ts'
import type { ChunkFile } from './settled.ts'

/** A process that writes the chunks of a map into files. */

const methods = {
  /** Resolves with the files, in order. */
  async write(items: number, directory: string): Promise<ChunkFile[]> {
    const map = bytesMap()
    setEach(map, randomOrder(items))
    const chunks = await chunksOf(await new Cutter().cut(map.capture()))
    const files: ChunkFile[] = []
    for (const [index, { bytes, items }] of chunks.entries()) {
      const path = join(directory, `chunk-${index}`)
      await writeFile(path, bytes)
      files.push({ path, items })
    }
    return files
  },
}
export type Source = typeof methods

serveCalls(methods, () => {})
