import type { PageView } from '../view.ts'
import { AnchorsPanel } from './anchors-panel.ts'
import { Announcer } from './announcer.ts'
import { CatchUpsPanel } from './catch-ups-panel.ts'
import { ChartsPanel } from './charts-panel.ts'
import { ConnectionPanel } from './connection-panel.ts'
import { byId } from './dom.ts'
import { EventsPanel } from './events-panel.ts'
import { FactsPanel } from './facts-panel.ts'
import { plain, shortId } from './format.ts'
import { type ConnectionState, LiveConnection, type LiveListener } from './live-connection.ts'
import type { LiveEvent } from './live-event.ts'
import { LogPanel } from './log-panel.ts'
import { OffersPanel } from './offers-panel.ts'
import type { Panel } from './panel.ts'
import { PeerMarks } from './peer-marks.ts'
import { ReplicasPanel } from './replicas-panel.ts'
import { ScrollRegion } from './scroll-region.ts'
import { transitions } from './transitions.ts'

/** How often what moves between two views is drawn, in milliseconds. */
const TICK_MS = 200
/** Of how many views the browser keeps how long they took. It would keep all of them, for weeks. */
const MEASURED_MAX = 1_000

/** The whole page: gives each of its parts what comes. */
export class Page implements LiveListener {
  readonly #marks = new PeerMarks()
  readonly #announcer = new Announcer(byId('speaker'))
  readonly #connection = new ConnectionPanel(this.#announcer)
  readonly #events = new EventsPanel()
  readonly #panels: readonly Panel[] = [
    new FactsPanel(this.#marks),
    new CatchUpsPanel(this.#marks),
    new LogPanel(this.#marks),
    new AnchorsPanel(this.#marks),
    new OffersPanel(this.#marks),
    new ChartsPanel(),
    new ReplicasPanel(this.#marks),
  ]
  #before: PageView | undefined
  #views = 0

  start(): void {
    for (const element of document.querySelectorAll<HTMLElement>('.scroll')) new ScrollRegion(element)
    new LiveConnection(this).open()
    setInterval(() => this.#tick(), TICK_MS)
  }

  view(view: PageView): void {
    const nowMs = performance.now()
    this.#marks.keep(namesIn(view))
    for (const panel of this.#panels) panel.show(view, nowMs)
    this.#connection.show(view, nowMs)
    if (this.#before !== undefined) this.#announcer.say(transitions(this.#before, view))
    this.#before = view
    const title = `${plain(view.group)} · ${shortId(view.self)} · Anchorage`
    if (document.title !== title) document.title = title
    this.#measure(nowMs)
  }

  event(event: LiveEvent): void {
    this.#events.add(event)
  }

  connection(state: ConnectionState): void {
    this.#connection.set(state)
  }

  #measure(beganMs: number): void {
    if (this.#views++ % MEASURED_MAX === 0) performance.clearMeasures('view')
    performance.measure('view', { start: beganMs })
  }

  #tick(): void {
    if (document.hidden) return
    const nowMs = performance.now()
    for (const panel of this.#panels) panel.tick?.(nowMs)
    this.#connection.tick(nowMs)
  }
}

/** All that the view names, so that their marks stay. */
function namesIn({ self, members, catchUps, anchors, offers }: PageView): Set<string> {
  const names = new Set([self, ...members.map(({ id }) => id), ...offers.map(({ member }) => member)])
  for (const { electorate } of anchors) for (const elector of electorate) names.add(elector)
  for (const { member, providers } of catchUps) {
    names.add(member)
    for (const { peer } of providers) names.add(peer)
  }
  return names
}
