import type { Snapshot } from '../machine/machine.ts'
import { asError } from '../thrown.ts'
import type { Clock } from '../time/clock.ts'
import { BACKGROUND_SLICE_MS, Yielder } from '../time/yielder.ts'
import { ChunkWriter } from './chunk.ts'
import type { CutSnapshot } from './cut-snapshot.ts'
import { SnapshotTooLarge } from './errors.ts'
import { checkControl, chunkHash, MANIFEST_CHUNKS_MAX, type Manifest } from './manifest.ts'

/** 1 MiB. Larger chunks can be shared less well between peers; smaller ones cost more frames and hashes. */
export const CHUNK_BYTES_DEFAULT = 1024 * 1024

export interface CutOptions {
  readonly control: Uint8Array
  /** The average size of chunks, in bytes, up to 8 MiB. Every replica must use the same. */
  readonly chunkBytes: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Cut and hash a snapshot, in slices that leave the event loop to applying and serving. Each chunk is added
 * to `into` as soon as it ends. Rejects with `SnapshotTooLarge` if a manifest cannot list the result.
 */
export async function cut(snapshot: Snapshot, into: CutSnapshot, options: CutOptions): Promise<Manifest> {
  const { control, chunkBytes, clock, signal } = options
  const yielder = new Yielder(clock, 'cut', BACKGROUND_SLICE_MS)
  const writer = new ChunkWriter(chunkBytes)
  const finishChunk = () => {
    if (into.infos.length === MANIFEST_CHUNKS_MAX) {
      throw new SnapshotTooLarge(
        `more than ${MANIFEST_CHUNKS_MAX} chunks of ${chunkBytes} bytes on average; make chunkBytes larger`,
      )
    }
    const { items, bytes } = writer.take()
    into.add(bytes, { items, bytes: bytes.length, hash: chunkHash(bytes) })
  }

  try {
    checkControl(control)
    // Capture is O(1): the work begins in a later turn.
    await yielder.rest()
    signal.throwIfAborted()
    let sinceLook = 0
    for (const item of snapshot.items()) {
      writer.add(item)
      if (writer.ended) finishChunk()
      // A look at the clock costs more than many small items. So look every 128 of them, or every 256 KiB.
      sinceLook += 2048 + item.length
      if (sinceLook >= 262_144) {
        sinceLook = 0
        if (yielder.due()) {
          await yielder.rest()
          signal.throwIfAborted()
        }
      }
    }
    signal.throwIfAborted()
    if (writer.items > 0) finishChunk()
    return into.finish(control)
  } catch (error) {
    into.fail(asError(error))
    throw error
  }
}
