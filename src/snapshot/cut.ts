import type { Clock } from '../expiry/clock.ts'
import { BACKGROUND_SLICE_MS, Slices } from '../expiry/slices.ts'
import type { Snapshot } from '../machine/machine.ts'
import { ChunkWriter } from './chunk.ts'
import type { CutSnapshot } from './cut-snapshot.ts'
import { chunkHash, type Manifest } from './manifest.ts'

/** 1 MiB: larger chunks leave less to share between peers, smaller ones cost more frames and hashes. */
export const CHUNK_BYTES_DEFAULT = 1024 * 1024

export interface CutOptions {
  readonly control: Uint8Array
  /** A chunk ends with the item that makes it reach this size. Every replica must use the same. */
  readonly chunkBytes: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Cut and hash a snapshot, in slices that leave the event loop to whoever applies and serves. Each chunk is in `into` as soon as it is full. */
export async function cut(snapshot: Snapshot, into: CutSnapshot, options: CutOptions): Promise<Manifest> {
  const { control, chunkBytes, clock, signal } = options
  const slices = new Slices(clock, BACKGROUND_SLICE_MS)
  const writer = new ChunkWriter(chunkBytes)
  const finishChunk = () => {
    const { items, bytes } = writer.take()
    into.add(bytes, { items, bytes: bytes.length, hash: chunkHash(bytes) })
  }

  try {
    // Capture is O(1): the work begins in a later turn.
    await slices.rest()
    signal.throwIfAborted()
    let sinceLook = 0
    for (const item of snapshot.items()) {
      writer.add(item)
      if (writer.full) finishChunk()
      // Looking at the clock costs more than many small items: look every 128 of them, or 256 KiB.
      sinceLook += 2048 + item.length
      if (sinceLook >= 262_144) {
        sinceLook = 0
        if (slices.due()) {
          await slices.rest()
          signal.throwIfAborted()
        }
      }
    }
    signal.throwIfAborted()
    if (writer.items > 0) finishChunk()
    return into.finish(control)
  } catch (error) {
    into.fail(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}
