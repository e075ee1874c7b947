import type { AvailableEvent } from '../snapshot/available.ts'
import type { SessionEvent } from './fetching/index.ts'
import type { ServingEvent } from './serving/index.ts'
import type { OfferView } from './wire/index.ts'

/** Something that happened in snapshot sync. */
export type SyncEvent =
  /** A snapshot became available, was cut, was revived by a fetch, was released, or is out of memory. */
  | AvailableEvent
  /** A peer was sent a chunk or an error, or broke its stream. */
  | ServingEvent
  /** A peer pushed an offer that no session waits for. */
  | { readonly type: 'ignored'; readonly peer: string; readonly offer: OfferView }
  /** The session moved on, lost its anchor, or was failed by a peer. */
  | SessionEvent
  /**
   * The leader named no anchor, for a reason that passes, or there is no leader. It is asked again after
   * `retryMs`.
   */
  | { readonly type: 'asked-again'; readonly error: Error; readonly retryMs: number }
