import type { AvailableEvent } from '../snapshot/available.ts'
import type { AnchorGone } from './errors.ts'
import type { SessionState } from './fetching/index.ts'
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
  /** The session moved on. */
  | { readonly type: 'session'; readonly state: SessionState }
  /** A peer failed the session, or sent what no honest replica sends; the session asks others. */
  | { readonly type: 'fault'; readonly peer: string; readonly error: Error }
  /**
   * The leader named no anchor, for a reason that passes, or there is no leader. It is asked again after
   * `retryMs`.
   */
  | { readonly type: 'asked-again'; readonly error: Error; readonly retryMs: number }
  /** The session's anchor is gone; it goes on with another. */
  | { readonly type: 'anchor-lost'; readonly error: AnchorGone }
