import type { PageView } from '../view.ts'
import { asEvent, type LiveEvent } from './live-event.ts'

export type ConnectionState = 'connecting' | 'live' | 'lost'

/** What the page does with what comes. */
export interface LiveListener {
  view(view: PageView): void
  event(event: LiveEvent): void
  connection(state: ConnectionState): void
}

/** How long to wait before asking again where the browser does not do it by itself, in milliseconds. */
const RETRY_MS = 1_000
/** After so long without a view the connection counts as lost, in milliseconds. One comes every five seconds at least. */
const SILENCE_MS_MAX = 15_000

/** Follows `live`, and comes back to it for as long as the page is open. */
export class LiveConnection {
  readonly #listener: LiveListener
  #source: EventSource | undefined
  #silence: number | undefined

  constructor(listener: LiveListener) {
    this.#listener = listener
  }

  open(): void {
    this.#source?.close()
    const source = new EventSource('live')
    this.#source = source
    source.addEventListener('view', ({ data }) => this.#view(data))
    source.addEventListener('event', ({ data }) => {
      const event = asEvent(parse(data))
      if (event !== undefined) this.#listener.event(event)
    })
    source.addEventListener('error', () => {
      this.#lost()
      // The browser gives up where another answer than a stream came.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.#openAgain(source), RETRY_MS)
    })
  }

  #openAgain(source: EventSource): void {
    if (this.#source === source) this.open()
  }

  #view(data: string): void {
    const view = parse(data)
    if (typeof view !== 'object' || view === null) return
    clearTimeout(this.#silence)
    this.#silence = setTimeout(() => this.#lost(), SILENCE_MS_MAX) as unknown as number
    this.#listener.connection('live')
    this.#listener.view(view as PageView)
  }

  #lost(): void {
    clearTimeout(this.#silence)
    this.#listener.connection('lost')
  }
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}
