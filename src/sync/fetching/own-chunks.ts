import type { Basis } from '../../snapshot/basis.ts'
import type { ChunkStore } from '../../snapshot/chunk-store.ts'
import type { Clock } from '../../time/clock.ts'

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
