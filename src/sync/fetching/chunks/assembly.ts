import type { Position } from '../../../position.ts'
import type { ChunkStore } from '../../../snapshot/chunk-store.ts'
import type { ChunkCoder } from '../../../snapshot/encoding.ts'
import type { ChunkInfo } from '../../../snapshot/manifest.ts'
import type { StateBuilder } from '../../../snapshot/state-builder.ts'
import type { Clock } from '../../../time/clock.ts'
import type { SyncHost } from '../../host.ts'
import { ChunkTracker, STORE } from './chunk-tracker.ts'
import type { LateChunk } from './scheduler.ts'

export interface AssemblyInit {
  readonly anchor: Position
  readonly clock: Clock
  readonly coder: ChunkCoder
  /** Chunks that an earlier fetch has verified. */
  readonly store?: ChunkStore | undefined
  /** Builds the new state: it takes the chunks in order while others still arrive. */
  readonly host: Pick<SyncHost, 'beginInstall'>
  readonly signal: AbortSignal
}

/** What is told of an assembly. */
export interface AssemblyEvents {
  /** A chunk was read from the store, and is verified. */
  recalled(assembly: Assembly, index: number): void
  /** A chunk was built in, or the store does not have it after all: others may be asked for. */
  moved(assembly: Assembly): void
}

/** Chunks read from the store at once: each is held until it is checked. */
const RECALL_CHUNKS = 16

/**
 * One manifest's chunks on their way into a new state: from the store as far as it has them, from peers
 * otherwise.
 */
export class Assembly {
  readonly tracker: ChunkTracker
  /** Providers that sent at least one good chunk. */
  readonly providersUsed = new Set<string>()
  /** Resolves once every chunk is in it; rejects when an item does not fit the machine. */
  readonly built: Promise<StateBuilder>
  readonly #init: AssemblyInit
  readonly #events: AssemblyEvents
  readonly #abandon = new AbortController()
  /** Chunks that the store has, and that were not read yet. */
  readonly #stored = new Set<number>()

  #builtBytes = 0

  constructor(init: AssemblyInit, events: AssemblyEvents) {
    this.#init = init
    this.#events = events
    this.tracker = new ChunkTracker(init.coder)
    this.built = this.#build(AbortSignal.any([init.signal, this.#abandon.signal]))
    // A failure counts once this root is sealed: before that it may be one provider's nonsense.
    this.built.catch(() => {})
  }

  /** Bytes of chunks that are in the new state. */
  get builtBytes(): number {
    return this.#builtBytes
  }

  abandon(reason: Error): void {
    this.#abandon.abort(reason)
  }

  /** A provider lists the chunks from `from` on: see `ChunkTracker`. */
  list(from: number, infos: readonly ChunkInfo[]): boolean {
    const { tracker } = this
    const known = tracker.length
    const agrees = tracker.list(from, infos)
    for (let index = known; index < tracker.length; index++) {
      if (this.#init.store?.has(tracker.info(index).hash)) this.#stored.add(index)
    }
    return agrees
  }

  /** The chunks to ask peers for. What the store has is taken from there, a few chunks at a time. */
  wanted(): number[] {
    this.#recall()
    return this.tracker.wanted().filter((index) => !this.#stored.has(index))
  }

  /** The chunks that one peer alone owes, and since `sinceMs` or longer. */
  late(sinceMs: number, sentAtMs: (provider: string) => number): LateChunk[] {
    return this.tracker.late(sinceMs, sentAtMs).filter(({ provider }) => provider !== STORE)
  }

  #recall(): void {
    const { store, clock, signal } = this.#init
    if (store === undefined || signal.aborted) return
    const { tracker } = this
    for (const index of this.#stored) {
      if (tracker.inFlightWith(STORE) >= RECALL_CHUNKS || !tracker.reaches(index)) return
      this.#stored.delete(index)
      const { hash } = tracker.info(index)
      tracker.asked(index, 1, STORE, clock.now())
      store
        .read(hash)
        .then((chunk) => tracker.received(index, chunk, STORE))
        .then(() => this.#events.recalled(this, index))
        .catch(() => {
          // It is fetched like the others then.
          store.forget(hash)
          tracker.lost(STORE, index, 1)
        })
        .finally(() => this.#events.moved(this))
    }
  }

  /**
   * Build the state from each chunk as soon as all before it are there, while others still arrive. After one
   * that does not fit the others are let go: whether the group sealed this nonsense is known only when all
   * are here.
   */
  async #build(signal: AbortSignal): Promise<StateBuilder> {
    const installing = this.#init.host.beginInstall(signal, this.#init.anchor)
    let failure: unknown
    for await (const { bytes, items } of this.tracker.inOrder()) {
      try {
        if (failure === undefined) await installing.add(bytes, items)
        this.#builtBytes += bytes.length
      } catch (error) {
        failure = error
      }
      this.#events.moved(this)
    }
    if (failure !== undefined) throw failure
    await installing.finish?.()
    return installing
  }
}
