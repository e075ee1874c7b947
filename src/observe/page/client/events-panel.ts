import { byId, html, setAttribute, setText } from './dom.ts'
import { clockTime, count, counted } from './format.ts'
import { KeyedList, type Row } from './keyed-list.ts'
import { KINDS, type Kind, kindOf, type LiveEvent, nameOf, textOf } from './live-event.ts'

/** Events that are kept, and of these, how many that match are shown. */
const KEPT_MAX = 2_000
const SHOWN_MAX = 200

interface ShownEvent {
  readonly key: number
  readonly kind: Kind
  readonly name: string
  readonly text: string
  readonly time: string
}

/** What happens to the replica that answers, the newest first. */
export class EventsPanel {
  readonly #list: KeyedList<ShownEvent>
  readonly #filter = byId<HTMLInputElement>('events-filter')
  readonly #pause = byId<HTMLButtonElement>('events-pause')
  readonly #kinds = new Set<Kind>(KINDS)
  #events: ShownEvent[] = []
  /** While it is paused: what is shown. */
  #paused: readonly ShownEvent[] | undefined
  #count = 0
  #drawing = false

  constructor() {
    this.#list = new KeyedList(
      byId('events'),
      ({ key }) => String(key),
      () => new EventRow(),
    )
    this.#filter.addEventListener('input', () => this.#draw())
    this.#pause.addEventListener('click', () => this.#togglePause())
    for (const kind of KINDS) byId('events-kinds').append(this.#choice(kind))
  }

  add(event: LiveEvent): void {
    const [kind, name, text] = [kindOf(event), nameOf(event), textOf(event)]
    this.#events.push({ key: this.#count++, kind, name, text, time: clockTime(event.atMs) })
    if (this.#events.length > KEPT_MAX) this.#events.splice(0, KEPT_MAX / 4)
    if (this.#drawing) return
    // Many events come at once; they are drawn together.
    this.#drawing = true
    requestAnimationFrame(() => {
      this.#drawing = false
      this.#draw()
    })
  }

  #choice(kind: Kind): HTMLElement {
    const box = html('input', '', { type: 'checkbox' })
    box.checked = true
    box.addEventListener('change', () => {
      if (box.checked) this.#kinds.add(kind)
      else this.#kinds.delete(kind)
      this.#draw()
    })
    return html('label', `kind ${kind}`, {}, box, html('span', '', {}, kind))
  }

  #togglePause(): void {
    this.#paused = this.#paused === undefined ? [...this.#events] : undefined
    setAttribute(this.#pause, 'aria-pressed', String(this.#paused !== undefined))
    this.#draw()
  }

  #draw(): void {
    const wanted = this.#filter.value.trim().toLowerCase()
    const all = this.#paused ?? this.#events
    const matching = all.filter(
      ({ kind, name, text }) =>
        this.#kinds.has(kind) && (wanted === '' || `${name} ${text}`.toLowerCase().includes(wanted)),
    )
    this.#list.show(matching.slice(-SHOWN_MAX).reverse())
    setText(byId('events-text'), this.#summary(all.length, matching.length))
  }

  #summary(all: number, matching: number): string {
    const unseen = this.#paused === undefined ? 0 : this.#count - (this.#paused.at(-1)?.key ?? -1) - 1
    const paused = this.#paused === undefined ? '' : ` Paused, ${count(unseen)} came since.`
    if (all === 0) return `Nothing has happened since this page was opened.${paused}`
    const shown = matching > SHOWN_MAX ? `, the newest ${SHOWN_MAX} are shown` : ''
    return `${count(matching)} of ${counted(all, 'event')}${shown}.${paused}`
  }
}

/** An event never changes. */
class EventRow implements Row<ShownEvent> {
  readonly element = html('li')
  #told = false

  update({ kind, name, text, time }: ShownEvent): void {
    if (this.#told) return
    this.#told = true
    this.element.className = kind
    this.element.append(
      html('time', '', {}, time),
      html('span', 'event', {}, name),
      html('bdi', 'text', {}, text),
    )
  }
}
