import { decodeControl } from '../../../group/control.ts'
import type { RecordedEntry } from '../log.ts'

/** An anchor, as the log tells of it. */
export interface AnchorFacts {
  readonly index: number
  readonly term: number
  readonly leader: string
  readonly electorate: readonly string[]
  /** What each author attested first, in hexadecimal. */
  readonly roots: Map<string, string>
  /** The root that the majority of the electorate attested, and the entry with which it did. */
  seal?: { readonly root: string; readonly at: number }
}

/** A prune that the group agreed on. */
export interface AgreedPrune {
  readonly index: number
  readonly upTo: number
  readonly author: string
}

/** Who leads, and what the group agreed on, as it follows from the log's control entries alone. */
export class GroupModel {
  readonly anchors = new Map<number, AnchorFacts>()
  readonly prunes: AgreedPrune[] = []
  #term = 0
  #leader = ''

  get term(): number {
    return this.#term
  }

  get leader(): string {
    return this.#leader
  }

  apply({ index, author, payload }: Pick<RecordedEntry, 'index' | 'author' | 'payload'>): void {
    const control = decodeControl(payload)
    if (control === undefined) return
    const isOfLeader = 'term' in control && control.term === this.#term && author === this.#leader
    if (control.type === 'claim' && control.term === this.#term + 1) {
      this.#term = control.term
      this.#leader = author
    } else if (control.type === 'marker' && isOfLeader) {
      const { electorate, term } = control
      this.anchors.set(index, { index, term, leader: author, electorate, roots: new Map() })
    } else if (control.type === 'prune' && isOfLeader) {
      this.prunes.push({ index, upTo: Math.min(control.upTo, index - 1), author })
    } else if (control.type === 'attestation') this.#attest(index, author, control.anchor, control.root)
  }

  #attest(index: number, author: string, at: number, bytes: Uint8Array): void {
    const anchor = this.anchors.get(at)
    if (anchor === undefined || anchor.roots.has(author)) return
    const root = Buffer.from(bytes).toString('hex')
    anchor.roots.set(author, root)
    const electors = new Set(anchor.electorate)
    const agreeing = [...anchor.roots].filter(([who, one]) => electors.has(who) && one === root).length
    if (agreeing * 2 > electors.size) anchor.seal ??= { root, at: index }
  }
}
