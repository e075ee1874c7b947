import { AnchorageError } from '../../errors.ts'
import type { RecordedEntry } from './log.ts'
import type { SimulatedNode, Told } from './node.ts'

/** A promise of Anchorage that a run watches. */
export type Promised =
  | 'one anchor, one content'
  | 'alive as long as needed'
  | 'never prune the only copy'
  | 'nothing unverified'
  | 'only members are served'
  | 'always an answer'
  | 'bounded'
  | 'any clock'
  | 'a mistake is told, not obeyed'
  | 'acknowledged writes are there once'
  | 'everyone gets in sync'
  | 'stop leaves nothing'
  | 'one version at a time'

/** A promise was broken in a run. */
export class PromiseBroken extends AnchorageError {
  static override readonly code = 'PROMISE_BROKEN'
  override readonly name = 'PromiseBroken'
  readonly promise: Promised
  constructor(promise: Promised, message: string) {
    super(`${promise}: ${message}`)
    this.promise = promise
  }
}

/**
 * Something that must hold. Each method throws `PromiseBroken` where it does not. There is one object of it
 * for each run.
 */
export interface Invariant {
  /** After each thing that happened, with all that follows from it without a wait. */
  stepped?(): void
  /** An entry is in the log. Called at the append, before anybody reads it. */
  committed?(entry: RecordedEntry): void
  /** A replica told its application of something. */
  told?(node: SimulatedNode, event: Told): void
  /** All trouble has ended, and everybody has had time to get in sync. */
  settled?(): void
  /**
   * For a TTL and four seconds after that nobody has written, come or left, and nothing went wrong. Not
   * called in each run.
   */
  idle?(): void
  /** Every process was stopped. */
  ended?(): void
}
