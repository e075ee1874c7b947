import type { OfferView, PageView } from '../view.ts'
import { byId, setHidden } from './dom.ts'
import { KeyedList } from './keyed-list.ts'
import { OfferRow, type ShownOffer } from './offer-row.ts'
import { Pager } from './pager.ts'
import type { Panel } from './panel.ts'
import type { PeerMarks } from './peer-marks.ts'

const PER_PAGE = 10

/** The offers of the newest anchor first. */
export class OffersPanel implements Panel {
  readonly #list: KeyedList<ShownOffer, OfferRow>
  readonly #pager = new Pager('offers-pager', PER_PAGE, () => this.#draw())
  #offers: readonly ShownOffer[] = []

  constructor(marks: PeerMarks) {
    this.#list = new KeyedList(
      byId('offers'),
      ({ offer }) => `${offer.anchor} ${offer.member}`,
      () => new OfferRow(marks),
    )
  }

  show({ offers }: PageView, nowMs: number): void {
    this.#offers = offers.toSorted(byAnchor).map((offer) => ({ offer, nowMs }))
    this.#draw()
  }

  tick(nowMs: number): void {
    for (const row of this.#list.rows.values()) row.tick(nowMs)
  }

  #draw(): void {
    this.#list.show(this.#pager.pageOf(this.#offers))
    setHidden(byId('no-offers'), this.#offers.length > 0)
    setHidden(byId('offers-table'), this.#offers.length === 0)
  }
}

function byAnchor(a: OfferView, b: OfferView): number {
  return b.anchor - a.anchor || (a.member < b.member ? -1 : Number(a.member > b.member))
}
