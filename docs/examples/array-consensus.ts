import { EventEmitter } from 'node:events'

/**
 * An entry is for the state machine (a word), for the consensus (an elector), or for snapshot sync (the
 * others).
 */
export type Entry =
  | { readonly type: 'word'; readonly word: string }
  | { readonly type: 'elector'; readonly id: string }
  | Marker
  | { readonly type: 'vote'; readonly anchor: number; readonly by: string; readonly root: Uint8Array }

export interface Marker {
  readonly type: 'marker'
  readonly electors: readonly string[]
  readonly requester: string
  /** The indexes of the anchors that it retires. */
  readonly retires: readonly number[]
}

/**
 * A consensus for an example: what is appended is ordered and agreed on at once. The first entry has index 1.
 */
export class ArrayConsensus extends EventEmitter<{ grown: [] }> {
  leader: string | undefined
  /** The first entry that can still be read. */
  first = 1
  readonly #entries: Entry[] = []

  get newest(): number {
    return this.#entries.length
  }

  append(entry: Entry): number {
    const index = this.#entries.push(entry)
    this.emit('grown')
    return index
  }

  read(index: number): Entry {
    if (index < this.first) throw new RangeError(`entry ${index} is pruned`)
    return this.#entries[index - 1]!
  }

  /** What the electors of a marker attested, by the log from the marker on. The first vote of each counts. */
  votes(anchor: number): Map<string, Uint8Array> {
    const roots = new Map<string, Uint8Array>()
    const { electors } = this.read(anchor) as Marker
    for (const entry of this.#entries.slice(anchor)) {
      if (entry.type !== 'vote' || entry.anchor !== anchor || roots.has(entry.by)) continue
      if (electors.includes(entry.by)) roots.set(entry.by, entry.root)
    }
    return roots
  }

  /**
   * The root that a majority of the electors attested; 'disputed' once none can get one; undefined until
   * then.
   */
  verdict(anchor: number): Uint8Array | 'disputed' | undefined {
    const { electors } = this.read(anchor) as Marker
    const roots = [...this.votes(anchor).values()]
    const counts = roots.map((root) => roots.filter((other) => Buffer.compare(root, other) === 0).length)
    const most = Math.max(0, ...counts)
    if (most * 2 > electors.length) return roots[counts.indexOf(most)]
    const silent = electors.length - roots.length
    return (most + silent) * 2 > electors.length ? undefined : 'disputed'
  }
}
