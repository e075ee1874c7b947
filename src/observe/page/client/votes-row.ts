import type { AnchorView } from '../view.ts'
import { html, setAttribute, setText } from './dom.ts'
import { count, plain, shortId } from './format.ts'
import type { Row } from './keyed-list.ts'
import { KeyedList } from './keyed-list.ts'
import type { PeerMarks } from './peer-marks.ts'

const SIGNS = { open: '◇ open', sealed: '◆ sealed', disputed: '✕ disputed' } as const
const ROOT_LENGTH = 8

interface Vote {
  readonly elector: string
  /** Undefined until it attested. */
  readonly root: string | undefined
  /** It is another one than most have. */
  readonly differs: boolean
}

/** An anchor, with a mark for each elector that is filled once it attested. */
export class VotesRow implements Row<AnchorView> {
  readonly element: HTMLElement
  readonly #index = html('th', 'number', { scope: 'row' })
  readonly #marks = html('span', 'votes', { 'aria-hidden': 'true' })
  readonly #tally = html('span', 'tally')
  readonly #root = html('td', 'root')
  readonly #state = html('td', 'seal')
  readonly #votes: KeyedList<Vote>

  constructor(marks: PeerMarks) {
    this.#votes = new KeyedList(
      this.#marks,
      ({ elector }) => elector,
      () => new VoteMark(marks),
    )
    this.element = html(
      'tr',
      '',
      {},
      this.#index,
      html('td', '', {}, this.#marks, this.#tally),
      this.#state,
      this.#root,
    )
  }

  update({ index, electorate, attested, state }: AnchorView): void {
    const tallies = new Map<string, number>()
    for (const root of Object.values(attested)) tallies.set(root, (tallies.get(root) ?? 0) + 1)
    const roots = [...tallies].sort(([, a], [, b]) => b - a)
    // Where no root is ahead, all differ.
    const first = roots[0]?.[1] === roots[1]?.[1] ? undefined : roots[0]?.[0]
    setAttribute(this.element, 'data-state', state)
    setText(this.#index, count(index))
    this.#votes.show(
      electorate.map((elector) => {
        const root = Object.hasOwn(attested, elector) ? attested[elector] : undefined
        return { elector, root, differs: root !== undefined && root !== first }
      }),
    )
    const majority = Math.floor(electorate.length / 2) + 1
    setText(
      this.#tally,
      `${count(roots[0]?.[1] ?? 0)} of ${count(electorate.length)}, needs ${count(majority)}`,
    )
    setText(
      this.#root,
      roots.length === 0
        ? 'none yet'
        : roots
            .slice(0, 3)
            .map(([root, votes]) => rootText(root, votes, roots.length > 1))
            .join(' ≠ '),
    )
    setText(this.#state, SIGNS[state])
  }
}

/** Whether an elector has voted, and otherwise than the most. */
class VoteMark implements Row<Vote> {
  readonly element = html('span', 'vote')
  readonly #marks: PeerMarks

  constructor(marks: PeerMarks) {
    this.#marks = marks
  }

  update({ elector, root, differs }: Vote): void {
    const { letter, colour } = this.#marks.of(elector)
    setText(this.element, differs ? '≠' : letter)
    setAttribute(this.element, 'class', root === undefined ? 'vote' : `vote cast mark-${colour}`)
    setAttribute(
      this.element,
      'title',
      `${shortId(elector)}: ${root === undefined ? 'not yet' : plain(root)}`,
    )
  }
}

function rootText(root: string, votes: number, several: boolean): string {
  return several ? `${plain(root.slice(0, ROOT_LENGTH))} ×${votes}` : plain(root.slice(0, 2 * ROOT_LENGTH))
}
