import { type Clock, sleep } from '../expiry/clock.ts'
import type { Position } from '../position.ts'
import { sameBytes } from '../snapshot/hash.ts'
import { type Manifest, totalBytes } from '../snapshot/manifest.ts'
import type { Channel } from './channel.ts'
import { ChunkBook } from './chunk-book.ts'
import { Busy, Expired, Incompatible, Malformed, Unauthorized, UnknownAnchor } from './errors.ts'
import { PROVIDER_FAILURES_MAX, RANGE_CHUNKS_MAX, WINDOW_CHUNKS } from './limits.ts'
import { schedule } from './scheduler.ts'

export interface FetchInit {
  readonly anchor: Position
  readonly clock: Clock
  /** A stream to a provider; rejects when it cannot be reached. */
  readonly connect: (provider: string) => Promise<Channel>
  readonly leader: () => string | undefined
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
  | { readonly status: 'opening'; readonly failures: number }
  | {
      readonly status: 'ready'
      readonly failures: number
      readonly channel: Channel
      readonly manifest: Manifest
    }
  | { readonly status: 'resting'; readonly failures: number; readonly untilMs: number }
  | { readonly status: 'gone'; readonly failures: number; readonly reason: Error }

const REST_MS = 500

/**
 * Pulls one anchor's chunks from all its providers at once. Fetching begins with the first manifest that arrives;
 * providers whose manifest has another root wait aside until the seal says who is right. Every chunk is checked
 * against the manifest when it arrives, and nothing is complete before the manifest is checked against the seal.
 */
export class Fetch {
  readonly #init: FetchInit
  readonly #links = new Map<string, Link>()
  readonly #used = new Set<string>()
  #book: ChunkBook | undefined
  #sealed: Uint8Array | undefined
  #bytes = 0
  readonly #manifestKnown = Promise.withResolvers<void>()
  readonly #complete = Promise.withResolvers<ChunkBook>()

  constructor(init: FetchInit) {
    this.#init = init
    this.#complete.promise.catch(() => {})
    init.signal.addEventListener('abort', () => this.#complete.reject(init.signal.reason), { once: true })
  }

  /** Resolves once every chunk is verified and the root is the sealed one. */
  get complete(): Promise<ChunkBook> {
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

  /** Resolves with the first manifest. */
  get manifestKnown(): Promise<void> {
    return this.#manifestKnown.promise
  }

  /** Everything arrived and is what some provider's manifest promises; only the seal is missing. */
  get awaitsSeal(): boolean {
    return this.#sealed === undefined && this.#book?.complete === true
  }

  /** Nobody is serving, and nobody is about to. */
  get idle(): boolean {
    return ![...this.#links.values()].some((link) => link.status === 'opening' || link.status === 'ready')
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
    if (this.#book !== undefined && !sameBytes(this.#book.manifest.root, root)) this.#book = undefined
    for (const [provider, link] of this.#links) {
      if (link.status === 'ready') this.#consider(provider, link.manifest)
    }
    this.#pump()
  }

  /** Revive the offers of providers that are held in reserve. */
  keepAlive(): void {
    for (const [provider, link] of this.#links) {
      if (link.status !== 'ready' || (this.#book?.inFlightWith(provider) ?? 0) > 0) continue
      link.channel
        .request({ type: 'keepAlive', anchor: this.#init.anchor }, 'revived')
        .catch((error: Error) => this.#failed(provider, error))
    }
  }

  async #open(provider: string, failures: number): Promise<void> {
    const { connect, signal } = this.#init
    const channel = await connect(provider)
    const manifest = await this.#manifest(channel)
    signal.throwIfAborted()
    this.#links.set(provider, { status: 'ready', failures, channel, manifest })
    this.#consider(provider, manifest)
    this.#pump()
  }

  /** The provider may still be cutting: it then says Busy, and for how long. */
  async #manifest(channel: Channel): Promise<Manifest> {
    const { anchor, clock, signal } = this.#init
    for (;;) {
      try {
        return (await channel.request({ type: 'manifest', anchor }, 'manifest')).manifest
      } catch (error) {
        if (!(error instanceof Busy)) throw error
        await sleep(clock, error.retryMs, signal)
      }
    }
  }

  #consider(provider: string, manifest: Manifest): void {
    if (this.#sealed !== undefined && !sameBytes(manifest.root, this.#sealed)) {
      return this.#drop(provider, new Malformed('its snapshot is not the one that the group sealed'))
    }
    this.#book ??= new ChunkBook(manifest)
    this.#manifestKnown.resolve()
  }

  /** Ask for what is wanted, wherever there is room. */
  #pump(): void {
    const book = this.#book
    if (book === undefined || this.#init.signal.aborted) return
    if (book.complete) {
      if (this.#sealed !== undefined) this.#complete.resolve(book)
      return
    }
    const leader = this.#init.leader()
    const loads = [...this.#links].flatMap(([id, link]) => {
      if (link.status !== 'ready' || !sameBytes(link.manifest.root, book.manifest.root)) return []
      return { id, leads: id === leader, failures: link.failures, inFlight: book.inFlightWith(id) }
    })
    const limits = { windowChunks: WINDOW_CHUNKS, rangeChunks: RANGE_CHUNKS_MAX }
    for (const { provider, first, count } of schedule(book.wanted(), loads, limits)) {
      this.#fetchRange(book, provider, first, count)
    }
  }

  #fetchRange(book: ChunkBook, provider: string, first: number, count: number): void {
    const link = this.#links.get(provider)
    if (link?.status !== 'ready') return
    book.asked(first, count, provider)
    link.channel
      .fetch({ type: 'chunks', anchor: this.#init.anchor, first, count }, (index, bytes) => {
        this.#bytes += bytes.length
        book.received(index, bytes)
        this.#used.add(provider)
        this.#report(book)
      })
      .then(
        () => this.#pump(),
        (error: Error) => this.#failed(provider, error),
      )
  }

  #failed(provider: string, error: Error): void {
    const link = this.#links.get(provider)
    if (link === undefined || link.status === 'gone' || link.status === 'resting') return
    this.#book?.lost(provider)
    const failures = link.failures + 1
    if (isFinal(error) || failures >= PROVIDER_FAILURES_MAX) {
      this.#drop(provider, error)
    } else {
      const restMs = error instanceof Busy ? error.retryMs : REST_MS * failures
      this.#links.set(provider, { status: 'resting', failures, untilMs: this.#init.clock.now() + restMs })
    }
    this.#pump()
  }

  #drop(provider: string, reason: Error): void {
    this.#links.set(provider, { status: 'gone', failures: this.#links.get(provider)?.failures ?? 0, reason })
  }

  #report(book: ChunkBook): void {
    this.#init.onProgress({
      chunks: book.verified,
      chunksTotal: book.manifest.chunks.length,
      bytes: book.verifiedBytes,
      bytesTotal: totalBytes(book.manifest),
      providers: this.providersUsed,
    })
  }
}

/** Errors after which asking the same provider for the same anchor again is in vain. */
function isFinal(error: Error): boolean {
  return [Expired, UnknownAnchor, Unauthorized, Incompatible, Malformed].some((kind) => error instanceof kind)
}
