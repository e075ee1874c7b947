import { type Control, decodeControl } from '../../group/control.ts'
import { FIRST_FORMAT } from '../../group/formats.ts'
import { GroupState } from '../../group/group-state.ts'
import type { Outcome } from '../../group/outcome.ts'
import { Versions } from '../../group/versions.ts'
import type { Log, LogEntry } from '../../log/log.ts'
import type { Position } from '../../position.ts'
import type { GroupEvent } from './group-event.ts'

/** What the group was when it is first known. */
interface Learnt {
  readonly term: number
  readonly leader: string | undefined
  readonly format?: number
  readonly signature?: string
}

/**
 * Says what control entries decide, with the group's own code. If it begins in the middle
 * of the log, it learns from the entries who leads and what the group speaks: only a leader writes markers, prunes and
 * ticks of its term.
 */
export class LogEvents {
  readonly #epoch: string
  readonly #group: GroupState
  readonly #isPartial: boolean
  /** The leader of this term wrote more than a claim, which may have come second. */
  #leaderIsSure = false
  #signatureIsSure = false

  /** @param from the index of the first entry that will be taken */
  constructor({ epoch, signature }: Pick<Log, 'epoch' | 'signature'>, from: number) {
    this.#epoch = epoch
    this.#group = new GroupState({ signature, versions: new Versions({ signature }) })
    this.#isPartial = from > 1
    if (this.#isPartial) this.#restore({ term: 0, leader: undefined })
  }

  /** The entries are to come in order. */
  take(entry: LogEntry): GroupEvent[] {
    if (entry.kind !== 'control' || entry.epoch !== this.#epoch) return []
    const control = decodeControl(entry.payload)
    // A command with conditions is the machine's.
    if (control?.type === 'guarded') return []
    if (this.#isPartial && control !== undefined) this.#learn(entry, control)
    return this.#events(entry, this.#group.apply(entry) as Outcome)
  }

  #events(entry: LogEntry, outcome: Outcome): GroupEvent[] {
    const { index, author } = entry
    const one = { atMs: entry.timestampMs, index, member: author }
    switch (outcome.type) {
      case 'leader': {
        const { leader, term } = outcome
        return [{ event: 'leader', ...one, detail: { leader, term } }]
      }
      case 'marker': {
        const { electorate, requesters } = outcome.marker
        return [{ event: 'marked', ...one, detail: { anchor: this.#at(index), electorate, requesters } }]
      }
      case 'attested':
        return [this.#attested(entry, outcome)]
      case 'sealed': {
        const { root, minority } = outcome
        const anchor = this.#at(outcome.anchor)
        const diverged = Array.from(minority, ([replica, other]): GroupEvent => {
          return { event: 'divergence', ...one, detail: { anchor, replica, root: other, sealed: root } }
        })
        const sealed: GroupEvent = { event: 'sealed', ...one, detail: { anchor, root } }
        return [this.#attested(entry, outcome), sealed, ...diverged]
      }
      case 'disputed': {
        const { anchor, roots } = outcome
        const disputed: GroupEvent = {
          ...one,
          event: 'disputed',
          detail: { anchor: this.#at(anchor), roots },
        }
        return [this.#attested(entry, { anchor, root: roots.get(author)! }), disputed]
      }
      case 'diverged': {
        const { author: replica, root, sealed } = outcome
        const detail = { anchor: this.#at(outcome.anchor), replica, root, sealed }
        return [this.#attested(entry, outcome), { event: 'divergence', ...one, detail }]
      }
      case 'prune':
        return [{ event: 'prune', ...one, detail: { upTo: outcome.upTo } }]
      case 'upgraded': {
        const { format, from, to } = outcome
        return [{ event: 'upgraded', ...one, detail: { position: this.#at(index), format, from, to } }]
      }
      case 'genesis': {
        const { root, format, signature, source } = outcome.genesis
        return [{ event: 'genesis', ...one, detail: { root, format, signature, source } }]
      }
      case 'tick':
        return []
      case 'void':
        return [{ event: 'void', ...one, detail: { why: outcome.why } }]
      default:
        return outcome satisfies never
    }
  }

  #attested(
    { timestampMs: atMs, index, author: member }: LogEntry,
    { anchor, root }: { readonly anchor: number; readonly root: Uint8Array },
  ): GroupEvent {
    return { event: 'attested', atMs, index, member, detail: { anchor: this.#at(anchor), root } }
  }

  #learn({ author }: LogEntry, control: Control): void {
    if (!('term' in control)) return
    const { type, term } = control
    const known = this.#group.term
    if (type === 'claim') {
      this.#leaderIsSure = known > 0 && term === known + 1
      const format = control.format ?? FIRST_FORMAT
      if (known === 0 || term > known + 1) this.#restore({ term: term - 1, leader: undefined, format })
      return
    }
    const isNews = term > known || (term === known && !this.#leaderIsSure && author !== this.#group.leader)
    if (isNews) this.#restore({ term, leader: author })
    if (term < known) return
    this.#leaderIsSure = true
    if (this.#signatureIsSure) return
    const signature = type === 'upgrade' ? control.from : type === 'marker' ? control.signature : undefined
    this.#signatureIsSure = signature !== undefined
    if (signature !== undefined && signature !== this.#group.signature)
      this.#restore({ term, leader: author, signature })
  }

  #restore({ term, leader, format = this.#group.format, signature = this.#group.signature }: Learnt): void {
    const carried = { timeMs: 0, clocks: [], entryId: '', lastCommand: 0, recent: [] }
    this.#group.restore({ ...carried, term, leader, format, signature })
  }

  #at(index: number): Position {
    return { epoch: this.#epoch, index }
  }
}
