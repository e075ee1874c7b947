import type { PageView } from '../view.ts'
import type { Announcer } from './announcer.ts'
import { byId, setAttribute, setHidden, setText } from './dom.ts'
import { clockTime, duration, shortId } from './format.ts'
import type { ConnectionState } from './live-connection.ts'

/** Says whether what is shown is how things are now. */
export class ConnectionPanel {
  readonly #announcer: Announcer
  #state: ConnectionState = 'connecting'
  #self: string | undefined
  #atMs = 0
  #seenMs = 0

  constructor(announcer: Announcer) {
    this.#announcer = announcer
  }

  set(state: ConnectionState): void {
    if (state === this.#state) return
    if (state === 'lost') this.#announcer.say(['The connection is lost. What is shown is old.'])
    if (state === 'live' && this.#state === 'lost') this.#announcer.say(['The connection is back.'])
    this.#state = state
    setAttribute(byId('connection'), 'data-state', state)
    setAttribute(document.body, 'data-connection', state)
    this.tick(performance.now())
  }

  show({ self, atMs }: PageView, nowMs: number): void {
    this.#self = self
    this.#atMs = atMs
    this.#seenMs = nowMs
    this.tick(nowMs)
  }

  tick(nowMs: number): void {
    const lost = this.#state === 'lost'
    setText(byId('connection-text'), TEXTS[this.#state])
    setHidden(byId('lost'), !lost)
    if (lost) setText(byId('lost'), this.#lostText(nowMs))
  }

  #lostText(nowMs: number): string {
    const trying = 'The page looks for it again and again.'
    if (this.#self === undefined) return `The replica does not answer. ${trying}`
    const age = duration(1_000 * Math.floor((nowMs - this.#seenMs) / 1_000)).replace('.0', '')
    return `Replica ${shortId(this.#self)} does not answer. What is shown is of ${clockTime(this.#atMs)}, ${age} ago. ${trying}`
  }
}

const TEXTS: Readonly<Record<ConnectionState, string>> = {
  connecting: 'connecting',
  live: 'live',
  lost: 'connection lost',
}
