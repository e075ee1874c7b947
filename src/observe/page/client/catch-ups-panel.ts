import type { PageView } from '../view.ts'
import { CatchUpCard } from './catch-up-card.ts'
import { CatchUpMemory, type ShownCatchUp } from './catch-up-memory.ts'
import { byId, setAttribute, setHidden } from './dom.ts'
import { KeyedList } from './keyed-list.ts'
import { Pager } from './pager.ts'
import type { Panel } from './panel.ts'
import type { PeerMarks } from './peer-marks.ts'

const PER_PAGE = 6

export class CatchUpsPanel implements Panel {
  readonly #memory = new CatchUpMemory()
  readonly #list: KeyedList<ShownCatchUp>
  readonly #pager = new Pager('catch-ups-pager', PER_PAGE, () => this.#draw())
  #shown: readonly ShownCatchUp[] = []

  constructor(marks: PeerMarks) {
    this.#list = new KeyedList(
      byId('catch-up-list'),
      // A replica has one catch-up after the other in the same card.
      ({ view }) => view.member,
      () => new CatchUpCard(marks),
    )
  }

  show(view: PageView, nowMs: number): void {
    this.#shown = this.#memory.shown(view, nowMs)
    this.#draw()
  }

  #draw(): void {
    const shown = this.#pager.pageOf(this.#shown)
    setAttribute(byId('catch-up-list'), 'data-count', shown.length > 1 ? 'many' : 'one')
    this.#list.show(shown)
    setHidden(byId('no-catch-ups'), this.#shown.length > 0)
  }
}
