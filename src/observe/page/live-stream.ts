import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ReplicaEvent } from '../../replica/events.ts'
import { type Clock, systemClock } from '../../time/clock.ts'
import { type Answer, text } from '../answer.ts'
import { EventReporter } from '../event-reporter.ts'
import type { ObservedReplica } from '../observed-replica.ts'
import { EventFeed } from './event-feed.ts'
import { LiveClient, type SentView } from './live-client.ts'
import { PageModel } from './page-model.ts'
import type { PageView } from './view.ts'

/** Streams at once. */
export const CLIENTS_MAX = 16
/** How often a view may be sent, and how often one is sent at least, in milliseconds. */
const VIEW_MS_MIN = 250
const VIEW_MS_MAX = 5_000
/** Making views takes one part in so many of the process's time at most, in a group of however many members. */
const VIEW_SHARE = 20
/** By how much a timer may be early, in milliseconds. */
const TIMER_MS = 10
/** Times that differ by less, in milliseconds, are the same: announcements are that inexact. */
const TIME_MS = 500

/**
 * Tells all who look what a replica is like, and what happens to it. There is one view for all of them, and it is made
 * only while somebody looks. Events are kept all the time, so that who comes sees the newest.
 */
export class LiveStream {
  readonly #model: PageModel
  readonly #feed: EventFeed
  readonly #clock: Clock
  readonly #clients = new Set<LiveClient>()
  readonly #unobserve: () => void
  #timer: NodeJS.Timeout | undefined
  #view: SentView = { number: 0, json: '' }
  #viewedMs = Number.NEGATIVE_INFINITY
  /** When the next one may be made. */
  #dueMs = Number.NEGATIVE_INFINITY
  #shape = ''

  constructor({ replica, health }: Pick<ObservedReplica, 'replica' | 'health'>, clock: Clock = systemClock) {
    this.#clock = clock
    this.#model = new PageModel(replica, health, clock)
    this.#feed = new EventFeed((event) => {
      for (const client of this.#clients) client.tell(event)
    })
    const reporter = new EventReporter((event) => this.#feed.add(event))
    this.#unobserve = replica.observe((event: ReplicaEvent) => {
      this.#model.happened(event)
      reporter.happened(event)
    })
  }

  /** Answer with a stream, until either side ends it. Returns what to answer instead when there are too many. */
  open(request: IncomingMessage, response: ServerResponse): Answer | undefined {
    if (this.#clients.size >= CLIENTS_MAX)
      return text(503, `${CLIENTS_MAX} live pages are open, which is the most at once: close one`)
    const client = new LiveClient(request, response, this.#clock.now())
    this.#feed.flush()
    this.#clients.add(client)
    // It is shown what is now.
    this.#shape = ''
    response.once('close', () => this.#left(client))
    const lastId = request.headers['last-event-id']
    if (this.#timer === undefined) void this.#begin()
    else this.#show()
    for (const event of this.#feed.after(lastId?.toString())) client.tell(event)
    return undefined
  }

  /** End all streams. */
  close(): void {
    this.#unobserve()
    for (const client of this.#clients) client.end()
  }

  async #begin(): Promise<void> {
    this.#timer = setInterval(() => this.#show(), VIEW_MS_MIN)
    await this.#model.begin()
    this.#show()
  }

  #left(client: LiveClient): void {
    this.#clients.delete(client)
    if (this.#clients.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #show(): void {
    if (this.#clients.size === 0) return
    const nowMs = this.#clock.now()
    this.#feed.flush()
    this.#look(nowMs)
    for (const client of this.#clients) client.show(this.#view, nowMs)
  }

  /** Make a new view if something changed, or the last one is old. */
  #look(nowMs: number): void {
    if (nowMs < this.#dueMs) return
    const view = this.#model.view()
    const shape = shapeOf(view)
    if (shape !== this.#shape || nowMs - this.#viewedMs >= VIEW_MS_MAX) {
      this.#shape = shape
      this.#viewedMs = nowMs
      this.#view = { number: this.#view.number + 1, json: JSON.stringify(view) }
    }
    const tookMs = this.#clock.now() - nowMs
    this.#dueMs = nowMs + Math.max(VIEW_MS_MIN - TIMER_MS, VIEW_SHARE * tookMs)
  }
}

/** What of a view does not change by time passing alone. */
function shapeOf(view: PageView): string {
  const { atMs } = view
  return JSON.stringify({
    ...view,
    atMs: 0,
    members: view.members.map((member) => ({ ...member, ageMs: 0 })),
    offers: view.offers.map((offer) => {
      return {
        ...offer,
        remainingMs: offer.remainingMs > 0 && Math.round((atMs + offer.remainingMs) / TIME_MS),
      }
    }),
    catchUps: view.catchUps.map((catchUp) => ({ ...catchUp, elapsedMs: 0, leftMs: 0 })),
  })
}
