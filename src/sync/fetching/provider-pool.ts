import type { ChunkInfo, Manifest } from '../../snapshot/manifest.ts'
import type { Clock } from '../../time/clock.ts'
import { PROVIDER_FAILURES_LAST, PROVIDER_FAILURES_MAX, PROVIDER_REST_MS } from '../limits.ts'
import type { Channel } from '../wire/channel.ts'
import { CutFailed, Expired, Incompatible, Malformed, UnknownAnchor } from '../wire/errors.ts'
import { clip } from './faults.ts'
import type { Window } from './window.ts'

/**
 * One provider of an anchor, as a fetch sees it:
 *
 *     reserve -> opening -> ready
 *                 ^  |        |
 *                 |  +--------+---> gone      nothing is to be had from it
 *                 |  |        |
 *                resting <----+               it failed, or said Busy and ended its stream
 */
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
  /** It said Busy, and is there: its offer is kept alive meanwhile. */
  readonly busy: boolean
}

interface Gone {
  readonly status: 'gone'
  readonly failures: number
  readonly reason: Error
}

/** The providers of one anchor: who is asked, who rests and for how long, and who is not asked any more. */
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
    if (!this.#providers.has(provider)) this.#providers.set(provider, { status: 'reserve', failures: 0 })
  }

  /** Begin with a provider that offers the anchor. Undefined when its turn has not come, or is over. */
  open(provider: string): Waiting | undefined {
    const state = this.#providers.get(provider)
    if (state?.status === 'opening' || state?.status === 'ready') return undefined
    if (state?.status === 'gone' && !(state.reason instanceof UnknownAnchor)) return undefined
    if (state?.status === 'resting') {
      if (state.untilMs > this.#clock.now()) return undefined
      // Who failed often gets another chance where nobody else serves.
      if (state.failures >= PROVIDER_FAILURES_MAX && this.linked > 0) return undefined
    }
    return this.reopen(provider)
  }

  reopen(provider: string): Waiting {
    const opening: Waiting = { status: 'opening', failures: this.#providers.get(provider)?.failures ?? 0 }
    this.#providers.set(provider, opening)
    return opening
  }

  /** False when `opening` is not the provider's state any more. */
  opened(provider: string, opening: Waiting, ready: Ready): boolean {
    if (this.#providers.get(provider) !== opening) return false
    this.#providers.set(provider, ready)
    return true
  }

  /** It said Busy and ended its stream. Not yet is no failure. */
  busy(provider: string, restMs: number): void {
    this.#rest(provider, this.#providers.get(provider)?.failures ?? 0, restMs, true)
  }

  /** It failed: it rests, the longer the more often it did, or is gone. */
  failed(provider: string, reason: Error): void {
    const failures = (this.#providers.get(provider)?.failures ?? 0) + 1
    if (isFinal(reason) || failures >= PROVIDER_FAILURES_LAST) {
      this.#providers.set(provider, { status: 'gone', failures, reason })
    } else {
      this.#rest(provider, failures, PROVIDER_REST_MS * failures, false)
    }
  }

  #rest(provider: string, failures: number, restMs: number, busy: boolean): void {
    const untilMs = this.#clock.now() + restMs
    this.#providers.set(provider, { status: 'resting', failures, untilMs, busy })
  }
}

/** Errors after which asking the same provider for the same anchor again is in vain. */
function isFinal(error: Error): boolean {
  return [Expired, CutFailed, UnknownAnchor, Incompatible, Malformed].some((kind) => error instanceof kind)
}
