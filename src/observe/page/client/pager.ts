import { byId, setHidden, setText } from './dom.ts'
import { count } from './format.ts'

/** Shows a long list a page at a time, so that the page stays fluid with hundreds of rows. */
export class Pager {
  readonly #nav: HTMLElement
  readonly #text: HTMLElement
  readonly #back: HTMLButtonElement
  readonly #on: HTMLButtonElement
  readonly #perPage: number
  #page = 0

  /** `onTurn` is called when somebody turns a page. */
  constructor(id: string, perPage: number, onTurn: () => void) {
    this.#nav = byId(id)
    this.#perPage = perPage
    const [back, text, on] = this.#nav.children as unknown as [
      HTMLButtonElement,
      HTMLElement,
      HTMLButtonElement,
    ]
    this.#back = back
    this.#text = text
    this.#on = on
    this.#back.addEventListener('click', () => this.#turn(-1, onTurn))
    this.#on.addEventListener('click', () => this.#turn(1, onTurn))
  }

  /** The items of the page that is shown. */
  pageOf<Item>(items: readonly Item[]): readonly Item[] {
    const pages = Math.max(1, Math.ceil(items.length / this.#perPage))
    this.#page = Math.min(this.#page, pages - 1)
    const from = this.#page * this.#perPage
    const shown = items.slice(from, from + this.#perPage)
    setHidden(this.#nav, pages === 1)
    setText(this.#text, `${count(from + 1)} to ${count(from + shown.length)} of ${count(items.length)}`)
    // Not `disabled`: that would take the focus away from who turns the last page.
    this.#back.setAttribute('aria-disabled', String(this.#page === 0))
    this.#on.setAttribute('aria-disabled', String(this.#page === pages - 1))
    return shown
  }

  #turn(by: 1 | -1, onTurn: () => void): void {
    this.#page = Math.max(0, this.#page + by)
    onTurn()
  }
}
