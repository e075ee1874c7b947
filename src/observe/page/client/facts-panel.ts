import type { PageView } from '../view.ts'
import { Badge } from './badge.ts'
import { byId, setAttribute, setText } from './dom.ts'
import { count, counted, plain, size } from './format.ts'
import type { Panel } from './panel.ts'
import type { PeerMarks } from './peer-marks.ts'
import { stateName, stateSign } from './states.ts'

/** The line at the top: what an operator asks first. */
export class FactsPanel implements Panel {
  readonly #self: Badge
  readonly #leader: Badge

  constructor(marks: PeerMarks) {
    this.#self = new Badge(marks)
    this.#leader = new Badge(marks)
    byId('fact-self').append(this.#self.element)
    byId('fact-leader').append(this.#leader.element)
  }

  show(view: PageView): void {
    const { self, state, reason, leader, term, log, members, rates, version } = view
    setText(byId('group'), plain(view.group))
    this.#self.show(self)
    this.#leader.show(leader)
    const told = byId('fact-state')
    setText(
      told,
      `${stateSign(state)} ${stateName(state)}${reason === undefined ? '' : `: ${plain(reason)}`}`,
    )
    setAttribute(told, 'data-state', state)
    const here = members.filter(({ silent }) => !silent)
    const inSync = here.filter((member) => member.state === 'in-sync').length
    setText(byId('fact-replicas'), `${count(inSync)} of ${count(here.length)}`)
    const silent = members.length - here.length
    setText(byId('fact-silent'), silent === 0 ? 'all of them heard' : `${count(silent)} fell silent`)
    setText(byId('fact-term'), leader === self ? `this one, term ${count(term)}` : `term ${count(term)}`)
    setText(byId('fact-lag'), counted(Math.max(0, log.newest - log.applied), 'entry', 'entries'))
    setText(
      byId('fact-applied'),
      log.connected ? `applied ${count(log.applied)}` : 'the log cannot be reached',
    )
    setText(byId('fact-fetched'), `${size(rates.fetchedPerSecond)}/s`)
    setText(byId('fact-served'), `${size(rates.servedPerSecond)}/s going out`)
    setText(byId('foot'), `Anchorage ${plain(version)}. This page only shows. It changes nothing.`)
  }
}
