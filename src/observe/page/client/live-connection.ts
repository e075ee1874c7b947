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
/**
 * After so long without a view the connection counts as lost, in milliseconds, and the page asks anew: where a machine
 * died, nobody ends it. A view comes every five seconds at least.
 */
const SILENCE_MS_MAX = 15_000
/** A page that nobody sees for so long, in milliseconds, ends its stream: browsers open six to one address. */
const HIDDEN_MS_MAX = 10_000

/** Follows `live`, and comes back to it for as long as the page is open and seen. */
export class LiveConnection {
  readonly #listener: LiveListener
  #source: EventSource | undefined
  #silence: number | undefined
  #hidden: number | undefined
  /** The newest event that came: of which life of the process, and its number there. */
  #newest = { life: '', number: 0 }

  constructor(listener: LiveListener) {
    this.#listener = listener
  }

  open(): void {
    document.addEventListener('visibilitychange', () => this.#look())
    this.#connect()
    this.#look()
  }

  #look(): void {
    clearTimeout(this.#hidden)
    if (document.hidden) this.#hidden = later(() => this.#rest(), HIDDEN_MS_MAX)
    else if (this.#source === undefined) this.#connect()
  }

  #rest(): void {
    this.#close()
    this.#listener.connection('connecting')
  }

  #connect(): void {
    this.#close()
    const source = new EventSource('live')
    this.#source = source
    this.#wait()
    source.addEventListener('view', ({ data }) => this.#view(data))
    source.addEventListener('event', ({ data, lastEventId }) => {
      const event = asEvent(parse(data))
      if (event !== undefined && this.#isNew(lastEventId)) this.#listener.event(event)
    })
    source.addEventListener('error', () => {
      this.#listener.connection('lost')
      // The browser gives up where another answer than a stream came.
      if (source.readyState === EventSource.CLOSED) later(() => this.#connectAgain(source), RETRY_MS)
    })
  }

  #connectAgain(source: EventSource): void {
    if (this.#source === source) this.#connect()
  }

  #close(): void {
    clearTimeout(this.#silence)
    this.#source?.close()
    this.#source = undefined
  }

  /** Wait for the next view. */
  #wait(): void {
    clearTimeout(this.#silence)
    this.#silence = later(() => {
      this.#listener.connection('lost')
      this.#connect()
    }, SILENCE_MS_MAX)
  }

  #view(data: string): void {
    const view = parse(data)
    if (typeof view !== 'object' || view === null) return
    this.#wait()
    this.#listener.connection('live')
    this.#listener.view(view as PageView)
  }

  /** A new stream begins with all events that are kept: the browser tells only a broken one's last to the server. */
  #isNew(id: string): boolean {
    const [life = '', place] = id.split('-')
    const number = Number(place)
    if (life === this.#newest.life && number <= this.#newest.number) return false
    this.#newest = { life, number }
    return true
  }
}

function later(run: () => void, ms: number): number {
  return setTimeout(run, ms) as unknown as number
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}
