import { type Clock, sleep } from '../expiry/clock.ts'
import type { Position } from '../position.ts'
import type { ChunkCoder, EncodedChunk } from '../snapshot/encoding.ts'
import { sameBytes } from '../snapshot/hash.ts'
import { type ChunkInfo, type Manifest, makeManifest } from '../snapshot/manifest.ts'
import type { Channel } from './channel.ts'
import { ChunkBook } from './chunk-book.ts'
import type { ChunkStore } from './chunk-store.ts'
import { Busy, Expired, Incompatible, Malformed, UnknownAnchor } from './errors.ts'
import type { Installing } from './host.ts'
import { PROVIDER_FAILURES_MAX, RANGE_CHUNKS_MAX, WINDOW_CHUNKS } from './limits.ts'
import { type ProviderLoad, schedule } from './scheduler.ts'

export interface FetchInit {
  readonly anchor: Position
  readonly clock: Clock
  /** A stream to a provider for chunks; rejects when it cannot be reached. */
  readonly connect: (provider: string) => Promise<Channel>
  /** Another, for questions: they do not queue behind chunks. */
  readonly ask: (provider: string) => Promise<Channel>
  readonly leader: () => string | undefined
  readonly coder: ChunkCoder
  /** Chunks that an earlier fetch has verified. */
  readonly store?: ChunkStore | undefined
  /** Begin to build the new state: it takes the chunks in order while others still arrive. */
  readonly beginInstall: (signal: AbortSignal) => Installing
  readonly signal: AbortSignal
  readonly onProgress: (progress: FetchProgress) => void
}

export interface FetchProgress {
  readonly chunks: number
  readonly chunksTotal: number
  readonly bytes: number
  readonly bytesTotal: number
  readonly providers: readonly string[]
}

/** One provider of this anchor, as this fetch sees it. */
type Link =
  /** Offered, and not asked: others suffice. */
  | { readonly status: 'reserve'; readonly failures: number }
  | { readonly status: 'opening'; readonly failures: number }
  | Ready
  | { readonly status: 'resting'; readonly failures: number; readonly untilMs: number }
  | { readonly status: 'gone'; readonly failures: number; readonly reason: Error }

/** What a fetch ends with: the state is built, and its root is the sealed one. */
export interface Fetched {
  readonly manifest: Manifest
  readonly installing: Installing
}

/** One manifest's chunks on their way into a new state. */
interface Attempt {
  readonly book: ChunkBook
  readonly abandon: AbortController
  /** Chunks that the store has, and that were not read yet. */
  readonly stored: Set<number>
  /** Resolves once every chunk is in it; rejects when an item does not fit the machine. */
  readonly built: Promise<Installing>
}

interface Ready {
  readonly status: 'ready'
  readonly failures: number
  readonly channel: Channel
  /** The chunks it has told of; it may still be cutting. */
  readonly list: ChunkInfo[]
  /** Once it has told of all. */
  manifest: Manifest | undefined
  /** Its list does not contradict the one that is being fetched. */
  agrees: boolean
}

const REST_MS = 500
/** In the book, the store is one more provider. */
const STORE = 'store'
/** Chunks read from it at once. */
const RECALL_CHUNKS = 16

/**
 * Pulls one anchor's chunks from all its providers at once. Fetching begins with the first chunk that a provider tells
 * of, while others may still be cutting; providers whose list contradicts that one's wait aside until the seal says
 * who is right. Every chunk is checked against the list when it arrives, and nothing is complete before the whole
 * list is checked against the seal.
 */
export class Fetch {
  readonly #init: FetchInit
  readonly #links = new Map<string, Link>()
  readonly #used = new Set<string>()
  #attempt: Attempt | undefined
  #sealed: Uint8Array | undefined
  #bytes = 0
  readonly #begun = Promise.withResolvers<void>()
  readonly #verified = Promise.withResolvers<void>()
  readonly #complete = Promise.withResolvers<Fetched>()

  constructor(init: FetchInit) {
    this.#init = init
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

  /**
   * Only the seal can help: every chunk of the first manifest is here, or whoever had the others has left, and
   * the providers that remain hold something else.
   */
  get awaitsSeal(): boolean {
    if (this.#sealed !== undefined || this.#attempt === undefined) return false
    const { book } = this.#attempt
    return book.complete || this.#loads(book).length === 0
  }

  /** Nobody is serving, and nobody is about to. */
  get idle(): boolean {
    return this.linked === 0
  }

  /** Why the providers that left did so. */
  get complaints(): string[] {
    return [...this.#links].flatMap(([id, link]) =>
      link.status === 'gone' ? [`${id}: ${link.reason.message}`] : [],
    )
  }

  isLinked(provider: string): boolean {
    const status = this.#links.get(provider)?.status
    return status === 'opening' || status === 'ready'
  }

  /** How many providers are asked, or about to be. */
  get linked(): number {
    return [...this.#links.keys()].filter((provider) => this.isLinked(provider)).length
  }

  /** A provider offers this anchor, and is to be left in peace while others suffice. Its offer is kept alive. */
  reserve(provider: string): void {
    if (!this.#links.has(provider)) this.#links.set(provider, { status: 'reserve', failures: 0 })
  }

  /** A provider offers this anchor. One that was known and failed gets another chance after a rest. */
  offeredBy(provider: string): void {
    const link = this.#links.get(provider)
    if (link?.status === 'opening' || link?.status === 'ready') return
    if (link?.status === 'gone' && !(link.reason instanceof UnknownAnchor)) return
    if (link?.status === 'resting' && link.untilMs > this.#init.clock.now()) return
    const failures = link?.failures ?? 0
    this.#links.set(provider, { status: 'opening', failures })
    this.#open(provider, failures).catch((error: Error) => this.#failed(provider, error))
  }

  /** The group agreed on this root: what came from others is dropped. */
  sealed(root: Uint8Array): void {
    this.#sealed = root
    for (const [provider, link] of this.#links) if (link.status === 'ready') this.#judge(provider, link)
    this.#pump()
  }

  /** Revive the offers of providers that nothing is asked of just now. */
  keepAlive(): void {
    const { anchor, connect } = this.#init
    for (const [provider, link] of this.#links) {
      if (link.status !== 'ready' && link.status !== 'reserve') continue
      if ((this.#attempt?.book.inFlightWith(provider) ?? 0) > 0) continue
      const channel = link.status === 'ready' ? Promise.resolve(link.channel) : connect(provider)
      channel
        .then((open) => open.request({ type: 'keepAlive', anchor }, 'revived'))
        .catch((error: Error) => this.#failed(provider, error))
    }
  }

  /** Open the streams to a provider, and hear of its chunks until it has told of all. */
  async #open(provider: string, failures: number): Promise<void> {
    const { connect, ask, signal } = this.#init
    const [channel, questions] = await Promise.all([connect(provider), ask(provider)])
    const link: Ready = { status: 'ready', failures, channel, list: [], manifest: undefined, agrees: true }
    while (link.manifest === undefined) {
      const from = link.list.length
      const { chunks, control } = await this.#manifest(questions, from)
      signal.throwIfAborted()
      if (chunks.length === 0 && control === undefined) throw new Malformed('a list of chunks without an end')
      if (from === 0 && this.#links.get(provider)?.status === 'opening') this.#links.set(provider, link)
      if (this.#links.get(provider) !== link) return
      for (const info of chunks) link.list.push(info)
      if (control !== undefined) link.manifest = makeManifest(control, link.list)
      this.#listed(link, from)
      this.#judge(provider, link)
      this.#pump()
    }
  }

  /** The provider may have no more chunks yet: it then says Busy, and for how long. */
  async #manifest(channel: Channel, from: number) {
    const { anchor, clock, signal } = this.#init
    for (;;) {
      try {
        return await channel.request({ type: 'manifest', anchor, from }, 'manifest')
      } catch (error) {
        if (!(error instanceof Busy)) throw error
        await sleep(clock, error.retryMs, signal)
      }
    }
  }

  /** Compare what a provider lists from `from` on with what is being fetched, or begin to fetch it. */
  #listed(link: Ready, from: number): void {
    this.#attempt ??= this.#begin()
    const { book, stored } = this.#attempt
    const known = book.length
    link.agrees &&= book.list(from, link.list.slice(from))
    for (let index = known; index < book.length; index++) {
      if (this.#init.store?.has(book.info(index).hash)) stored.add(index)
    }
    this.#recall(this.#attempt)
    if (link.manifest !== undefined) link.agrees &&= book.finish(link.manifest)
    if (book.length > 0 || book.manifest !== undefined) this.#begun.resolve()
  }

  /** A provider that has told of all its chunks is held against the seal; so is what is being fetched. */
  #judge(provider: string, link: Ready): void {
    if (this.#sealed === undefined || link.manifest === undefined) return
    if (!sameBytes(link.manifest.root, this.#sealed)) {
      this.#failed(provider, new Malformed('its snapshot is not the one that the group sealed'))
    } else if (!link.agrees) {
      this.#beginAnew(link)
    }
  }

  /** What is being fetched is not what the group sealed, and this provider has that. */
  #beginAnew(right: Ready): void {
    this.#attempt?.abandon.abort(new Error('the group sealed another root'))
    this.#attempt = undefined
    this.#used.clear()
    const others = [...this.#links.values()].filter((link) => link.status === 'ready' && link !== right)
    for (const link of [right, ...(others as Ready[])]) {
      link.agrees = true
      this.#listed(link, 0)
    }
  }

  #begin(): Attempt {
    const { coder, beginInstall, signal } = this.#init
    const book = new ChunkBook(coder)
    const abandon = new AbortController()
    const built = build(book, () => beginInstall(AbortSignal.any([signal, abandon.signal])))
    // A failure counts once this root is sealed: before that it may be one provider's nonsense.
    built.catch(() => {})
    return { book, abandon, built, stored: new Set() }
  }

  /** Ask for what is wanted, wherever there is room. */
  #pump(): void {
    if (this.#attempt === undefined || this.#init.signal.aborted) return
    const { book, built, stored } = this.#attempt
    const { manifest } = book
    if (book.complete && manifest !== undefined) {
      if (this.#sealed === undefined || !sameBytes(manifest.root, this.#sealed)) return
      this.#verified.resolve()
      built.then((installing) => this.#complete.resolve({ manifest, installing }), this.#complete.reject)
      return
    }
    const wanted = book.wanted().filter((index) => !stored.has(index))
    // A provider that is still cutting would let the request, and all behind it, wait.
    const has = ({ id }: ProviderLoad) => {
      const link = this.#links.get(id)
      return link?.status === 'ready' && link.list.length > (wanted[0] ?? 0)
    }
    const loads = this.#loads(book).filter(has)
    const limits = { windowChunks: WINDOW_CHUNKS, rangeChunks: RANGE_CHUNKS_MAX }
    for (const { provider, first, count } of schedule(wanted, loads, limits)) {
      this.#fetchRange(book, provider, first, count)
    }
  }

  /** The providers that have what this book is about. */
  #loads(book: ChunkBook): ProviderLoad[] {
    const leader = this.#init.leader()
    return [...this.#links].flatMap(([id, link]) => {
      if (link.status !== 'ready' || !link.agrees) return []
      return { id, leads: id === leader, failures: link.failures, inFlight: book.inFlightWith(id) }
    })
  }

  /** What an earlier fetch left in the store is taken from there, a few chunks at a time. */
  #recall({ book, stored }: Attempt): void {
    const { store, signal } = this.#init
    if (store === undefined || signal.aborted) return
    for (const index of stored) {
      if (book.inFlightWith(STORE) >= RECALL_CHUNKS) return
      stored.delete(index)
      const { hash } = book.info(index)
      book.asked(index, 1, STORE)
      store
        .read(hash)
        .then((chunk) => book.received(index, chunk, STORE))
        .then(() => this.#verifiedOne(book))
        .catch(() => {
          // It is fetched like the others then.
          store.forget(hash)
          book.lost(STORE, index)
        })
        .finally(() => {
          if (this.#attempt?.book === book) this.#recall(this.#attempt)
          this.#pump()
        })
    }
  }

  #verifiedOne(book: ChunkBook): void {
    if (book === this.#attempt?.book) this.#report(book)
  }

  #fetchRange(book: ChunkBook, provider: string, first: number, count: number): void {
    const link = this.#links.get(provider)
    if (link?.status !== 'ready') return
    book.asked(first, count, provider)
    const onFailed = (error: Error) => this.#failed(provider, error)
    link.channel
      .fetch({ type: 'chunks', anchor: this.#init.anchor, first, count }, (index, chunk) => {
        this.#bytes += chunk.bytes.length
        this.#received(book, provider, index, chunk).catch(onFailed)
      })
      .catch(onFailed)
  }

  async #received(book: ChunkBook, provider: string, index: number, chunk: EncodedChunk): Promise<void> {
    // Room for the next request is there as soon as a chunk arrived; checking it goes on meanwhile.
    const checked = book.received(index, chunk, provider)
    this.#pump()
    await checked
    this.#init.store?.keep(book.info(index).hash, chunk)
    if (book !== this.#attempt?.book) return
    this.#used.add(provider)
    this.#report(book)
    this.#pump()
  }

  #failed(provider: string, error: Error): void {
    // Streams are shared with the fetch that follows this one.
    if (this.#init.signal.aborted) return
    const link = this.#links.get(provider)
    if (link === undefined || link.status === 'gone' || link.status === 'resting') return
    this.#attempt?.book.lost(provider)
    // What is still due on this stream is asked of others: it must not come from here as well.
    if (link.status === 'ready') link.channel.abort(error)
    // Not yet is no failure.
    const failures = link.failures + (error instanceof Busy ? 0 : 1)
    if (isFinal(error) || failures >= PROVIDER_FAILURES_MAX) {
      this.#links.set(provider, { status: 'gone', failures, reason: error })
    } else {
      const restMs = error instanceof Busy ? error.retryMs : REST_MS * failures
      this.#links.set(provider, { status: 'resting', failures, untilMs: this.#init.clock.now() + restMs })
    }
    this.#pump()
  }

  #report(book: ChunkBook): void {
    this.#init.onProgress({
      chunks: book.verified,
      chunksTotal: book.length,
      bytes: book.verifiedBytes,
      bytesTotal: book.bytes,
      providers: this.providersUsed,
    })
  }
}

/** Build the state from each chunk as soon as all before it are there, while others still arrive. */
async function build(book: ChunkBook, begin: () => Installing): Promise<Installing> {
  const installing = begin()
  for await (const { bytes, items } of book.inOrder()) await installing.add(bytes, items)
  return installing
}

/** Errors after which asking the same provider for the same anchor again is in vain. */
function isFinal(error: Error): boolean {
  return [Expired, UnknownAnchor, Incompatible, Malformed].some((kind) => error instanceof kind)
}
