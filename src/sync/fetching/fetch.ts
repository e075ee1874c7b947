import type { Position } from '../../position.ts'
import type { Basis } from '../../snapshot/basis.ts'
import type { EncodedChunk } from '../../snapshot/encoding.ts'
import { sameBytes } from '../../snapshot/hash.ts'
import { type Manifest, makeManifest } from '../../snapshot/manifest.ts'
import type { StateBuilder } from '../../snapshot/state-builder.ts'
import { sleep } from '../../time/clock.ts'
import { HEDGE_UNMEASURED_MS, MANIFEST_CHUNKS_MAX, RANGE_CHUNKS_MAX } from '../limits.ts'
import type { Channel } from '../wire/channel.ts'
import { Busy, Expired, Unauthorized, UnknownAnchor } from '../wire/errors.ts'
import { ProvenFault } from '../wire/proven-fault.ts'
import { Assembly, type AssemblyInit } from './assembly.ts'
import { LatencyTracker } from './latency-tracker.ts'
import { withBasis } from './own-chunks.ts'
import { ProviderPool, type ProviderState, type Ready, type Waiting } from './provider-pool.ts'
import { Rebuilder } from './rebuild.ts'
import { busyMs } from './retry.ts'
import { type Assignment, hedge, type LateChunk, type ProviderLoad, schedule } from './scheduler.ts'
import { Window } from './window.ts'

export interface FetchInit extends AssemblyInit {
  readonly anchor: Position
  /** A stream to a provider for chunks; rejects when it cannot be reached. */
  readonly connect: (provider: string) => Promise<Channel>
  /** What this replica has already, as soon as it is known. */
  readonly basis?: Promise<Basis | undefined> | undefined
  /** Another, for questions: they do not queue behind chunks. */
  readonly ask: (provider: string) => Promise<Channel>
  readonly leader: () => string | undefined
  /** A number from 0 up to 1. */
  readonly random: () => number
  /** A provider says Unauthorized: announce this replica anew. Undefined when it was told that before. */
  readonly introduce: (provider: string) => Promise<void> | undefined
  /** A provider failed, or there is proof against it. */
  readonly onFault: (provider: string, error: Error) => void
  readonly onProgress: (progress: FetchProgress) => void
}

export interface FetchProgress {
  readonly chunks: number
  readonly chunksTotal: number
  readonly bytes: number
  readonly bytesTotal: number
  readonly providers: readonly string[]
}

/** What a fetch ends with: the state is built, and its root is the sealed one. */
export interface Fetched {
  readonly manifest: Manifest
  readonly installing: StateBuilder
}

/** Where a chunk comes from. */
interface Source {
  readonly assembly: Assembly
  readonly provider: string
  readonly state: Ready
  /** When it was asked for. */
  readonly askedMs: number
}

const SCHEDULE_LIMITS = { rangeChunks: RANGE_CHUNKS_MAX }

/**
 * Pulls one anchor's chunks from all its providers at once. Fetching begins with the first chunk that a provider tells
 * of, while others may still be cutting; providers whose list contradicts that one's wait aside until the seal says
 * who is right. Every chunk is checked against the list when it arrives, and nothing is complete before the whole
 * list is checked against the seal. A chunk that is late compared to the others is asked of a second provider as well.
 */
export class Fetch {
  readonly #init: FetchInit
  readonly #pool: ProviderPool
  readonly #latency = new LatencyTracker()
  readonly #used = new Set<string>()
  #basis: Basis | undefined
  #rebuilder: Rebuilder | undefined
  #assembly: Assembly | undefined
  #sealed: Uint8Array | undefined
  #isVerified = false
  #bytes = 0
  #steps = 0
  readonly #begun = Promise.withResolvers<void>()
  readonly #verified = Promise.withResolvers<void>()
  readonly #complete = Promise.withResolvers<Fetched>()

  constructor(init: FetchInit) {
    this.#init = init
    this.#pool = new ProviderPool(init.clock)
    this.#complete.promise.catch(() => {})
    init.signal.addEventListener('abort', () => this.#complete.reject(init.signal.reason), { once: true })
  }

  /** Resolves when the first chunk can be asked for. */
  get begun(): Promise<void> {
    return this.#begun.promise
  }

  /** Resolves once every chunk is verified and the root is the sealed one. */
  get verified(): Promise<void> {
    return this.#verified.promise
  }

  /** Resolves once the new state is built, too. Rejects when an item of the sealed root does not fit the machine. */
  get complete(): Promise<Fetched> {
    return this.#complete.promise
  }

  /** Providers that sent at least one good chunk. */
  get providersUsed(): string[] {
    return [...this.#used]
  }

  /** Payload bytes received, those that had to be fetched again included. */
  get bytesFetched(): number {
    return this.#bytes
  }

  /** Bytes of chunks that are in the new state, wherever they came from. */
  get builtBytes(): number {
    return this.#assembly?.builtBytes ?? 0
  }

  /** Grows with each chunk that is listed, verified or built in: while it stands still nothing goes on. */
  get steps(): number {
    return this.#steps
  }

  /**
   * Only the seal can help: every chunk of the first manifest is here, or whoever had the others has left, and
   * the providers that remain hold something else.
   */
  get awaitsSeal(): boolean {
    if (this.#sealed !== undefined || this.#assembly === undefined) return false
    return this.#assembly.tracker.complete || !this.#pool.ready().some(([, state]) => state.agrees)
  }

  /** The seal is due: only it can help, or a provider has told of all its chunks, so that the others will have soon. */
  get sealDue(): boolean {
    if (this.#sealed !== undefined) return false
    return this.awaitsSeal || this.#pool.ready().some(([, state]) => state.manifest !== undefined)
  }

  /** Every chunk is verified, and the root is the sealed one. */
  get isVerified(): boolean {
    return this.#isVerified
  }

  /** It is known which root the group agreed on. */
  get isSealed(): boolean {
    return this.#sealed !== undefined
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

  /** How many providers are asked, or about to be, and have not said Busy. */
  get serving(): number {
    return this.#pool.serving
  }

  /** How many providers have told of chunks, of all of them once the root is sealed, and have not said Busy. */
  get delivering(): number {
    return this.#pool.ready().filter(([, state]) => {
      const tells = this.#sealed === undefined ? state.list.length > 0 : state.manifest !== undefined
      return tells && state.agrees && !this.#pool.isBusy(state)
    }).length
  }

  /** A provider offers this anchor, and is to be left in peace while others suffice. Its offer is kept alive. */
  reserve(provider: string): void {
    this.#pool.reserve(provider)
  }

  /** A provider offers this anchor. One that was known and failed gets another chance after a rest. */
  offeredBy(provider: string): void {
    const opening = this.#pool.open(provider)
    if (opening !== undefined) void this.#open(provider, opening)
  }

  /** There is proof against a provider: nothing more is asked of it. */
  drop(provider: string, proof: ProvenFault): void {
    const state = this.#pool.get(provider)
    if (state !== undefined) this.#failed(provider, state, proof)
  }

  /** The group agreed on this root: what came from others is dropped. */
  sealed(root: Uint8Array): void {
    this.#sealed = root
    for (const [provider, state] of this.#pool.ready()) this.#judge(provider, state)
    this.#pump()
  }

  /** Time has passed: a chunk may be late by now, a provider not busy any more. */
  async retryLate(): Promise<void> {
    const { clock } = this.#init
    this.#pump()
    const suspects = this.#late()
    if (suspects.length === 0) return
    // If it was this process that was held up, what has come meanwhile is there to be read: nobody is late with that.
    await clock.turn()
    await clock.turn()
    const suspected = new Set(suspects.map(({ index }) => index))
    this.#hedge(this.#late().filter(({ index }) => suspected.has(index)))
  }

  /** Revive the offers of all providers: also where chunks are on their way, which may take longer than an offer lives. */
  keepAlive(): void {
    const { anchor, ask } = this.#init
    for (const [provider, state] of this.#pool.present()) {
      ask(provider)
        .then((open) => open.request({ type: 'keepAlive', anchor }, 'revived'))
        .catch((error: Error) => {
          if (!(error instanceof Busy)) this.#failed(provider, state, error)
        })
    }
  }

  /** Open the streams to a provider, and hear of its chunks until it has told of all. */
  async #open(provider: string, opening: Waiting): Promise<void> {
    const { anchor, connect, ask, signal } = this.#init
    let state: ProviderState = opening
    try {
      const [channel, asking] = await Promise.all([connect(provider), ask(provider), this.#prepare()])
      // The offer must not expire while the list is on its way. What is wrong with it the list will tell.
      asking.request({ type: 'keepAlive', anchor }, 'revived').catch(() => {})
      const { failures } = opening
      const own = {
        list: [],
        manifest: undefined,
        agrees: true,
        busyUntilMs: 0,
        rebuilding: 0,
        window: new Window(),
        rescued: 0,
      }
      const ready: Ready = { status: 'ready', failures, channel, ...own }
      while (ready.manifest === undefined) {
        const from = ready.list.length
        const { chunks, control } = await this.#manifest(provider, from)
        signal.throwIfAborted()
        if (chunks.length === 0 && control === undefined)
          throw new ProvenFault('a list of chunks without an end')
        if (from + chunks.length > MANIFEST_CHUNKS_MAX) throw new ProvenFault('a list of too many chunks')
        if (from === 0 && this.#pool.opened(provider, opening, ready)) state = ready
        if (this.#pool.get(provider) !== ready) return
        for (const info of chunks) ready.list.push(info)
        if (control !== undefined) ready.manifest = makeManifest(control, ready.list)
        this.#listed(ready, from)
        this.#judge(provider, ready)
        this.#pump()
      }
    } catch (error) {
      this.#failed(provider, state, error as Error)
    }
  }

  /** Nothing is asked for before it is known what this replica has itself. */
  async #prepare(): Promise<void> {
    const { basis, coder } = this.#init
    this.#basis ??= await basis
    if (this.#basis !== undefined) this.#rebuilder ??= new Rebuilder(this.#basis, coder)
  }

  /** The provider may have no more chunks yet: it then says Busy, and for how long. */
  async #manifest(provider: string, from: number) {
    const { anchor, ask, clock, random, signal } = this.#init
    for (;;) {
      try {
        const channel = await ask(provider)
        return await channel.request({ type: 'manifest', anchor, from }, 'manifest')
      } catch (error) {
        if (!(error instanceof Busy)) throw error
        await sleep(clock, busyMs(error, random), signal)
        // It may have been dropped meanwhile.
        if (!this.#pool.isLinked(provider)) throw error
      }
    }
  }

  /** Compare what a provider lists from `from` on with what is being fetched, or begin to fetch it. */
  #listed(state: Ready, from: number): void {
    const store = withBasis(this.#basis, this.#init.store, this.#init.clock)
    this.#assembly ??= new Assembly(
      { ...this.#init, store },
      {
        onRecalled: (assembly) => this.#report(assembly),
        onMoved: (assembly) => {
          if (assembly !== this.#assembly) return
          this.#steps++
          this.#pump()
        },
      },
    )
    const { tracker } = this.#assembly
    const known = tracker.length
    state.agrees &&= this.#assembly.list(from, state.list.slice(from))
    this.#steps += tracker.length - known
    if (state.manifest !== undefined) state.agrees &&= tracker.finish(state.manifest)
    if (tracker.length > 0 || tracker.manifest !== undefined) this.#begun.resolve()
  }

  /** A provider that has told of all its chunks is held against the seal; so is what is being fetched. */
  #judge(provider: string, state: Ready): void {
    if (this.#sealed === undefined || state.manifest === undefined) return
    if (!sameBytes(state.manifest.root, this.#sealed)) {
      this.#failed(provider, state, new ProvenFault('its snapshot is not the one that the group sealed'))
    } else if (!state.agrees) {
      this.#beginAnew(state)
    }
  }

  /** What is being fetched is not what the group sealed, and this provider has that. */
  #beginAnew(right: Ready): void {
    this.#assembly?.abandon(new Error('the group sealed another root'))
    this.#assembly = undefined
    this.#used.clear()
    const others = this.#pool.ready().flatMap(([, state]) => (state === right ? [] : [state]))
    for (const state of [right, ...others]) {
      state.agrees = true
      this.#listed(state, 0)
    }
  }

  /** Ask for what is wanted, wherever there is room. */
  #pump(): void {
    const { clock, signal } = this.#init
    if (this.#assembly === undefined || signal.aborted) return
    const assembly = this.#assembly
    const { tracker, built } = assembly
    const { manifest } = tracker
    const isSealed =
      manifest !== undefined && this.#sealed !== undefined && sameBytes(manifest.root, this.#sealed)
    if (isSealed) tracker.trust()
    if (tracker.complete) {
      if (!isSealed) return
      this.#isVerified = true
      this.#verified.resolve()
      built.then((installing) => this.#complete.resolve({ manifest, installing }), this.#complete.reject)
      return
    }
    for (const assignment of schedule(assembly.wanted(), this.#loads(), SCHEDULE_LIMITS)) {
      tracker.asked(assignment.first, assignment.count, assignment.provider, clock.now())
      this.#fetchRange(assembly, assignment)
    }
  }

  /** The chunks that are waited for any longer than others took. */
  #late(): LateChunk[] {
    const { clock } = this.#init
    const sentAtMs = (provider: string) => {
      const state = this.#pool.get(provider)
      return state?.status === 'ready' ? state.window.arrivedAtMs : Number.NEGATIVE_INFINITY
    }
    const late = this.#assembly?.late(clock.now() - this.#latency.lateMs, sentAtMs) ?? []
    return late.filter((one) => !this.#isComing(one))
  }

  /**
   * Ask others for late chunks as well: of each provider that owes some one at first, and twice as many each time others have
   * sent them and it has not. Who is only slow then sends few for nothing.
   */
  #hedge(late: readonly LateChunk[]): void {
    const { clock, signal } = this.#init
    const assembly = this.#assembly
    if (assembly === undefined || signal.aborted) return
    const { tracker } = assembly
    const room = new Map<string, number>()
    const some = late.filter(({ provider }) => {
      const state = this.#pool.get(provider)
      if (state?.status !== 'ready') return false
      const left = room.get(provider) ?? state.rescued + 1 - tracker.doubled(provider)
      room.set(provider, left - 1)
      return left > 0
    })
    for (const assignment of hedge(some, this.#loads())) {
      tracker.askedAgain(assignment.first, assignment.provider, clock.now())
      this.#fetchRange(assembly, assignment)
    }
  }

  /** As long as nothing is measured, a chunk of which bytes come is slow, and asking for it twice would make it slower. */
  #isComing({ provider }: LateChunk): boolean {
    const state = this.#pool.get(provider)
    if (this.#latency.isMeasured || state?.status !== 'ready') return false
    return this.#init.clock.now() - state.channel.heardAtMs < HEDGE_UNMEASURED_MS
  }

  /** The providers that have what is being fetched, and were not told to wait. */
  #loads(): ProviderLoad[] {
    const leader = this.#init.leader()
    return this.#pool.ready().flatMap(([id, state]) => {
      if (!state.agrees || this.#pool.isBusy(state)) return []
      const { failures, channel, list, rebuilding, window } = state
      const inFlight = channel.chunksDue + rebuilding
      return { id, leads: id === leader, failures, inFlight, window: window.chunks, listed: list.length }
    })
  }

  #fetchRange(assembly: Assembly, { provider, first, count }: Assignment): void {
    const state = this.#pool.get(provider)
    if (state?.status !== 'ready') return
    const from: Source = { assembly, provider, state, askedMs: this.#init.clock.now() }
    let whole = first
    for (let index = first; index < first + count; index++) {
      if (this.#rebuilder?.isWorthwhile(provider, assembly.tracker.info(index)) !== true) continue
      if (whole < index) this.#fetchWhole(from, whole, index - whole)
      whole = index + 1
      void this.#rebuild(from, index, this.#rebuilder)
    }
    if (whole < first + count) this.#fetchWhole(from, whole, first + count - whole)
  }

  #fetchWhole(from: Source, first: number, count: number): void {
    const { state } = from
    state.channel
      .fetch({ type: 'chunks', anchor: this.#init.anchor, first, count }, (index, chunk) => {
        this.#bytes += chunk.bytes.length
        state.window.arrived(from.askedMs, this.#init.clock.now())
        state.rescued = 0
        this.#received(from, index, chunk)
      })
      .catch((error: Error) => this.#notSent(from, first, count, error))
  }

  /** Get a chunk by what of it is not here already, or as a whole. */
  async #rebuild(from: Source, index: number, rebuilder: Rebuilder): Promise<void> {
    const { assembly, provider, state } = from
    const { channel } = state
    const { anchor } = this.#init
    state.rebuilding++
    try {
      const onFetched = (bytes: number) => {
        this.#bytes += bytes
      }
      const info = assembly.tracker.info(index)
      const chunk = await rebuilder.rebuild({ anchor, index, info, provider, channel, onFetched })
      // Whoever failed meanwhile owes nothing any more, and of an assembly that was given up nothing is wanted.
      if (assembly !== this.#assembly || this.#pool.get(provider) !== state) return
      if (chunk === undefined) this.#fetchWhole(from, index, 1)
      else this.#received(from, index, { encoding: 'raw', bytes: chunk })
    } catch (error) {
      this.#notSent(from, index, 1, error as Error)
    } finally {
      state.rebuilding--
    }
  }

  #notSent({ assembly, provider, state }: Source, first: number, count: number, error: Error): void {
    const { clock, random } = this.#init
    if (!(error instanceof Busy && state.channel.open)) return this.#failed(provider, state, error)
    // It is there, and goes on with what else it was asked for.
    assembly.tracker.lost(provider, first, count)
    state.busyUntilMs = clock.now() + busyMs(error, random)
    this.#pump()
  }

  #received(from: Source, index: number, chunk: EncodedChunk): void {
    this.#check(from, index, chunk).catch((error) => this.#failed(from.provider, from.state, error))
  }

  async #check(
    { assembly, provider, state, askedMs }: Source,
    index: number,
    chunk: EncodedChunk,
  ): Promise<void> {
    const { store, clock, signal } = this.#init
    const tookMs = clock.now() - askedMs
    // What was asked for another manifest, or by a fetch that is over, is of no use.
    if (assembly !== this.#assembly || signal.aborted) return
    // Room for the next request is there as soon as a chunk arrived; checking it goes on meanwhile.
    const checked = assembly.tracker.received(index, chunk, provider)
    this.#pump()
    if (!(await checked)) return this.#latency.cameTwice()
    this.#rescued(assembly, index)
    store?.keep(assembly.tracker.info(index).hash, chunk)
    if (assembly !== this.#assembly) return
    this.#latency.arrived(tookMs)
    state.failures = Math.max(0, state.failures - 1)
    this.#used.add(provider)
    this.#report(assembly)
    this.#pump()
  }

  /** A chunk is here that another provider still owes: what else it owes may be worth asking for, too. */
  #rescued({ tracker }: Assembly, index: number): void {
    for (const provider of tracker.owing(index)) {
      const state = this.#pool.get(provider)
      if (state?.status !== 'ready') continue
      state.rescued++
      this.#hedge(this.#late())
    }
  }

  /** `state` is what the provider was when this began: what has ended since then cannot fail again. */
  #failed(provider: string, state: ProviderState, error: Error): void {
    const { signal, random, introduce, onFault } = this.#init
    if (error instanceof ProvenFault) onFault(provider, error)
    // Streams are shared with the fetch that follows this one.
    if (signal.aborted || this.#pool.get(provider) !== state) return
    this.#assembly?.tracker.lost(provider)
    const introduced = error instanceof Unauthorized ? introduce(provider) : undefined
    if (introduced !== undefined) {
      const opening = this.#pool.reopen(provider)
      void introduced.then(() => this.#open(provider, opening))
    } else if (error instanceof Busy) {
      this.#pool.busy(provider, busyMs(error, random))
    } else {
      this.#pool.failed(provider, error)
      if (!isNoFault(error)) onFault(provider, error)
    }
    // What is still due on this stream is asked of others: it must not come from here as well.
    if (state.status === 'ready') state.channel.abort(error)
    this.#pump()
  }

  /** One more chunk is verified. */
  #report(assembly: Assembly): void {
    if (assembly !== this.#assembly) return
    this.#steps++
    const { tracker } = assembly
    this.#init.onProgress({
      chunks: tracker.verified,
      chunksTotal: tracker.length,
      bytes: tracker.verifiedBytes,
      bytesTotal: tracker.bytes,
      providers: this.providersUsed,
    })
  }
}

/** An offer may expire, and an honest replica may not have made it. */
function isNoFault(error: Error): boolean {
  return error instanceof Expired || error instanceof UnknownAnchor
}
