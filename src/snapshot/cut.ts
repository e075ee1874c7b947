import type { Snapshot } from '../machine/machine.ts'
import { asError } from '../thrown.ts'
import { type ReadOptions, readChunks } from './chunk-reader.ts'
import type { CutSnapshot } from './cut-snapshot.ts'
import { checkControl, type Manifest } from './manifest.ts'

/** 1 MiB. Larger chunks can be shared less well between peers; smaller ones cost more frames and hashes. */
export const CHUNK_BYTES_DEFAULT = 1024 * 1024

export interface CutOptions extends ReadOptions {
  readonly control: Uint8Array
}

/**
 * Cut and hash a snapshot, in slices that leave the event loop to applying and serving. Each chunk is added
 * to `into` as soon as it ends. `into` releases the snapshot, when it needs it no more or is released itself.
 * Rejects with `SnapshotTooLarge` if a manifest cannot list the result.
 */
export async function cut(snapshot: Snapshot, into: CutSnapshot, options: CutOptions): Promise<Manifest> {
  into.begin(snapshot)
  try {
    checkControl(options.control)
    await readChunks(snapshot, into, { ...options, distant: true })
    return into.finish(options.control)
  } catch (error) {
    into.fail(asError(error))
    throw error
  }
}
