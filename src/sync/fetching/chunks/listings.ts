import { sameBytes } from '../../../bytes.ts'
import type { Position } from '../../../position.ts'
import { MANIFEST_CHUNKS_MAX, type Manifest, makeManifest } from '../../../snapshot/manifest.ts'
import { asError } from '../../../thrown.ts'
import { sleep } from '../../../time/clock.ts'
import { Busy } from '../../wire/errors.ts'
import type { Peers } from '../../wire/peers.ts'
import { ProvenFault } from '../../wire/proven-fault.ts'
import { busyMs } from '../retry.ts'
import { Assembly, type AssemblyEvents, type AssemblyInit } from './assembly.ts'
import type { FetchState } from './fetch-state.ts'
import type { OwnChunks } from './own-chunks.ts'
import type { ProviderPool, ProviderState, Ready, Waiting } from './provider-pool.ts'
import { Window } from './window.ts'

export interface ListingsInit extends AssemblyInit {
  readonly anchor: Position
  readonly peers: Pick<Peers, 'channel'>
  /** A number from 0 up to 1. */
  readonly random: () => number
  readonly own: OwnChunks
  readonly pool: ProviderPool
  readonly state: FetchState
  readonly events: ListingsEvents & AssemblyEvents
}

/** What is told of the lists of providers. */
export interface ListingsEvents {
  /** A provider told of more chunks. `added` of them nobody had told of before. */
  listed(added: number): void
  /** A provider failed while it was `state`, or there is proof against it. */
  failed(provider: string, state: ProviderState, error: Error): void
}

/**
 * The lists of chunks that providers have. Fetching begins with the first chunk that a provider tells of,
 * while others may still be cutting. A provider whose list contradicts that one's waits aside until the seal
 * says who is right. A whole list is held against the seal: a provider of another root is dropped.
 */
export class Listings {
  readonly #init: ListingsInit
  /** The root that the group agreed on, once that is known. */
  #sealed: Uint8Array | undefined

  constructor(init: ListingsInit) {
    this.#init = init
  }

  get isSealed(): boolean {
    return this.#sealed !== undefined
  }

  /** Whether this list is the one that the group sealed. */
  isSealedList(manifest: Manifest): boolean {
    return this.#sealed !== undefined && sameBytes(manifest.root, this.#sealed)
  }

  /**
   * Only the seal can help: every chunk of the list that is fetched is here, or the providers of the others
   * have left, and those that remain hold something else.
   */
  get awaitsSeal(): boolean {
    const { pool, state } = this.#init
    if (this.isSealed || state.assembly === undefined) return false
    return state.assembly.tracker.complete || !pool.ready().some(([, provider]) => provider.agrees)
  }

  /**
   * The seal is due: only it can help, or a provider has told of all its chunks, so that the others will have
   * soon.
   */
  get sealDue(): boolean {
    if (this.isSealed) return false
    return this.awaitsSeal || this.#init.pool.ready().some(([, { manifest }]) => manifest !== undefined)
  }

  /**
   * How many providers have told of chunks, of all of them once the root is sealed, and have not said Busy.
   */
  get delivering(): number {
    const { pool } = this.#init
    return pool.ready().filter(([, state]) => {
      const tells = this.isSealed ? state.manifest !== undefined : state.list.length > 0
      return tells && state.agrees && !pool.isBusy(state)
    }).length
  }

  /** The group agreed on this root: what came from others is dropped. */
  seal(root: Uint8Array): void {
    this.#sealed = root
    for (const [provider, state] of this.#init.pool.ready()) this.#judge(provider, state)
  }

  /** Open the streams to a provider, and hear of its chunks until it has told of all. */
  async open(provider: string, opening: Waiting): Promise<void> {
    const { anchor, peers, own, pool, events } = this.#init
    let state: ProviderState = opening
    try {
      const channels = [peers.channel(provider, 'fetch'), peers.channel(provider, 'ask')] as const
      // Nothing is asked for before it is known what this replica has itself.
      const [channel, asking] = await Promise.all([...channels, own.known()])
      // The offer must not expire while the list is on its way. What is wrong with it the list will tell.
      asking.request({ type: 'keepAlive', anchor }, 'revived').catch(() => {})
      const ready = makeReady(opening, channel)
      while (ready.manifest === undefined) {
        const from = ready.list.length
        const page = await this.#page(provider, from)
        // It may have ended just now: nothing more is begun to be built then.
        if (this.#init.state.status === 'over') return
        if (from === 0 && pool.opened(provider, opening, ready)) state = ready
        if (pool.get(provider) !== ready) return
        for (const info of page.chunks) ready.list.push(info)
        if (page.control !== undefined) ready.manifest = makeManifest(page.control, ready.list)
        const added = this.#compare(ready, from)
        this.#judge(provider, ready)
        events.listed(added)
      }
    } catch (error) {
      events.failed(provider, state, asError(error))
    }
  }

  /** The next chunks of a provider's list. */
  async #page(provider: string, from: number) {
    const { signal } = this.#init
    const { chunks, control } = await this.#askForPage(provider, from)
    signal.throwIfAborted()
    if (chunks.length === 0 && control === undefined) throw new ProvenFault('a list of chunks without an end')
    if (from + chunks.length > MANIFEST_CHUNKS_MAX) throw new ProvenFault('a list of too many chunks')
    return { chunks, control }
  }

  /** The provider may have no more chunks yet: it then says Busy, and for how long. */
  async #askForPage(provider: string, from: number) {
    const { anchor, peers, pool, clock, random, signal } = this.#init
    for (;;) {
      try {
        const channel = await peers.channel(provider, 'ask')
        return await channel.request({ type: 'manifest', anchor, from }, 'manifest')
      } catch (error) {
        if (!(error instanceof Busy)) throw error
        await sleep(clock, busyMs(error, random), signal)
        // It may have been dropped meanwhile.
        if (!pool.isLinked(provider)) throw error
      }
    }
  }

  /**
   * Compare what a provider lists from `from` on with what is being fetched, or begin to fetch it. Returns
   * how many of these chunks nobody had told of before.
   */
  #compare(provider: Ready, from: number): number {
    const { state } = this.#init
    if (state.assembly === undefined) state.fetch(this.#assemble())
    const assembly = state.assembly!
    const { tracker } = assembly
    const known = tracker.length
    provider.agrees &&= assembly.list(from, provider.list.slice(from))
    const added = tracker.length - known
    if (provider.manifest !== undefined) provider.agrees &&= tracker.finish(provider.manifest)
    if (tracker.length > 0 || tracker.manifest !== undefined) state.begin()
    return added
  }

  /** A provider that has told of all its chunks is held against the seal; so is what is being fetched. */
  #judge(provider: string, state: Ready): void {
    if (state.manifest === undefined || !this.isSealed) return
    if (!this.isSealedList(state.manifest)) {
      const proof = new ProvenFault('its snapshot is not the one that the group sealed')
      this.#init.events.failed(provider, state, proof)
    } else if (!state.agrees && !this.#init.state.isVerified) {
      this.#beginAnew(state)
    }
  }

  /** What is being fetched is not what the group sealed, and this provider has that. */
  #beginAnew(right: Ready): void {
    const { pool, state, events } = this.#init
    state.fetch(this.#assemble())
    const others = pool.ready().flatMap(([, provider]) => (provider === right ? [] : [provider]))
    let added = 0
    for (const provider of [right, ...others]) {
      provider.agrees = true
      added += this.#compare(provider, 0)
    }
    events.listed(added)
  }

  #assemble(): Assembly {
    const { own, events } = this.#init
    return new Assembly({ ...this.#init, store: own.store }, events)
  }
}

function makeReady({ failures }: Waiting, channel: Ready['channel']): Ready {
  return {
    status: 'ready',
    failures,
    channel,
    list: [],
    manifest: undefined,
    agrees: true,
    busyUntilMs: 0,
    rebuilding: 0,
    window: new Window(),
    rescued: 0,
  }
}
