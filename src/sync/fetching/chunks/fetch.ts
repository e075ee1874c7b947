import type { Position } from '../../../position.ts'
import type { SyncHost } from '../../host.ts'
import { Busy, Unauthorized } from '../../wire/errors.ts'
import type { Peers } from '../../wire/peers.ts'
import { ProvenFault } from '../../wire/proven-fault.ts'
import type { Faults } from '../faults.ts'
import type { Pin } from '../pin.ts'
import { busyMs } from '../retry.ts'
import { retryPolicy } from '../retry-policy.ts'
import { IllegalTransition } from '../transitions.ts'
import type { Assembly, AssemblyInit } from './assembly.ts'
import type { ChunkMap } from './chunk-map.ts'
import { ChunkRequests, type FetchedChunk } from './chunk-requests.ts'
import { type Fetched, FetchState } from './fetch-state.ts'
import { Listings } from './listings.ts'
import { type OwnBasis, OwnChunks } from './own-chunks.ts'
import { ProviderPool, type ProviderState } from './provider-pool.ts'

export interface FetchInit extends AssemblyInit {
  readonly anchor: Position
  readonly host: Pick<SyncHost, 'leader' | 'beginInstall'>
  readonly peers: Pick<Peers, 'channel'>
  /** What this replica has already, as soon as it is known. */
  readonly basis?: Promise<OwnBasis | undefined> | undefined
  /** A number from 0 up to 1. */
  readonly random: () => number
  readonly faults: Faults
  readonly pin: Pick<Pin, 'introduce'>
  readonly events: FetchEvents
}

/** What is told of a fetch. */
export interface FetchEvents {
  /** A provider sent a chunk, of which this became. */
  fetched(chunk: FetchedChunk): void
  /** A chunk was here already. */
  recalled(chunk: Pick<FetchedChunk, 'index' | 'bytes'>): void
  /** One more chunk is verified. */
  progressed(progress: FetchProgress): void
  /**
   * A provider left, the root is known, or no chunk is missing: what is to become of the anchor may be judged
   * anew.
   */
  changed(): void
}

/** How much of a snapshot is here. */
export interface FetchProgress {
  /** Chunks that are here and verified. */
  readonly chunks: number
  /** How many there are, as far as it is known. */
  readonly chunksTotal: number
  /** Chunk bytes that are here and verified, as they are in the snapshot. */
  readonly bytes: number
  /** How many there are, as far as it is known. */
  readonly bytesTotal: number
  /** The PeerIds of those that sent a chunk that was taken. */
  readonly providers: readonly string[]
}

/**
 * Pulls one anchor's chunks from all its providers at once. `Listings` knows which chunks each lists, and
 * which list is right; `ChunkRequests` asks for the chunks and checks them. Nothing is complete before the
 * whole list is checked against the seal.
 */
export class Fetch {
  readonly #init: FetchInit
  readonly #pool: ProviderPool
  readonly #state = new FetchState()
  readonly #listings: Listings
  readonly #requests: ChunkRequests
  #steps = 0

  constructor(init: FetchInit) {
    this.#init = init
    this.#pool = new ProviderPool(init.clock)
    const parts = { ...init, pool: this.#pool, state: this.#state, own: new OwnChunks(init) }
    const failed = (provider: string, state: ProviderState, error: Error) =>
      this.#failed(provider, state, error)
    this.#listings = new Listings({
      ...parts,
      events: {
        failed,
        listed: (added) => this.#moved(added),
        recalled: (assembly, index) => {
          init.events.recalled({ index, bytes: assembly.tracker.info(index).bytes })
          this.#verified(assembly)
        },
        moved: (assembly) => this.#moved(assembly === this.#state.assembly ? 1 : 0),
      },
    })
    this.#requests = new ChunkRequests({
      ...parts,
      events: {
        failed,
        fetched: (chunk) => init.events.fetched(chunk),
        hasRoom: () => this.#goOn(),
        verified: (assembly) => this.#verified(assembly),
      },
    })
    init.signal.addEventListener('abort', () => this.#state.end(init.signal.reason), { once: true })
  }

  /** Resolves when the first chunk can be asked for. */
  get begun(): Promise<void> {
    return this.#state.begun
  }

  /** Resolves once every chunk is verified and the root is the sealed one. */
  get verified(): Promise<void> {
    return this.#state.verified
  }

  /**
   * Resolves once the new state is built, too. Rejects when an item of the sealed root does not fit the
   * machine.
   */
  get complete(): Promise<Fetched> {
    return this.#state.complete
  }

  /** Every chunk is verified, and the root is the sealed one. */
  get isVerified(): boolean {
    return this.#state.isVerified
  }

  /** Providers that sent at least one good chunk. */
  get providersUsed(): string[] {
    return [...(this.#state.assembly?.providersUsed ?? [])]
  }

  /** Payload bytes received, those that had to be fetched again included. */
  get bytesFetched(): number {
    return this.#requests.bytes
  }

  /** Bytes of chunks that are in the new state, wherever they came from. */
  get builtBytes(): number {
    return this.#state.assembly?.builtBytes ?? 0
  }

  /** Which chunks are here. Undefined before the first is known, and when the fetch is over. */
  get map(): ChunkMap | undefined {
    return this.#state.assembly?.tracker.map
  }

  /** Grows with each chunk that is listed, verified or built in: while it stands still nothing goes on. */
  get steps(): number {
    return this.#steps
  }

  /** Only the seal can help: see `Listings`. */
  get awaitsSeal(): boolean {
    return this.#listings.awaitsSeal
  }

  /** The seal should be known by now, or soon: see `Listings`. */
  get sealDue(): boolean {
    return this.#listings.sealDue
  }

  /** It is known which root the group agreed on. */
  get isSealed(): boolean {
    return this.#listings.isSealed
  }

  /** How many providers have told of chunks, and can send them: see `Listings`. */
  get delivering(): number {
    return this.#listings.delivering
  }

  /** How many providers are asked, or about to be, and have not said Busy. */
  get serving(): number {
    return this.#pool.serving
  }

  /** Nobody is serving, and nobody is about to. */
  get idle(): boolean {
    return this.#pool.linked === 0
  }

  /** Why the providers that left did so. */
  get complaints(): string[] {
    return this.#pool.complaints
  }

  isLinked(provider: string): boolean {
    return this.#pool.isLinked(provider)
  }

  /** Nothing of this anchor is to be had from it any more. */
  isGone(provider: string): boolean {
    return this.#pool.get(provider)?.status === 'gone'
  }

  /**
   * A provider offers this anchor, and is to be left in peace while others suffice. Its offer is kept alive.
   */
  reserve(provider: string): void {
    this.#pool.reserve(provider)
  }

  /** A provider offers this anchor. One that was known and failed gets another chance after a rest. */
  offeredBy(provider: string): void {
    if (this.#init.signal.aborted) return
    const opening = this.#pool.open(provider)
    if (opening !== undefined) void this.#listings.open(provider, opening)
  }

  /** There is proof against a provider: nothing more is asked of it. */
  drop(provider: string, proof: ProvenFault): void {
    const state = this.#pool.get(provider)
    if (state !== undefined) this.#failed(provider, state, proof)
  }

  /** The group agreed on this root: what came from others is dropped. */
  sealed(root: Uint8Array): void {
    if (this.#init.signal.aborted) return
    this.#listings.seal(root)
    this.#goOn()
    this.#init.events.changed()
  }

  /** Time has passed: a chunk may be late by now, a provider not busy any more. */
  async retryLate(): Promise<void> {
    this.#goOn()
    await this.#requests.hedgeLate()
  }

  /**
   * Revive the offers of all providers: also where chunks are on their way, which may take longer than an
   * offer lives.
   */
  keepAlive(): void {
    const { anchor, peers } = this.#init
    for (const [provider, state] of this.#pool.present()) {
      peers
        .channel(provider, 'ask')
        .then((open) => open.request({ type: 'keepAlive', anchor }, 'revived'))
        .catch((error: Error) => {
          if (!(error instanceof Busy)) this.#failed(provider, state, error)
        })
    }
  }

  /**
   * Ask for what is missing; where nothing is, and the group sealed just this, what is left is to build the
   * state.
   */
  #goOn(): void {
    const { signal, events } = this.#init
    const { status, assembly } = this.#state
    if (status !== 'fetching' || assembly === undefined || signal.aborted) return
    const { tracker } = assembly
    const { manifest } = tracker
    const isSealed = manifest !== undefined && this.#listings.isSealedList(manifest)
    if (isSealed) tracker.trust()
    if (!tracker.complete) this.#requests.send(assembly)
    else if (isSealed) this.#state.build(assembly, manifest)
    else events.changed()
  }

  /** `state` is what the provider was when this began: what has ended since then cannot fail again. */
  #failed(provider: string, state: ProviderState, error: Error): void {
    const { signal, random, pin, faults, events } = this.#init
    if (error instanceof IllegalTransition) return this.#state.end(error)
    if (error instanceof ProvenFault) faults.add(provider, error)
    // Streams are shared with the fetch that follows this one.
    if (signal.aborted || this.#pool.get(provider) !== state) return
    this.#state.assembly?.tracker.lost(provider)
    const introduced = error instanceof Unauthorized ? pin.introduce(provider) : undefined
    if (introduced !== undefined) {
      const opening = this.#pool.reopen(provider)
      void introduced.then(() => this.#listings.open(provider, opening))
    } else if (error instanceof Busy) {
      this.#pool.busy(provider, busyMs(error, random))
    } else {
      this.#pool.failed(provider, error)
      if (retryPolicy(error).fault) faults.add(provider, error)
    }
    // What is still due on this stream is asked of others: it must not come from here as well.
    if (state.status === 'ready') state.channel.abort(error)
    this.#goOn()
    events.changed()
  }

  /** One more chunk is verified. */
  #verified(assembly: Assembly): void {
    if (assembly !== this.#state.assembly) return
    const { tracker, providersUsed } = assembly
    // Several may be checked at once: the last of them to be told of may find that nothing is missing any
    // more.
    if (this.#state.status === 'fetching') {
      this.#init.events.progressed({
        chunks: tracker.verified,
        chunksTotal: tracker.length,
        bytes: tracker.verifiedBytes,
        bytesTotal: tracker.bytes,
        providers: [...providersUsed],
      })
    }
    this.#moved(1)
  }

  /** The fetch came on by so many steps. */
  #moved(steps: number): void {
    this.#steps += steps
    this.#goOn()
  }
}
