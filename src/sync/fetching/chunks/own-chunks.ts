import { Basis } from '../../../snapshot/basis.ts'
import type { ChunkStore } from '../../../snapshot/chunk-store.ts'
import type { CutHistory } from '../../../snapshot/cut-history.ts'
import { DistantBasis } from '../../../snapshot/distant-basis.ts'
import type { ChunkCoder } from '../../../snapshot/encoding.ts'
import type { Clock } from '../../../time/clock.ts'
import type { SyncHost } from '../../host.ts'
import { Rebuilder } from './rebuild.ts'

/**
 * How long a session may take to cut the state that this replica has: nothing is asked for meanwhile. What it
 * has not come to by then is fetched.
 */
export const BASIS_TIMEOUT_MS = 10_000

/** The state that this replica has: in memory, or where it may be larger than that. */
export type OwnBasis = Basis | DistantBasis

/** What reads this replica's own state. */
export interface OwnStateReader {
  readonly host: Pick<SyncHost, 'ownState'>
  readonly clock: Clock
  /** What this replica cut last. */
  readonly cuts?: CutHistory | undefined
}

/**
 * Cut the state that this replica has, so that what it shares with the new one is not fetched. Never rejects.
 */
export async function readOwnState(
  { host, clock, cuts }: OwnStateReader,
  signal: AbortSignal,
): Promise<OwnBasis | undefined> {
  const enough = new AbortController()
  const timer = clock.schedule(BASIS_TIMEOUT_MS, () => enough.abort())
  try {
    const own = host.ownState?.()
    if (own === undefined) return undefined
    const { snapshot, chunkBytes } = own
    const options = { chunkBytes, clock, history: cuts, signal, enough: enough.signal }
    const kind = snapshot.places === undefined ? Basis : DistantBasis
    const basis = await kind.of(snapshot, options)
    if (!basis.isEmpty) return basis
    basis.release()
    return undefined
  } catch {
    // A machine that cannot tell what it has is given all of the new state.
    return undefined
  } finally {
    timer.cancel()
  }
}

export interface OwnChunksInit {
  /** The state that this replica has, once it is cut. */
  readonly basis?: Promise<OwnBasis | undefined> | undefined
  /** Chunks that an earlier fetch has verified. */
  readonly store?: ChunkStore | undefined
  readonly coder: ChunkCoder
  readonly clock: Clock
}

/** What this replica has of the new state already: in the state it has, and of earlier fetches. */
export class OwnChunks {
  /** Puts chunks together from items that are here. Undefined as long as none are known. */
  #rebuilder: Rebuilder | undefined
  /** Where chunks are that need not be fetched. */
  #store: ChunkStore | undefined
  readonly #known: Promise<void>

  constructor(init: OwnChunksInit) {
    this.#store = init.store
    this.#known = this.#await(init)
  }

  get rebuilder(): Rebuilder | undefined {
    return this.#rebuilder
  }

  get store(): ChunkStore | undefined {
    return this.#store
  }

  /** Resolves when all is known. */
  async known(): Promise<void> {
    await this.#known
  }

  async #await({ basis: cutting, store, coder, clock }: OwnChunksInit): Promise<void> {
    const basis = await cutting
    if (basis === undefined) return
    if (basis instanceof Basis) this.#rebuilder = new Rebuilder(basis, coder)
    this.#store = withBasis(basis, store, clock)
  }
}

function withBasis(basis: OwnBasis, store: ChunkStore | undefined, clock: Clock): ChunkStore {
  return {
    has: (hash) => basis.has(hash) || store?.has(hash) === true,
    async read(hash) {
      const bytes = basis instanceof Basis ? basis.chunk(hash) : await basis.read(hash)
      // There is nothing to wait for otherwise, and checking many in a row would hold the event loop.
      await clock.turn()
      return bytes === undefined ? await store!.read(hash) : { encoding: 'raw', bytes }
    },
    keep: (hash, chunk) => store?.keep(hash, chunk),
    forget: (hash) => store?.forget(hash),
  }
}
