import type { CatchUpView } from '../view.ts'
import { Badge } from './badge.ts'
import { html, setAttribute, setText } from './dom.ts'
import { counted, size } from './format.ts'
import type { Row } from './keyed-list.ts'
import type { PeerMarks } from './peer-marks.ts'

type Provider = CatchUpView['providers'][number]

export interface ShownProvider extends Provider {
  /** Chunks that there are in all. */
  readonly of: number
  /** The catch-up goes on. */
  readonly running: boolean
}

/** A provider of a catch-up: what it sent, and how fast. */
export class ProviderRow implements Row<ShownProvider> {
  readonly element: HTMLElement
  readonly #badge: Badge
  readonly #chunks = html('span', 'sent')
  readonly #rate = html('span', 'rate')
  readonly #part = html('span', 'part', { 'aria-hidden': 'true' })
  readonly #marks: PeerMarks

  constructor(marks: PeerMarks) {
    this.#marks = marks
    this.#badge = new Badge(marks)
    this.element = html(
      'li',
      '',
      {},
      this.#badge.element,
      this.#chunks,
      this.#rate,
      html('span', 'bar', {}, this.#part),
    )
  }

  update({ peer, chunks, bytesPerSecond, of, running }: ShownProvider): void {
    this.#badge.show(peer)
    setText(this.#chunks, counted(chunks, 'chunk'))
    setText(
      this.#rate,
      !running ? '' : bytesPerSecond > 0 ? `${size(bytesPerSecond)}/s` : 'sends nothing now',
    )
    setAttribute(this.#part, 'class', `part mark-${this.#marks.of(peer).colour}`)
    this.#part.style.width = `${of === 0 ? 0 : Math.min(100, (100 * chunks) / of).toFixed(1)}%`
  }
}
