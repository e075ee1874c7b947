import { setAttribute } from './dom.ts'

/** Lets the keyboard scroll an element, while there is something to scroll. */
export class ScrollRegion {
  readonly #element: HTMLElement

  constructor(element: HTMLElement) {
    this.#element = element
    const observer = new ResizeObserver(() => this.#look())
    observer.observe(element)
    for (const child of element.children) observer.observe(child)
  }

  /** Look again: what is in it may have grown. */
  #look(): void {
    const { scrollWidth, clientWidth, scrollHeight, clientHeight } = this.#element
    if (scrollWidth > clientWidth || scrollHeight > clientHeight) setAttribute(this.#element, 'tabindex', '0')
    else this.#element.removeAttribute('tabindex')
  }
}
