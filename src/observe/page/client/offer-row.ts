import type { OfferView } from '../view.ts'
import { Badge } from './badge.ts'
import { Countdown } from './countdown.ts'
import { html, setAttribute, setText } from './dom.ts'
import { count, duration, size } from './format.ts'
import type { Row } from './keyed-list.ts'
import type { PeerMarks } from './peer-marks.ts'

/** How long a row says that it was revived, in milliseconds. */
const REVIVED_MS = 1_500
/** A deadline that is nearer than this part of its TTL looks so. */
const SOON = 0.25

export interface ShownOffer {
  readonly offer: OfferView
  readonly nowMs: number
}

/** An offer, with its deadline as a bar that grows shorter, and jumps back. */
export class OfferRow implements Row<ShownOffer> {
  readonly element: HTMLElement
  readonly #badge: Badge
  readonly #anchor = html('th', 'number', { scope: 'row' })
  readonly #time = html('span', 'left')
  readonly #part = html('span', 'part')
  readonly #bar: HTMLElement
  readonly #revived = html('span', 'revived', { 'aria-hidden': 'true' }, '↺ revived')
  readonly #sent = html('td', 'number rest')
  readonly #countdown = new Countdown()
  #ttlMs = 0
  #revivedMs = Number.NEGATIVE_INFINITY
  #revivals = 0

  constructor(marks: PeerMarks) {
    this.#badge = new Badge(marks)
    this.#bar = html('span', 'bar', { 'aria-hidden': 'true' }, this.#part)
    const deadline = html('td', 'deadline', {}, this.#bar, this.#time, this.#revived)
    this.element = html(
      'tr',
      '',
      {},
      this.#anchor,
      html('td', '', {}, this.#badge.element),
      deadline,
      this.#sent,
    )
  }

  update({ offer, nowMs }: ShownOffer): void {
    const { member, anchor, ready, remainingMs, ttlMs, servedBytes } = offer
    this.#badge.show(member)
    setText(this.#anchor, count(anchor))
    setText(this.#sent, ready ? size(servedBytes) : 'in the making')
    // Without its TTL, the longest that was seen is the whole of the bar.
    this.#ttlMs = ttlMs ?? Math.max(this.#ttlMs, remainingMs)
    if (this.#countdown.set(remainingMs, nowMs)) {
      this.#revivedMs = nowMs
      this.#revivals++
      setAttribute(this.element, 'data-revivals', String(this.#revivals))
    }
    this.tick(nowMs)
  }

  tick(nowMs: number): void {
    const leftMs = this.#countdown.remainingMs(nowMs)
    const part = this.#ttlMs === 0 ? 0 : Math.min(1, leftMs / this.#ttlMs)
    setText(this.#time, duration(leftMs))
    this.#part.style.transform = `scaleX(${part.toFixed(3)})`
    setAttribute(this.#bar, 'class', part < SOON ? 'bar soon' : 'bar')
    setAttribute(this.#revived, 'class', nowMs - this.#revivedMs < REVIVED_MS ? 'revived now' : 'revived')
  }
}
