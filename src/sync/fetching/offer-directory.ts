import { type Position, samePosition } from '../../position.ts'
import type { OfferView } from '../wire/messages.ts'

/** What is known of a member and one anchor. */
export type OfferStanding =
  /** It says that it offers it. */
  | 'offers'
  /** It has not applied the anchor yet, as far as is known, or has not been heard since the anchor was chosen. */
  | 'may'
  /** It has applied past the anchor, and does not offer it: it never will. */
  | 'will-not'
  /** It could not be reached when it was last asked. */
  | 'cannot'

interface Told {
  readonly offers: readonly OfferView[]
  readonly atMs: number
}

/** What the members of the group said of their offers, and when. It judges who may still offer an anchor. */
export class OfferDirectory {
  readonly #told = new Map<string, Told>()
  /** When a member could not be reached, until it says something. */
  readonly #unreachedAtMs = new Map<string, number>()

  /** A member told of all its offers. */
  told(member: string, offers: readonly OfferView[], nowMs: number): void {
    this.#told.set(member, { offers, atMs: nowMs })
    this.#unreachedAtMs.delete(member)
  }

  /** A member could not be reached. What it said before holds until it runs out: it may be starting again. */
  unreached(member: string, nowMs: number): void {
    this.#unreachedAtMs.set(member, nowMs)
  }

  /** Whether a member could not be reached after `sinceMs`, and has said nothing since. */
  isUnreached(member: string, sinceMs: number): boolean {
    return (this.#unreachedAtMs.get(member) ?? Number.NEGATIVE_INFINITY) >= sinceMs
  }

  /** Whether a member has said since `sinceMs` that it offers nothing at all. */
  offersNothing(member: string, sinceMs: number): boolean {
    const told = this.#told.get(member)
    return told !== undefined && told.atMs >= sinceMs && told.offers.length === 0
  }

  /** The offers of one anchor, by the member that makes each. */
  *of(anchor: Position): Generator<[member: string, offer: OfferView]> {
    for (const [member, { offers }] of this.#told) {
      const offer = offers.find((one) => samePosition(one.anchor, anchor))
      if (offer !== undefined) yield [member, offer]
    }
  }

  /**
   * Where a member stands with an anchor, by what it said after `sinceMs`.
   *
   * @param applied the newest entry that the member is known to have applied
   */
  standing(member: string, applied: number, anchor: Position, sinceMs: number): OfferStanding {
    if (this.isUnreached(member, sinceMs)) return 'cannot'
    const told = this.#told.get(member)
    if (told === undefined || told.atMs < sinceMs) return 'may'
    if (told.offers.some((offer) => samePosition(offer.anchor, anchor))) return 'offers'
    return applied >= anchor.index ? 'will-not' : 'may'
  }

  /**
   * The anchors above a position that are offered and have not run out: those that most members offer first, and of
   * those the newest.
   *
   * @param ignored members whose word does not count
   */
  commonest(above: Position, nowMs: number, ignored: (member: string) => boolean): Position[] {
    const offered = new Map<number, { readonly anchor: Position; members: number }>()
    for (const [member, { offers, atMs }] of this.#told) {
      if (ignored(member)) continue
      for (const { anchor, remainingMs } of offers) {
        const isAbove = anchor.epoch === above.epoch && anchor.index > above.index
        if (!isAbove || atMs + remainingMs <= nowMs) continue
        const known = offered.get(anchor.index)
        if (known === undefined) offered.set(anchor.index, { anchor, members: 1 })
        else known.members++
      }
    }
    return [...offered.values()]
      .sort((a, b) => b.members - a.members || b.anchor.index - a.anchor.index)
      .map(({ anchor }) => anchor)
  }
}
