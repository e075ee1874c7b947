import type { AnchorView, PageView } from '../view.ts'
import { byId, setHidden } from './dom.ts'
import { KeyedList } from './keyed-list.ts'
import { Pager } from './pager.ts'
import type { Panel } from './panel.ts'
import type { PeerMarks } from './peer-marks.ts'
import { VotesRow } from './votes-row.ts'

const PER_PAGE = 8

/** The newest anchors, the newest one first. */
export class AnchorsPanel implements Panel {
  readonly #list: KeyedList<AnchorView>
  readonly #pager = new Pager('anchors-pager', PER_PAGE, () => this.#draw())
  #anchors: readonly AnchorView[] = []

  constructor(marks: PeerMarks) {
    this.#list = new KeyedList(
      byId('anchors'),
      ({ index }) => String(index),
      () => new VotesRow(marks),
    )
  }

  show({ anchors }: PageView): void {
    this.#anchors = anchors.toReversed()
    this.#draw()
  }

  #draw(): void {
    this.#list.show(this.#pager.pageOf(this.#anchors))
    setHidden(byId('no-anchors'), this.#anchors.length > 0)
    setHidden(byId('anchors-table'), this.#anchors.length === 0)
  }
}
