import { checkBytes } from '../../bounds.ts'
import { ChunkWriter } from '../../snapshot/chunk.ts'
import { SnapshotTooLarge } from '../../snapshot/errors.ts'
import { type ChunkInfo, chunkHash, MANIFEST_CHUNKS_MAX } from '../../snapshot/manifest.ts'
import type { Clock } from '../../time/clock.ts'
import { Yielder } from '../../time/yielder.ts'

/** A chunk, as it is before it is encoded. */
export interface NewChunk {
  readonly info: ChunkInfo
  readonly bytes: Uint8Array
}

/**
 * Cut items into chunks, in slices that leave the event loop to others. The chunks are those that a replica
 * would cut of a state with these items. Rejects with `SnapshotTooLarge` for more chunks than a manifest
 * lists.
 */
export async function* recut(
  items: AsyncIterable<Uint8Array>,
  { chunkBytes, clock, signal }: RecutOptions,
): AsyncGenerator<NewChunk> {
  const writer = new ChunkWriter(chunkBytes)
  const yielder = new Yielder(clock, 'recut')
  let chunks = 0
  const take = (): NewChunk => {
    if (++chunks > MANIFEST_CHUNKS_MAX) {
      throw new SnapshotTooLarge(
        `there are more than ${MANIFEST_CHUNKS_MAX} chunks: give a larger chunkBytes`,
      )
    }
    const { items, bytes } = writer.take()
    return { info: { items, bytes: bytes.length, hash: chunkHash(bytes) }, bytes }
  }
  for await (const item of items) {
    checkBytes('an item of the transform', item)
    writer.add(item)
    if (writer.ended) yield take()
    if (!yielder.due()) continue
    await yielder.rest()
    signal.throwIfAborted()
  }
  if (writer.items > 0) yield take()
}

export interface RecutOptions {
  /** The average size of chunks. */
  readonly chunkBytes: number
  readonly clock: Clock
  readonly signal: AbortSignal
}
