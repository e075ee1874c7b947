import type { Position } from '../../position.ts'
import type { WireError } from '../wire/errors.ts'
import type { OfferView } from '../wire/messages.ts'

/** What a peer asked for. Undefined: it asked outside a catch-up, or has a version that does not tell. */
interface OfCatchUp {
  readonly catchUp?: string | undefined
}

/** What a provider tells of its work for others. `catchUp` is the peer's own name of the catch-up it asked for. */
export type ServingEvent =
  /** A peer asked this replica, leading, for a snapshot, and was named an anchor. */
  | ({ readonly type: 'named'; readonly peer: string; readonly anchor: Position } & OfCatchUp)
  /** A peer was sent one chunk, or a part of it: it was handed to the stream. */
  | ({
      readonly type: 'served'
      readonly peer: string
      readonly anchor: Position
      readonly bytes: number
    } & OfCatchUp)
  /** A peer was told an error. */
  | ({ readonly type: 'refused'; readonly peer: string; readonly error: WireError } & OfCatchUp)
  /** A stream that a peer opened broke: it left in the middle, or did not take an answer in time. */
  | { readonly type: 'broken'; readonly peer: string; readonly error: Error }

/** What a provider tells, and what peers tell it. */
export type ProviderEvent =
  | ServingEvent
  /** A peer pushed an offer. */
  | { readonly type: 'offered'; readonly peer: string; readonly offer: OfferView }
