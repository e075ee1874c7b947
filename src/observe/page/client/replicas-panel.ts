import type { MemberView, PageView } from '../view.ts'
import { byId, setHidden } from './dom.ts'
import { KeyedList } from './keyed-list.ts'
import { Pager } from './pager.ts'
import type { Panel } from './panel.ts'
import type { PeerMarks } from './peer-marks.ts'
import { ReplicaRow, type ShownReplica } from './replica-row.ts'
import { stateName } from './states.ts'

const PER_PAGE = 25

/** The members: this replica first, then by id, so that no row moves while one reads. */
export class ReplicasPanel implements Panel {
  readonly #list: KeyedList<ShownReplica>
  readonly #pager = new Pager('replicas-pager', PER_PAGE, () => this.#draw())
  readonly #filter = byId<HTMLInputElement>('replicas-filter')
  #view: PageView | undefined

  constructor(marks: PeerMarks) {
    this.#list = new KeyedList(
      byId('replicas'),
      ({ member }) => member.id,
      () => new ReplicaRow(marks),
    )
    this.#filter.addEventListener('input', () => this.#draw())
  }

  show(view: PageView): void {
    this.#view = view
    this.#draw()
  }

  #draw(): void {
    if (this.#view === undefined) return
    const { self, members } = this.#view
    const wanted = this.#filter.value.trim().toLowerCase()
    const found = members.filter((member) => wanted === '' || matches(member, wanted))
    const sorted = [...found.filter(({ id }) => id === self), ...found.filter(({ id }) => id !== self)]
    this.#list.show(this.#pager.pageOf(sorted).map((member) => ({ member, isSelf: member.id === self })))
    setHidden(byId('no-replicas'), found.length > 0)
  }
}

function matches({ id, state, silent, leads, addresses, version = '' }: MemberView, wanted: string): boolean {
  const texts = [id, silent ? 'silent' : stateName(state), leads ? 'leader' : '', version, ...addresses]
  return texts.some((text) => text.toLowerCase().includes(wanted))
}
