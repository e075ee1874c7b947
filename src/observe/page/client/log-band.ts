import type { PageView } from '../view.ts'
import { html, setAttribute, setAttributes, setText, svg } from './dom.ts'
import { count, counted } from './format.ts'
import { KeyedList, type Row } from './keyed-list.ts'

/** Positions of members that are nearer than this, in percent of the log, are drawn as one. */
const NEAR = 1
/** Indexes of anchors that are nearer than this, in percent, are not written both. */
const LABEL_NEAR = 9

interface ShownAnchor {
  readonly index: number
  readonly state: 'open' | 'sealed' | 'disputed'
  readonly offered: boolean
  readonly percent: number
  readonly labelled: boolean
}

interface ShownMembers {
  readonly percent: number
  readonly members: number
}

/** The log from its first entry to its newest one, as a band. */
export class LogBand {
  readonly element = html('figure')
  readonly #caption = html('figcaption', 'unseen')
  readonly #svg = svg('svg', 'log', { role: 'img', height: 104, width: '100%' })
  readonly #applied = svg('rect', 'applied', { x: 0, y: 40, height: 24 })
  readonly #kept = svg('rect', 'kept', { y: 40, height: 24, fill: 'url(#hatch)' })
  readonly #first = svg('text', 'end', { x: '0', y: 100 })
  readonly #newest = svg('text', 'end last', { x: '100%', y: 100 })
  readonly #anchors: KeyedList<ShownAnchor>
  readonly #members: KeyedList<ShownMembers>

  constructor() {
    const [anchors, members] = [svg('g'), svg('g')]
    const track = svg('rect', 'track', { x: 0, y: 40, width: '100%', height: 24, rx: 4 })
    this.#svg.append(track, this.#applied, this.#kept, anchors, members, this.#first, this.#newest)
    this.element.append(this.#svg, this.#caption)
    this.#anchors = new KeyedList(
      anchors,
      ({ index }) => String(index),
      () => new AnchorMark(),
    )
    this.#members = new KeyedList(
      members,
      ({ percent }) => String(Math.round(percent / NEAR)),
      () => new MembersMark(),
    )
  }

  show({ log, anchors, offers, members }: PageView): void {
    const { first, newest, applied, holds } = log
    const length = Math.max(1, newest - first + 1)
    const percent = (index: number) => Math.min(100, Math.max(0, (100 * (index - first + 1)) / length))
    const offered = new Set(offers.map(({ anchor }) => anchor))
    const known = new Set(anchors.map(({ index }) => index))
    // An offer may be of an anchor that is older than all that are listed.
    const others = [...offered].filter((index) => !known.has(index))
    const all = [...anchors, ...others.map((index) => ({ index, state: 'sealed' as const }))]
    const shown = all
      .filter(({ index }) => index >= first && index <= newest)
      .map(({ index, state }) => ({ index, state, offered: offered.has(index), percent: percent(index) }))
    this.#anchors.show(labelled(shown))
    this.#members.show(together(members.filter(({ silent }) => !silent).map((it) => percent(it.applied))))
    const least = Math.max(first - 1, Math.min(newest, ...holds.map(({ upTo }) => upTo)))
    setAttribute(this.#applied, 'width', `${percent(applied).toFixed(2)}%`)
    setAttributes(this.#kept, {
      x: `${percent(least).toFixed(2)}%`,
      width: `${(100 - percent(least)).toFixed(2)}%`,
    })
    setText(this.#first, count(first))
    setText(this.#newest, count(newest))
    const text = `Entries ${count(first)} to ${count(newest)}, applied up to ${count(applied)}. ${counted(shown.length, 'anchor')}, ${counted(offered.size, 'of them is offered', 'of them are offered')}. Entries after ${count(Math.max(0, least))} may not be pruned.`
    setText(this.#caption, text)
    setAttribute(this.#svg, 'aria-label', text)
  }
}

const SIGNS = { open: '◇', sealed: '◆', disputed: '✕' } as const

class AnchorMark implements Row<ShownAnchor> {
  readonly element = svg('svg', 'marker', { overflow: 'visible', width: 1, height: 1 })
  readonly #stem = svg('path', 'stem', { d: 'M0 24V64' })
  readonly #sign = svg('text', 'sign', { x: 0, y: 32 })
  readonly #label = svg('text', 'label', { x: 0, y: 13 })

  constructor() {
    this.element.append(this.#stem, this.#sign, this.#label)
  }

  update({ index, state, offered, percent, labelled: isLabelled }: ShownAnchor): void {
    setAttributes(this.element, {
      x: `${percent.toFixed(2)}%`,
      class: `marker ${state}${offered ? ' live' : ''}`,
    })
    setText(this.#sign, SIGNS[state])
    setText(this.#label, isLabelled ? count(index) : '')
    setAttribute(this.#label, 'class', percent > 94 ? 'label last' : percent < 6 ? 'label first' : 'label')
  }
}

class MembersMark implements Row<ShownMembers> {
  readonly element = svg('svg', 'members', { overflow: 'visible', width: 1, height: 1 })
  readonly #count = svg('text', 'label last', { x: -8, y: 75 })

  constructor() {
    this.element.append(svg('path', '', { d: 'M0 66l5 9h-10z' }), this.#count)
  }

  update({ percent, members }: ShownMembers): void {
    setAttribute(this.element, 'x', `${percent.toFixed(2)}%`)
    setText(this.#count, members > 1 ? `×${count(members)}` : '')
  }
}

/** Write the newest and the offered anchors' indexes, where there is room. */
function labelled(anchors: readonly Omit<ShownAnchor, 'labelled'>[]): ShownAnchor[] {
  const written: number[] = []
  const byWeight = anchors.toSorted((a, b) => Number(b.offered) - Number(a.offered) || b.index - a.index)
  return byWeight
    .map((anchor) => {
      const free = written.every((at) => Math.abs(at - anchor.percent) >= LABEL_NEAR)
      if (free) written.push(anchor.percent)
      return { ...anchor, labelled: free }
    })
    .sort((a, b) => a.index - b.index)
}

/** Count those that are at about the same place. */
function together(percents: readonly number[]): ShownMembers[] {
  const groups = new Map<number, ShownMembers>()
  for (const percent of percents) {
    const place = Math.round(percent / NEAR)
    groups.set(place, { percent, members: (groups.get(place)?.members ?? 0) + 1 })
  }
  return [...groups.values()]
}
