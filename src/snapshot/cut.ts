import type { Clock } from '../expiry/clock.ts'
import { Slices } from '../expiry/slices.ts'
import type { Snapshot } from '../machine/machine.ts'
import { ChunkWriter } from './chunk.ts'
import { CutSnapshot } from './cut-snapshot.ts'
import { type ChunkCoder, zstdCoder } from './encoding.ts'
import { type ChunkInfo, chunkHash, makeManifest } from './manifest.ts'

/** 1 MiB: larger chunks leave less to share between peers, smaller ones cost more frames and hashes. */
export const CHUNK_BYTES_DEFAULT = 1024 * 1024

export interface CutOptions {
  readonly control: Uint8Array
  /** A chunk ends with the item that makes it reach this size. Every replica must use the same. */
  readonly chunkBytes: number
  readonly clock: Clock
  /** How chunks are encoded for the way. Default: zstd. */
  readonly coder?: ChunkCoder
  readonly signal: AbortSignal
}

/** Cut and hash a snapshot, in slices that leave the event loop free. */
export async function cut(snapshot: Snapshot, options: CutOptions): Promise<CutSnapshot> {
  const slices = new Slices(options.clock)
  const writer = new ChunkWriter(options.chunkBytes)
  const chunks: Uint8Array[] = []
  const infos: ChunkInfo[] = []
  const finishChunk = () => {
    const { items, bytes } = writer.take()
    chunks.push(bytes)
    infos.push({ items, bytes: bytes.length, hash: chunkHash(bytes) })
  }

  // Capture is O(1): the work begins in a later turn.
  await slices.rest()
  options.signal.throwIfAborted()
  let sinceLook = 0
  for (const item of snapshot.items()) {
    writer.add(item)
    if (writer.full) finishChunk()
    // Looking at the clock costs as much as a small item: look every 32 items or 64 KiB.
    sinceLook += 2048 + item.length
    if (sinceLook >= 65_536) {
      sinceLook = 0
      if (slices.due()) {
        await slices.rest()
        options.signal.throwIfAborted()
      }
    }
  }
  options.signal.throwIfAborted()
  if (writer.items > 0) finishChunk()
  return new CutSnapshot(makeManifest(options.control, infos), chunks, options.coder ?? zstdCoder)
}
