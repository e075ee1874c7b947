import type { ChunkInfo, Manifest } from '../../../snapshot/manifest.ts'
import type { Clock } from '../../../time/clock.ts'
import type { Channel } from '../../wire/channel.ts'
import { UnknownAnchor } from '../../wire/errors.ts'
import { clip } from '../faults.ts'
import { retryPolicy } from '../retry-policy.ts'
import { checkTransition, type Edges } from '../transitions.ts'
import type { Window } from './window.ts'

/**
 * Failures of one provider after which it is asked only while nobody else serves: others do better by now.
 */
export const PROVIDER_FAILURES_MAX = 3

/**
 * Failures of one provider after which it is not asked for this anchor again: it has rested 14 s in all by
 * then.
 */
export const PROVIDER_FAILURES_LAST = 8

/**
 * How long a provider is left alone for each time it failed: a broken connection is made again within that.
 */
export const PROVIDER_REST_MS = 500

/**
 * One provider of an anchor, as a fetch sees it:
 *
 *     new -> reserve -> opening -> ready
 *      |                 ^  |        |
 *      +-----------------+  |        |
 *                        |  +--------+---> gone      nothing is to be had from it
 *                        |  |        |
 *                       resting <----+               it failed, or said Busy and ended its stream
 *
 *     reserve, resting -> resting, gone     it failed to keep its offer alive, or there is proof against it
 *     opening, ready -> opening             it did not know this replica, and was introduced to it
 *     gone -> opening                       it did not know of the offer yet, and offers it again
 *     gone -> gone                          there is proof against it, too
 */
const EDGES: Edges<ProviderState['status'] | 'new'> = {
  new: ['reserve', 'opening'],
  reserve: ['opening', 'resting', 'gone'],
  opening: ['opening', 'ready', 'resting', 'gone'],
  ready: ['opening', 'resting', 'gone'],
  resting: ['opening', 'resting', 'gone'],
  gone: ['opening', 'gone'],
}

export type ProviderState = Waiting | Ready | Resting | Gone

export interface Waiting {
  /** Offered, and not asked since others suffice; or on its way to be ready. */
  readonly status: 'reserve' | 'opening'
  readonly failures: number
}

export interface Ready {
  readonly status: 'ready'
  /** Each good chunk makes up for one. */
  failures: number
  readonly channel: Channel
  /** The chunks it has told of; it may still be cutting. */
  readonly list: ChunkInfo[]
  /** Once it has told of all. */
  manifest: Manifest | undefined
  /** Its list does not contradict the one that is being fetched. */
  agrees: boolean
  /** It said Busy: nothing is asked of it until then. */
  busyUntilMs: number
  /** Chunks that are being put together with its help. */
  rebuilding: number
  readonly window: Window
  /** Chunks it owes that others have sent instead since it last sent one. */
  rescued: number
}

interface Resting {
  readonly status: 'resting'
  readonly failures: number
  readonly untilMs: number
  /** It said Busy, and is there: its offer is kept alive meanwhile. Otherwise it failed. */
  readonly busy: boolean
}

interface Gone {
  readonly status: 'gone'
  readonly failures: number
  readonly reason: Error
}

/**
 * The providers of one anchor: which are asked, which rest and for how long, and which are not asked any
 * more.
 */
export class ProviderPool {
  readonly #clock: Clock
  readonly #providers = new Map<string, ProviderState>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get(provider: string): ProviderState | undefined {
    return this.#providers.get(provider)
  }

  /** It is asked, or about to be. */
  isLinked(provider: string): boolean {
    const status = this.#providers.get(provider)?.status
    return status === 'opening' || status === 'ready'
  }

  get linked(): number {
    return [...this.#providers.keys()].filter((provider) => this.isLinked(provider)).length
  }

  /** How many are linked and have not said Busy. */
  get serving(): number {
    return this.linked - this.ready().filter(([, state]) => this.isBusy(state)).length
  }

  isBusy(state: Ready): boolean {
    return state.busyUntilMs > this.#clock.now()
  }

  ready(): [provider: string, state: Ready][] {
    return [...this.#providers].flatMap(([provider, state]) =>
      state.status === 'ready' ? [[provider, state]] : [],
    )
  }

  /** Those that are there, and whose offers are to be kept alive. */
  present(): [provider: string, state: ProviderState][] {
    return [...this.#providers].filter(
      ([, state]) => state.status !== 'gone' && (state.status !== 'resting' || state.busy),
    )
  }

  /** Why those that are gone went. */
  get complaints(): string[] {
    return [...this.#providers].flatMap(([provider, state]) =>
      state.status === 'gone' ? [`${provider}: ${clip(state.reason.message)}`] : [],
    )
  }

  reserve(provider: string): void {
    if (!this.#providers.has(provider)) this.#enter(provider, { status: 'reserve', failures: 0 })
  }

  /** Begin with a provider that offers the anchor. Undefined when its turn has not come, or is over. */
  open(provider: string): Waiting | undefined {
    const state = this.#providers.get(provider)
    if (state?.status === 'opening' || state?.status === 'ready') return undefined
    if (state?.status === 'gone' && !(state.reason instanceof UnknownAnchor)) return undefined
    if (state?.status === 'resting') {
      if (state.untilMs > this.#clock.now()) return undefined
      // One that failed often gets another chance where nobody else serves.
      if (state.failures >= PROVIDER_FAILURES_MAX && this.linked > 0) return undefined
    }
    return this.reopen(provider)
  }

  reopen(provider: string): Waiting {
    const opening: Waiting = { status: 'opening', failures: this.#providers.get(provider)?.failures ?? 0 }
    this.#enter(provider, opening)
    return opening
  }

  /** False when `opening` is not the provider's state any more. */
  opened(provider: string, opening: Waiting, ready: Ready): boolean {
    if (this.#providers.get(provider) !== opening) return false
    this.#enter(provider, ready)
    return true
  }

  /** It said Busy and ended its stream. Not yet is no failure. */
  busy(provider: string, restMs: number): void {
    this.#rest(provider, this.#providers.get(provider)?.failures ?? 0, restMs, true)
  }

  /** It failed: it rests, the longer the more often it did, or is gone. */
  failed(provider: string, reason: Error): void {
    const failures = (this.#providers.get(provider)?.failures ?? 0) + 1
    if (!retryPolicy(reason).retry || failures >= PROVIDER_FAILURES_LAST) {
      this.#enter(provider, { status: 'gone', failures, reason })
    } else {
      this.#rest(provider, failures, PROVIDER_REST_MS * failures, false)
    }
  }

  #rest(provider: string, failures: number, restMs: number, busy: boolean): void {
    const untilMs = this.#clock.now() + restMs
    this.#enter(provider, { status: 'resting', failures, untilMs, busy })
  }

  #enter(provider: string, next: ProviderState): void {
    checkTransition('a provider', EDGES, this.#providers.get(provider)?.status ?? 'new', next.status)
    this.#providers.set(provider, next)
  }
}
