import type { LogView, PageView } from '../view.ts'
import { byId, html, setAttribute, setText } from './dom.ts'
import { count, counted, shortId } from './format.ts'
import { KeyedList, type Row } from './keyed-list.ts'
import { LogBand } from './log-band.ts'
import type { Panel } from './panel.ts'
import type { PeerMarks } from './peer-marks.ts'

type HoldCause = LogView['holds'][number]['by']

/** Rows of what holds the log. More are counted in the last one. */
const HOLDS_MAX = 6

interface ShownHold {
  readonly by: HoldCause
  readonly upTo: number
  /** The first entry that it keeps. */
  readonly from: number
  readonly who: readonly string[]
  /** Entries that it keeps. */
  readonly entries: number
  /** It is the one that counts. */
  readonly least: boolean
}

/** The log, and what keeps its entries. */
export class LogPanel implements Panel {
  readonly #band = new LogBand()
  readonly #holds: KeyedList<ShownHold>

  constructor(marks: PeerMarks) {
    byId('log-band').append(this.#band.element)
    this.#holds = new KeyedList(
      byId('holds'),
      ({ by, upTo }) => `${by} ${upTo}`,
      () => new HoldRow(marks),
    )
  }

  show(view: PageView): void {
    const { log } = view
    this.#band.show(view)
    const entries = Math.max(0, log.newest - log.first + 1)
    setText(
      byId('log-text'),
      log.connected
        ? `${counted(entries, 'entry', 'entries')}, from ${count(log.first)} to ${count(log.newest)}`
        : 'The log cannot be reached. This is what was known last.',
    )
    this.#holds.show(together(log).slice(0, HOLDS_MAX))
  }
}

class HoldRow implements Row<ShownHold> {
  readonly element: HTMLElement
  readonly #cause = html('th', '', { scope: 'row' })
  readonly #from = html('td', 'number')
  readonly #entries = html('td', 'number')
  readonly #marks: PeerMarks

  constructor(marks: PeerMarks) {
    this.#marks = marks
    this.element = html('tr', '', {}, this.#cause, this.#from, this.#entries)
  }

  update({ by, from, who, entries, least }: ShownHold): void {
    setAttribute(this.element, 'class', least ? 'least' : '')
    setText(this.#cause, `${causeText(by, who, this.#marks)}${least ? ' (this one counts)' : ''}`)
    setText(this.#from, count(from))
    setText(this.#entries, count(entries))
  }
}

function causeText(by: HoldCause, who: readonly string[], marks: PeerMarks): string {
  const names = who.slice(0, 3).map((peer) => `${marks.of(peer).letter} ${shortId(peer)}`)
  if (who.length > names.length) names.push(`${count(who.length - names.length)} more`)
  switch (by) {
    case 'policy':
      return 'the newest entries stay, by policy'
    case 'checkpoint':
      return 'no checkpoint on enough disks covers these yet'
    case 'offer':
      return `offered by ${names.join(', ')}`
    case 'catch-up':
      return `${names.join(', ')} is catching up and needs these next`
    default:
      return by satisfies never
  }
}

/** Holds of one cause at one index are one row. The one that counts is the first. */
function together({ holds, first, newest }: LogView): ShownHold[] {
  const groups = new Map<string, ShownHold>()
  for (const { by, upTo, member } of holds) {
    const key = `${by} ${upTo}`
    const who = [...(groups.get(key)?.who ?? []), ...(member === undefined ? [] : [member])]
    const from = Math.max(first, upTo + 1)
    groups.set(key, { by, upTo, from, who, entries: Math.max(0, newest - from + 1), least: false })
  }
  const sorted = [...groups.values()].sort((a, b) => a.upTo - b.upTo)
  return sorted.map((hold, at) => ({ ...hold, least: at === 0 }))
}
