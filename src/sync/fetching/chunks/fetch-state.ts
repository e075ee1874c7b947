import type { Manifest } from '../../../snapshot/manifest.ts'
import type { StateBuilder } from '../../../snapshot/state-builder.ts'
import { checkTransition, type Edges } from '../transitions.ts'
import type { Assembly } from './assembly.ts'

/** What a fetch ends with: the state is built, and its root is the sealed one. */
export interface Fetched {
  readonly manifest: Manifest
  readonly installing: StateBuilder
}

/** What a fetch holds. */
type State =
  /** No provider has told of a chunk. */
  | { readonly status: 'waiting' }
  | { readonly status: 'fetching'; readonly assembly: Assembly }
  /** Every chunk is verified, the root is the sealed one, and the rest is built into the new state. */
  | { readonly status: 'building'; readonly assembly: Assembly; readonly manifest: Manifest }
  | { readonly status: 'complete'; readonly assembly: Assembly }
  | { readonly status: 'over' }

/**
 * The steps of a fetch:
 *
 *     waiting -> fetching -> building -> complete
 *
 *     fetching -> fetching                     the group sealed another root: it begins anew
 *     waiting, fetching, building -> over      the anchor was left, or an item does not fit the machine
 */
const EDGES: Edges<State['status']> = {
  waiting: ['fetching', 'over'],
  fetching: ['fetching', 'building', 'over'],
  building: ['complete', 'over'],
  complete: [],
  over: [],
}

/** Where a fetch stands, and what waits for it to get there. */
export class FetchState {
  #state: State = { status: 'waiting' }
  readonly #begun = Promise.withResolvers<void>()
  readonly #verified = Promise.withResolvers<void>()
  readonly #complete = Promise.withResolvers<Fetched>()

  constructor() {
    this.#complete.promise.catch(() => {})
  }

  get status(): State['status'] {
    return this.#state.status
  }

  /** What is being fetched. Undefined before the first chunk is known, and when the fetch is over. */
  get assembly(): Assembly | undefined {
    return 'assembly' in this.#state ? this.#state.assembly : undefined
  }

  /** Every chunk is verified, and the root is the sealed one. */
  get isVerified(): boolean {
    return this.#state.status === 'building' || this.#state.status === 'complete'
  }

  /** Resolves when the first chunk can be asked for. */
  get begun(): Promise<void> {
    return this.#begun.promise
  }

  /** Resolves once every chunk is verified and the root is the sealed one. */
  get verified(): Promise<void> {
    return this.#verified.promise
  }

  /** Resolves once the new state is built, too. Rejects with why the fetch is over before that. */
  get complete(): Promise<Fetched> {
    return this.#complete.promise
  }

  /** Fetch these chunks, and none of what was fetched before. */
  fetch(assembly: Assembly): void {
    this.assembly?.abandon(new Error('the group sealed another root'))
    this.#enter({ status: 'fetching', assembly })
  }

  /** A chunk can be asked for, or it is known that there is none. */
  begin(): void {
    this.#begun.resolve()
  }

  /** Nothing is missing: what is left is to build the state. */
  build(assembly: Assembly, manifest: Manifest): void {
    this.#enter({ status: 'building', assembly, manifest })
    this.#verified.resolve()
    assembly.built.then(
      (installing) => this.#built(installing),
      (error) => this.end(error),
    )
  }

  /** It will not be complete. Does nothing when it is, or was over before. */
  end(reason: Error): void {
    if (this.#state.status === 'complete' || this.#state.status === 'over') return
    this.#enter({ status: 'over' })
    this.#complete.reject(reason)
  }

  #built(installing: StateBuilder): void {
    // The anchor may have been left meanwhile.
    if (this.#state.status !== 'building') return
    const { assembly, manifest } = this.#state
    this.#enter({ status: 'complete', assembly })
    this.#complete.resolve({ manifest, installing })
  }

  #enter(next: State): void {
    checkTransition('a fetch', EDGES, this.#state.status, next.status)
    this.#state = next
  }
}
