import type { CatchUpView } from '../view.ts'
import { Badge } from './badge.ts'
import type { ShownCatchUp } from './catch-up-memory.ts'
import { chunksText, PHASES, percent } from './catch-up-text.ts'
import { filled } from './chunk-cells.ts'
import { ChunkGrid } from './chunk-grid.ts'
import { html, setAttribute, setHidden, setText } from './dom.ts'
import { count, duration, plain, size } from './format.ts'
import type { Row } from './keyed-list.ts'
import { KeyedList } from './keyed-list.ts'
import type { PeerMarks } from './peer-marks.ts'
import { ProviderRow, type ShownProvider } from './provider-row.ts'

/** One catch-up: its phases, its chunks, and who sends them. */
export class CatchUpCard implements Row<ShownCatchUp> {
  readonly element: HTMLElement
  readonly #marks: PeerMarks
  readonly #badge: Badge
  readonly #what = html('span')
  readonly #percent = html('p', 'percent')
  readonly #numbers = html('p', 'numbers')
  readonly #time = html('p', 'time')
  readonly #phases = PHASES.map(({ name }) => html('li', '', {}, name))
  readonly #grid = new ChunkGrid()
  readonly #providers = html('ul', 'providers', { 'aria-label': 'Providers' })
  readonly #hedged = html('p', 'hint', {}, '◥ was asked of two providers, because the first was late')
  readonly #rows: KeyedList<ShownProvider>

  constructor(marks: PeerMarks) {
    this.#marks = marks
    this.#badge = new Badge(marks)
    this.#rows = new KeyedList(
      this.#providers,
      ({ peer }) => peer,
      () => new ProviderRow(marks),
    )
    const figures = html('div', 'figures', {}, this.#percent, html('div', '', {}, this.#numbers, this.#time))
    this.element = html(
      'article',
      'catch-up',
      {},
      html('h3', '', {}, this.#badge.element, ' ', this.#what),
      html('ol', 'phases', { 'aria-label': 'Phases' }, ...this.#phases),
      figures,
      this.#grid.element,
      this.#providers,
      this.#hedged,
    )
  }

  update({ view, state }: ShownCatchUp): void {
    const { member, anchor, elapsedMs, id } = view
    setAttribute(this.element, 'data-state', state)
    setAttribute(this.element, 'data-id', plain(id))
    this.#badge.show(member)
    const at = anchor === 0 ? '' : `, anchor ${count(anchor)}`
    const done = state === 'done'
    setText(
      this.#what,
      `${done ? 'caught up' : state === 'ended' ? 'stopped catching up' : 'is catching up'}${at}`,
    )
    this.#showPhases(view, done)
    const all = done ? { ...view, chunks: view.chunksTotal, bytes: view.bytesTotal } : view
    setText(this.#percent, `${done ? 100 : percent(view)} %`)
    setText(
      this.#numbers,
      `${count(all.chunks)} of ${count(view.chunksTotal)} chunks, ${size(all.bytes)} of ${size(view.bytesTotal)}`,
    )
    setText(this.#time, timeText(view, state))
    setHidden(this.#numbers, view.chunksTotal === 0)
    const marks = view.providers.map(({ peer }) => this.#marks.of(peer))
    this.#grid.show(done ? filled(view.cells) : view.cells, marks, chunksText(all, this.#marks))
    setHidden(this.#grid.element, view.cells === '')
    this.#showProviders(view, state === 'running')
    setHidden(this.#hedged, !this.#grid.hasHedged)
    setAttribute(this.element, 'data-elapsed', String(Math.round(elapsedMs)))
  }

  #showPhases({ phase }: CatchUpView, done: boolean): void {
    const now = done ? PHASES.length : PHASES.findIndex((it) => it.phase === phase)
    this.#phases.forEach((item, at) => {
      setAttribute(item, 'class', at < now ? 'past' : at === now ? 'now' : '')
      if (at === now) setAttribute(item, 'aria-current', 'step')
      else item.removeAttribute('aria-current')
    })
  }

  #showProviders({ providers, chunksTotal }: CatchUpView, running: boolean): void {
    this.#rows.show(providers.map((provider) => ({ ...provider, of: chunksTotal, running })))
    setHidden(this.#providers, providers.length === 0)
  }
}

function timeText(
  { elapsedMs, leftMs, phase, providers }: CatchUpView,
  state: ShownCatchUp['state'],
): string {
  const took = duration(elapsedMs)
  if (state === 'done') return `in sync after about ${took}`
  if (state === 'ended') return `it took ${took} until then`
  const rate = size(providers.reduce((sum, it) => sum + it.bytesPerSecond, 0))
  if (phase !== 'fetching') return `since ${took}`
  return `${rate}/s, ${leftMs === undefined ? `since ${took}` : `about ${duration(leftMs)} left`}`
}
