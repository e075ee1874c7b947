import type { MemberView } from '../view.ts'
import { Badge } from './badge.ts'
import { html, setAttribute, setText } from './dom.ts'
import { count, duration, plain } from './format.ts'
import type { Row } from './keyed-list.ts'
import type { PeerMarks } from './peer-marks.ts'
import { stateName, stateSign } from './states.ts'

export interface ShownReplica {
  readonly member: MemberView
  readonly isSelf: boolean
}

/** One replica of the group. */
export class ReplicaRow implements Row<ShownReplica> {
  readonly element: HTMLElement
  readonly #badge: Badge
  readonly #roles = html('span', 'roles')
  readonly #state = html('td', 'state')
  readonly #position = html('td', 'number')
  readonly #lag = html('td', 'number')
  readonly #checkpoint = html('td', 'number rest')
  readonly #age = html('td', 'number rest')
  readonly #version = html('td', 'rest')

  constructor(marks: PeerMarks) {
    this.#badge = new Badge(marks)
    const name = html('th', 'name', { scope: 'row' }, this.#badge.element, ' ', this.#roles)
    const cells = [this.#state, this.#position, this.#lag, this.#checkpoint, this.#age, this.#version]
    this.element = html('tr', '', {}, name, ...cells)
  }

  update({ member, isSelf }: ShownReplica): void {
    const { id, state, applied, lag, leads, checkpoint, version, addresses, ageMs, silent } = member
    this.#badge.show(id)
    setText(this.#roles, [leads ? '★ leader' : '', isSelf ? 'this one' : ''].filter(Boolean).join(', '))
    setAttribute(this.#state, 'data-state', silent ? 'silent' : state)
    setText(
      this.#state,
      silent ? `⌀ silent, was ${stateName(state)}` : `${stateSign(state)} ${stateName(state)}`,
    )
    setText(this.#position, count(applied))
    setText(this.#lag, lag > 0 ? count(lag) : '0')
    setText(this.#checkpoint, checkpoint === 0 ? 'none' : count(checkpoint))
    setText(this.#age, isSelf ? 'now' : `${duration(ageMs)} ago`)
    setText(this.#version, version === undefined ? '' : plain(version))
    setAttribute(this.element, 'title', plain(addresses.join(' ')))
    setAttribute(this.element, 'data-member', plain(id))
  }
}
