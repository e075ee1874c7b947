import { plain } from './format.ts'

/** Sentences that are said at once. More are counted. */
const SENTENCES_MAX = 3
/** Sentences are collected for so long, in milliseconds: a screen reader that is interrupted says nothing. */
const PAUSE_MS = 1_500

/** Speaks to screen readers, through a live region. */
export class Announcer {
  readonly #region: HTMLElement
  #waiting: string[] = []
  #timer: number | undefined

  constructor(region: HTMLElement) {
    this.#region = region
  }

  say(sentences: readonly string[]): void {
    if (sentences.length === 0) return
    this.#waiting.push(...sentences)
    this.#timer ??= setTimeout(() => this.#speak(), PAUSE_MS) as unknown as number
  }

  #speak(): void {
    const more = this.#waiting.length - SENTENCES_MAX
    const said = this.#waiting.slice(0, SENTENCES_MAX).map(plain)
    if (more > 0) said.push(`And ${more} more.`)
    this.#region.textContent = said.join(' ')
    this.#waiting = []
    this.#timer = undefined
  }
}
