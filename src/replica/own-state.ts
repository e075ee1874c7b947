import type { Snapshot } from '../machine/machine.ts'
import { cut } from '../snapshot/cut.ts'
import { CutSnapshot } from '../snapshot/cut-snapshot.ts'
import type { ChunkCoder, EncodedChunk } from '../snapshot/encoding.ts'
import type { Manifest } from '../snapshot/manifest.ts'
import type { Clock } from '../time/clock.ts'

export interface OwnStateInit {
  readonly snapshot: Snapshot
  readonly control: Uint8Array
  readonly coder: ChunkCoder
  readonly chunkBytes: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** What a checkpoint of it is written from. */
export interface OwnState {
  readonly manifest: Manifest
  readonly chunk: (index: number) => Promise<EncodedChunk>
}

/** Cut this replica's state, where nobody else captures: the root is its word alone. Releases the snapshot. */
export async function cutOwnState({ snapshot, coder, ...options }: OwnStateInit): Promise<OwnState> {
  const into = new CutSnapshot(coder)
  try {
    return { manifest: await cut(snapshot, into, options), chunk: (index) => into.chunk(index) }
  } finally {
    snapshot.release()
  }
}
