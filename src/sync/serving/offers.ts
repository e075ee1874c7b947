import { formatPosition, type Position } from '../../position.ts'
import type { AvailableSnapshots, Released } from '../../snapshot/available.ts'
import { OFFERS_MAX } from '../limits.ts'
import { CutFailed, Expired, type WireError } from '../wire/errors.ts'
import type { OfferView } from '../wire/messages.ts'

/** What this replica offers, as peers are told: the newest, oldest anchor first. */
export function offersOf(available: AvailableSnapshots): OfferView[] {
  return available
    .list()
    .slice(-OFFERS_MAX)
    .map(({ anchor, remainingMs, ready }) => ({ anchor, remainingMs, ready }))
}

/** Why an anchor that was offered here is not any more. */
export function gone(anchor: Position, { released, why }: Released): WireError {
  if (released === 'failed') return CutFailed.at(anchor, why ?? 'no reason was given')
  const end = released === 'expired' ? 'lapsed' : 'was withdrawn'
  return new Expired(`the offer of ${formatPosition(anchor)} ${end}${why === undefined ? '' : `: ${why}`}`)
}
