import { html, setAttribute, setText } from './dom.ts'
import { shortId } from './format.ts'
import type { PeerMarks } from './peer-marks.ts'

/** A replica's name as the page writes it everywhere: its mark and the end of its PeerId. */
export class Badge {
  readonly element: HTMLElement
  readonly #mark = html('span', 'mark', { 'aria-hidden': 'true' })
  readonly #name = html('bdi', 'id')
  readonly #marks: PeerMarks

  constructor(marks: PeerMarks) {
    this.#marks = marks
    this.element = html('span', 'badge', {}, this.#mark, this.#name)
  }

  /** Without a peer, it says so. */
  show(peer: string | undefined, nobody = 'nobody'): void {
    if (peer === undefined) {
      setAttribute(this.#mark, 'class', 'mark none')
      setText(this.#mark, '–')
      setText(this.#name, nobody)
      return
    }
    const { letter, colour } = this.#marks.of(peer)
    setAttribute(this.#mark, 'class', `mark mark-${colour}`)
    setText(this.#mark, letter)
    setText(this.#name, shortId(peer))
    setAttribute(this.#name, 'title', peer.slice(0, 128))
  }
}
