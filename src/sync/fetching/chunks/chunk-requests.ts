import type { Position } from '../../../position.ts'
import type { ChunkStore } from '../../../snapshot/chunk-store.ts'
import type { EncodedChunk } from '../../../snapshot/encoding.ts'
import { asError } from '../../../thrown.ts'
import type { Clock } from '../../../time/clock.ts'
import type { SyncHost } from '../../host.ts'
import { Busy } from '../../wire/errors.ts'
import { ProvenFault } from '../../wire/proven-fault.ts'
import { busyMs } from '../retry.ts'
import type { Assembly } from './assembly.ts'
import type { FetchState } from './fetch-state.ts'
import { HEDGE_UNMEASURED_MS, LatencyTracker } from './latency-tracker.ts'
import type { OwnChunks } from './own-chunks.ts'
import type { ProviderPool, ProviderState, Ready } from './provider-pool.ts'
import type { Rebuilder } from './rebuild.ts'
import { type Assignment, hedge, type LateChunk, type ProviderLoad, schedule } from './scheduler.ts'

/** Chunks in one request: all of them are sent before what is asked for next. */
const RANGE_CHUNKS_MAX = 4

const SCHEDULE_LIMITS = { rangeChunks: RANGE_CHUNKS_MAX }

export interface ChunkRequestsInit {
  readonly anchor: Position
  readonly host: Pick<SyncHost, 'leader'>
  readonly clock: Clock
  /** A number from 0 up to 1. */
  readonly random: () => number
  readonly signal: AbortSignal
  /** Where verified chunks are kept. */
  readonly store?: ChunkStore | undefined
  readonly own: OwnChunks
  readonly pool: ProviderPool
  readonly state: FetchState
  readonly events: ChunkRequestsEvents
}

/** What came of a chunk that a peer sent. */
export type ChunkOutcome =
  /** It is what the manifest promises, and the first of its kind. */
  | 'good'
  /** It was asked for twice, and another provider was faster. */
  | 'twice'
  /** It is not what the manifest promises, or was not asked for. */
  | 'wrong'
  /** It is of a fetch that was given up meanwhile, or could not be decoded here. */
  | 'unwanted'

/** One answer to a request for a chunk. `peer` is the provider's PeerId. */
export interface FetchedChunk {
  readonly peer: string
  /** Counts from 0. */
  readonly index: number
  /** What came over the wire for it, in bytes. */
  readonly bytes: number
  readonly outcome: ChunkOutcome
}

/** What is told of requests for chunks. */
export interface ChunkRequestsEvents {
  /** A chunk came, and was checked. */
  fetched(chunk: FetchedChunk): void
  /** A provider has room for another request. */
  hasRoom(): void
  /** One more chunk is verified. */
  verified(assembly: Assembly): void
  /** A provider failed while it was `state`, or there is proof against it. */
  failed(provider: string, state: ProviderState, error: Error): void
}

/** Where a chunk comes from. */
interface Source {
  readonly assembly: Assembly
  readonly provider: string
  readonly state: Ready
  /** When it was asked for. */
  readonly askedMs: number
  /** Bytes that came for it before it was asked for as a whole. */
  readonly spentBytes?: number
}

/**
 * The chunks that providers are asked for: ranges of them, as many as each provider's window holds. Each
 * chunk is checked when it arrives. One that is late compared to the others is asked of a second provider as
 * well.
 */
export class ChunkRequests {
  readonly #init: ChunkRequestsInit
  readonly #latency = new LatencyTracker()
  #bytes = 0

  constructor(init: ChunkRequestsInit) {
    this.#init = init
  }

  /** Payload bytes received, those that had to be fetched again included. */
  get bytes(): number {
    return this.#bytes
  }

  /** Ask for what is wanted, wherever there is room. */
  send(assembly: Assembly): void {
    const { clock } = this.#init
    for (const assignment of schedule(assembly.wanted(), this.#loads(), SCHEDULE_LIMITS)) {
      const { first, count, provider } = assignment
      assembly.tracker.asked(first, count, provider, clock.now())
      this.#fetchRange(assembly, assignment)
    }
  }

  /** Time has passed: a chunk may be late by now. */
  async hedgeLate(): Promise<void> {
    const { clock } = this.#init
    const suspects = this.#late()
    if (suspects.length === 0) return
    // If it was this process that was held up, what has come meanwhile is there to be read: nobody is late
    // with that.
    await clock.turn()
    await clock.turn()
    const suspected = new Set(suspects.map(({ index }) => index))
    this.#hedge(this.#late().filter(({ index }) => suspected.has(index)))
  }

  /** The chunks that are waited for any longer than others took. */
  #late(): LateChunk[] {
    const { clock, pool, state } = this.#init
    const sentAtMs = (id: string) => {
      const provider = pool.get(id)
      return provider?.status === 'ready' ? provider.window.arrivedAtMs : Number.NEGATIVE_INFINITY
    }
    const late = state.assembly?.late(clock.now() - this.#latency.lateMs, sentAtMs) ?? []
    return late.filter((one) => !this.#isComing(one))
  }

  /**
   * As long as nothing is measured, a chunk of which bytes come is slow, and asking for it twice would make
   * it slower.
   */
  #isComing({ provider }: LateChunk): boolean {
    const { clock, pool } = this.#init
    const state = pool.get(provider)
    if (this.#latency.isMeasured || state?.status !== 'ready') return false
    return clock.now() - state.channel.heardAtMs < HEDGE_UNMEASURED_MS
  }

  /**
   * Ask others for late chunks as well: of each provider that owes some one at first, and twice as many each
   * time others have sent them and it has not. A provider that is only slow then sends few for nothing.
   */
  #hedge(late: readonly LateChunk[]): void {
    const { clock, pool, state, signal } = this.#init
    const { assembly } = state
    if (assembly === undefined || signal.aborted) return
    const { tracker } = assembly
    const room = new Map<string, number>()
    const some = late.filter(({ provider: id }) => {
      const provider = pool.get(id)
      if (provider?.status !== 'ready') return false
      const left = room.get(id) ?? provider.rescued + 1 - tracker.doubled(id)
      room.set(id, left - 1)
      return left > 0
    })
    for (const assignment of hedge(some, this.#loads())) {
      tracker.askedAgain(assignment.first, assignment.provider, clock.now())
      this.#fetchRange(assembly, assignment)
    }
  }

  /** The providers that have what is being fetched, and were not told to wait. */
  #loads(): ProviderLoad[] {
    const { host, pool } = this.#init
    const leader = host.leader()
    return pool.ready().flatMap(([id, state]) => {
      if (!state.agrees || pool.isBusy(state)) return []
      const { failures, channel, list, rebuilding, window } = state
      const inFlight = channel.chunksDue + rebuilding
      return { id, leads: id === leader, failures, inFlight, window: window.chunks, listed: list.length }
    })
  }

  #fetchRange(assembly: Assembly, { provider, first, count }: Assignment): void {
    const { clock, own, pool } = this.#init
    const state = pool.get(provider)
    if (state?.status !== 'ready') return
    const from: Source = { assembly, provider, state, askedMs: clock.now() }
    const { rebuilder } = own
    let whole = first
    for (let index = first; index < first + count; index++) {
      if (rebuilder?.isWorthwhile(provider, assembly.tracker.info(index)) !== true) continue
      if (whole < index) this.#fetchWhole(from, whole, index - whole)
      whole = index + 1
      void this.#rebuild(from, index, rebuilder)
    }
    if (whole < first + count) this.#fetchWhole(from, whole, first + count - whole)
  }

  #fetchWhole(from: Source, first: number, count: number): void {
    const { anchor, clock } = this.#init
    const { state } = from
    state.channel
      .fetch({ type: 'chunks', anchor, first, count }, (index, chunk) => {
        this.#bytes += chunk.bytes.length
        state.window.arrived(from.askedMs, clock.now())
        state.rescued = 0
        this.#received(from, index, chunk, chunk.bytes.length + (from.spentBytes ?? 0))
      })
      .catch((error: Error) => this.#notSent(from, first, count, error))
  }

  /** Get a chunk by what of it is not here already, or as a whole. */
  async #rebuild(from: Source, index: number, rebuilder: Rebuilder): Promise<void> {
    const { anchor, pool } = this.#init
    const { assembly, provider, state } = from
    const { channel } = state
    let spentBytes = 0
    state.rebuilding++
    try {
      const onFetched = (bytes: number) => {
        this.#bytes += bytes
        spentBytes += bytes
      }
      const info = assembly.tracker.info(index)
      const chunk = await rebuilder.rebuild({ anchor, index, info, provider, channel, onFetched })
      // A provider that failed meanwhile owes nothing any more, and of an assembly that was given up nothing
      // is wanted.
      if (assembly !== this.#init.state.assembly || pool.get(provider) !== state) return
      if (chunk === undefined) this.#fetchWhole({ ...from, spentBytes }, index, 1)
      else this.#received(from, index, { encoding: 'raw', bytes: chunk }, spentBytes)
    } catch (error) {
      this.#notSent(from, index, 1, asError(error))
    } finally {
      state.rebuilding--
    }
  }

  #notSent({ assembly, provider, state }: Source, first: number, count: number, error: Error): void {
    const { clock, random, events } = this.#init
    if (!(error instanceof Busy && state.channel.open)) return events.failed(provider, state, error)
    // It is there, and goes on with what else it was asked for.
    assembly.tracker.lost(provider, first, count)
    state.busyUntilMs = clock.now() + busyMs(error, random)
    events.hasRoom()
  }

  #received(from: Source, index: number, chunk: EncodedChunk, bytes: number): void {
    const { events } = this.#init
    const tell = (outcome: ChunkOutcome) => events.fetched({ peer: from.provider, index, bytes, outcome })
    this.#check(from, index, chunk, tell).catch((error) => {
      tell(error instanceof ProvenFault ? 'wrong' : 'unwanted')
      events.failed(from.provider, from.state, error)
    })
  }

  async #check(
    from: Source,
    index: number,
    chunk: EncodedChunk,
    tell: (outcome: ChunkOutcome) => void,
  ): Promise<void> {
    const { assembly, provider, state, askedMs } = from
    const { store, clock, signal, events } = this.#init
    const tookMs = clock.now() - askedMs
    // What was asked for another manifest, or by a fetch that is over, is of no use.
    if (assembly !== this.#init.state.assembly || signal.aborted) return tell('unwanted')
    // Room for the next request is there as soon as a chunk arrived; checking it goes on meanwhile.
    const checked = assembly.tracker.received(index, chunk, provider)
    events.hasRoom()
    if (!(await checked)) {
      this.#latency.cameTwice()
      return tell('twice')
    }
    this.#rescued(assembly, index)
    store?.keep(assembly.tracker.info(index).hash, chunk)
    if (assembly !== this.#init.state.assembly) return tell('unwanted')
    this.#latency.arrived(tookMs)
    state.failures = Math.max(0, state.failures - 1)
    assembly.providersUsed.add(provider)
    tell('good')
    events.verified(assembly)
  }

  /** A chunk is here that another provider still owes: what else it owes may be worth asking for, too. */
  #rescued({ tracker }: Assembly, index: number): void {
    const { pool } = this.#init
    for (const provider of tracker.owing(index)) {
      const state = pool.get(provider)
      if (state?.status !== 'ready') continue
      state.rescued++
      this.#hedge(this.#late())
    }
  }
}
