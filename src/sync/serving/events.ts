import type { Position } from '../../position.ts'
import type { WireError } from '../wire/errors.ts'
import type { OfferView } from '../wire/messages.ts'

/** What a provider tells of its work for others. */
export type ServingEvent =
  /** A peer was sent one chunk, or a part of it: it was handed to the stream. */
  | { readonly type: 'served'; readonly peer: string; readonly anchor: Position; readonly bytes: number }
  /** A peer was told an error. */
  | { readonly type: 'refused'; readonly peer: string; readonly error: WireError }
  /** A stream that a peer opened broke: it left in the middle, or did not take an answer in time. */
  | { readonly type: 'broken'; readonly peer: string; readonly error: Error }

/** What a provider tells, and what peers tell it. */
export type ProviderEvent =
  | ServingEvent
  /** A peer pushed an offer. */
  | { readonly type: 'offered'; readonly peer: string; readonly offer: OfferView }
