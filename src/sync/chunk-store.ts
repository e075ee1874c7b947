import type { Clock } from '../expiry/clock.ts'
import type { Basis } from '../snapshot/basis.ts'
import type { EncodedChunk } from '../snapshot/encoding.ts'

/** Where a session keeps verified chunks, so that another one need not fetch them again. Chunks are named by their hash. */
export interface ChunkStore {
  has(hash: Uint8Array): boolean
  /** What is read is checked like what peers send. */
  read(hash: Uint8Array): Promise<EncodedChunk>
  /** Take a chunk in, soon. Nothing depends on it: failures are the store's own affair. */
  keep(hash: Uint8Array, chunk: EncodedChunk): void
  /** What was read was not what its hash says. */
  forget(hash: Uint8Array): void
}

/** What this replica has already, besides what it kept of earlier fetches. */
export function withBasis(
  basis: Basis | undefined,
  store: ChunkStore | undefined,
  clock: Clock,
): ChunkStore | undefined {
  if (basis === undefined) return store
  return {
    has: (hash) => basis.has(hash) || store?.has(hash) === true,
    async read(hash) {
      const bytes = basis.chunk(hash)
      // There is nothing to wait for otherwise, and checking many in a row would hold the event loop.
      await clock.turn()
      return bytes === undefined ? await store!.read(hash) : { encoding: 'raw', bytes }
    },
    keep: (hash, chunk) => store?.keep(hash, chunk),
    forget: (hash) => store?.forget(hash),
  }
}
