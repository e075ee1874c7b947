import { type Control, decodeControl, type Guarded, type Upgrade } from '../../../group/control.ts'
import type { LogEntry } from '../../../log/log.ts'

/** Nothing follows from attestations of older anchors than this many, though they are kept here. */
const ANCHORS_COUNTED = 16

/** What a model needs of an entry of the log. */
export type ModelEntry = Pick<LogEntry, 'index' | 'epoch' | 'timestampMs' | 'author' | 'kind' | 'payload'>

/** An office, and from which entry on it is held. */
export interface Office {
  readonly index: number
  readonly term: number
  readonly leader: string | undefined
}

/** The first attestation of an elector. Its root is in hexadecimal, to be compared with `===`. */
export interface Attested {
  /** The attestation's own index. */
  readonly at: number
  readonly author: string
  readonly root: string
}

/** A marker that was valid at its place, and all that came of it later. */
export interface AnchorFacts {
  readonly index: number
  readonly leader: string
  readonly term: number
  /** Each elector once. */
  readonly electorate: readonly string[]
  readonly requesters: readonly string[]
  readonly chunkBytes: number
  readonly retires: readonly number[]
  /** In the order of the log: the first of each elector. */
  readonly attested: readonly Attested[]
  /** The root of the majority, and the attestation that made it so. Undefined before. */
  readonly seal: { readonly at: number; readonly root: string } | undefined
  /** The entry after which no root can get the majority any more. */
  readonly disputedAt: number | undefined
}

/** A prune that was valid at its place. */
export interface AgreedPrune {
  readonly index: number
  readonly author: string
  /** The newest entry that it removes. */
  readonly upTo: number
}

/** What a group speaks, and from which entry on. */
export interface SpokenVersion {
  readonly index: number
  /** The format of the group's state. */
  readonly format: number
  /** The machine's signature. */
  readonly signature: string
}

/** What a control entry does, in a word. A command, or an entry of another epoch, does nothing here. */
export type Effect =
  | { readonly type: 'leader' | 'marker' | 'tick' | 'attested' | 'void' }
  | { readonly type: 'sealed' | 'disputed' | 'diverged'; readonly anchor: number }
  | { readonly type: 'prune'; readonly upTo: number }
  | { readonly type: 'upgraded'; readonly format: number; readonly from: string; readonly to: string }
  | GuardEffect

/** Whether a command with conditions is applied. If not: the write before it that had its key, or that it did not expect. */
export type GuardEffect =
  | { readonly type: 'met'; readonly guarded: Guarded }
  | { readonly type: 'repeated'; readonly first: number }
  | { readonly type: 'conflict'; readonly newest: number }

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }
type OpenAnchor = Writable<AnchorFacts> & { readonly attested: Attested[] }

/** The format of a group's state before its log says anything. */
const FORMAT_FIRST = 1
/** So many keys of commands are remembered, the newest ones. */
const KEYS_REMEMBERED = 2_048

const NOBODY: Office = { index: 0, term: 0, leader: undefined }

/**
 * What the control entries of a log mean, as a record of everything that was ever valid. What holds at an
 * index is found by leaving out what came later: nothing in the record is ever taken back.
 */
export class GroupModel {
  readonly #offices: Office[] = [NOBODY]
  readonly #anchors = new Map<number, OpenAnchor>()
  readonly #markers: OpenAnchor[] = []
  readonly #prunes: AgreedPrune[] = []
  /** The oldest first. */
  readonly #spoken: SpokenVersion[]
  /** The indexes of commands that were applied since the format knows of conditions, the newest last. */
  readonly #commands: number[] = []
  /** All that had a key and were obeyed, by the keys in hexadecimal. */
  readonly #keyed: { readonly key: string; readonly index: number }[] = []

  /** @param bound what the log is bound to: the machine's signature before the first upgrade */
  constructor(bound: string) {
    this.#spoken = [{ index: 0, format: FORMAT_FIRST, signature: bound }]
  }

  /** The number of claims that won so far. */
  get term(): number {
    return this.#newest.term
  }

  /** Who leads now. */
  get leader(): string | undefined {
    return this.#newest.leader
  }

  /** What the group speaks now. */
  get spoken(): SpokenVersion {
    return this.#spoken.at(-1)!
  }

  /** All that it ever spoke, the oldest first. */
  get versions(): readonly SpokenVersion[] {
    return this.#spoken
  }

  /** What the group speaks after the entry at `index`. */
  spokenAt(index: number): SpokenVersion {
    return this.#spoken[countUpTo(this.#spoken, index) - 1]!
  }

  /** By the index of their markers, the oldest first. */
  get anchors(): ReadonlyMap<number, AnchorFacts> {
    return this.#anchors
  }

  /** The oldest first. */
  get prunes(): readonly AgreedPrune[] {
    return this.#prunes
  }

  /** The next control entry of the log. It must be of the log's own epoch. */
  apply({ index, author, payload }: Pick<ModelEntry, 'index' | 'author' | 'payload'>): Effect {
    const control = decodeControl(payload)
    if (control === undefined) return { type: 'void' }
    switch (control.type) {
      case 'claim':
        if (control.term !== this.#newest.term + 1) return { type: 'void' }
        if (this.spoken.format > FORMAT_FIRST && control.format !== this.spoken.format)
          return { type: 'void' }
        this.#offices.push({ index, term: control.term, leader: author })
        if (control.term === 1) this.#begin(index, control.format ?? FORMAT_FIRST)
        return { type: 'leader' }
      case 'marker':
        if (!this.#holds(author, control.term)) return { type: 'void' }
        // The first format's markers name no version.
        if (this.spoken.format > FORMAT_FIRST && control.signature !== this.spoken.signature)
          return { type: 'void' }
        this.#mark(index, author, control)
        return { type: 'marker' }
      case 'attestation':
        return this.#attest(control.anchor, { at: index, author, root: hex(control.root) })
      case 'prune': {
        if (!this.#holds(author, control.term)) return { type: 'void' }
        const upTo = Math.min(control.upTo, index - 1)
        this.#prunes.push({ index, author, upTo })
        return { type: 'prune', upTo }
      }
      case 'tick':
        return { type: this.#holds(author, control.term) ? 'tick' : 'void' }
      case 'upgrade':
        return this.#holds(author, control.term) ? this.#upgrade(index, control) : { type: 'void' }
      case 'genesis':
        return { type: 'void' }
      case 'guarded':
        return this.spoken.format === FORMAT_FIRST ? { type: 'void' } : this.#judge(control)
      default:
        return control satisfies never
    }
  }

  /**
   * The command at `index` was applied.
   * @param key of a write that was obeyed
   */
  commanded(index: number, key?: Uint8Array): void {
    if (this.spoken.format === FORMAT_FIRST) return
    this.#commands.push(index)
    if (key !== undefined) this.#keyed.push({ key: hex(key), index })
  }

  /** The indexes of the writes whose keys are remembered now, oldest first. */
  get remembered(): readonly number[] {
    return this.#keyed.slice(-KEYS_REMEMBERED).map(({ index }) => index)
  }

  /** What holds after the entry at `index`, as nothing that came later counts. */
  at(index: number): GroupView {
    const { term, leader, index: claimIndex } = this.#offices[countUpTo(this.#offices, index) - 1] ?? NOBODY
    const markers = this.#markers.slice(0, countUpTo(this.#markers, index))
    const prunes = this.#prunes.slice(0, countUpTo(this.#prunes, index))
    return {
      term,
      leader,
      claimIndex,
      prunes,
      spoken: this.spokenAt(index),
      anchors: new Map(markers.map((anchor) => [anchor.index, asOf(anchor, index)])),
    }
  }

  get #newest(): Office {
    return this.#offices.at(-1)!
  }

  #holds(author: string, term: number): boolean {
    return author === this.#newest.leader && term === this.#newest.term
  }

  /** Since which entry commands are counted: it is where the format began to know of conditions. */
  get #countedFrom(): number {
    return this.#spoken.find(({ format }) => format > FORMAT_FIRST)!.index
  }

  #judge(guarded: Guarded): Effect {
    const { key, expect } = guarded
    const named = key && hex(key)
    const earlier = this.#keyed.slice(-KEYS_REMEMBERED).find((write) => write.key === named)
    if (earlier !== undefined) return { type: 'repeated', first: earlier.index }
    const newest = this.#commands.at(-1) ?? this.#countedFrom
    return expect === undefined || newest <= expect ? { type: 'met', guarded } : { type: 'conflict', newest }
  }

  /** The first claim of a log says in which format the group begins. */
  #begin(index: number, format: number): void {
    const { signature } = this.spoken
    if (format > FORMAT_FIRST) this.#spoken.push({ index, format, signature })
  }

  /** It goes from what is spoken there, and never to an older format, nor nowhere. */
  #upgrade(index: number, { format, from, to }: Upgrade): Effect {
    const { spoken } = this
    if (from !== spoken.signature || format < spoken.format) return { type: 'void' }
    if (format === spoken.format && to === from) return { type: 'void' }
    // The first format has no place for it.
    if (format === FORMAT_FIRST) return { type: 'void' }
    this.#spoken.push({ index, format, signature: to })
    return { type: 'upgraded', format, from, to }
  }

  #mark(index: number, leader: string, marker: Control & { readonly type: 'marker' }): void {
    const { term, electorate, requesters, chunkBytes, retires = [] } = marker
    const anchor: OpenAnchor = {
      index,
      leader,
      term,
      electorate: [...new Set(electorate)],
      requesters,
      chunkBytes,
      retires,
      attested: [],
      seal: undefined,
      disputedAt: undefined,
    }
    this.#anchors.set(index, anchor)
    this.#markers.push(anchor)
  }

  #attest(anchorIndex: number, attestation: Attested): Effect {
    const oldestCounted = this.#markers.at(-ANCHORS_COUNTED) ?? this.#markers[0]
    const isOld = oldestCounted !== undefined && anchorIndex < oldestCounted.index
    const anchor = this.#anchors.get(anchorIndex)
    if (anchor === undefined) return { type: isOld ? 'attested' : 'void' }
    const effect = count(anchor, attestation)
    return effect === undefined || isOld ? { type: 'attested' } : { type: effect, anchor: anchorIndex }
  }
}

/** Count one more attestation of an anchor. Undefined if nothing follows from it. */
function count(anchor: OpenAnchor, attestation: Attested): 'sealed' | 'disputed' | 'diverged' | undefined {
  const { electorate, attested, seal } = anchor
  const { author, root, at } = attestation
  if (!electorate.includes(author) || attested.some((other) => other.author === author)) return undefined
  attested.push(attestation)
  if (anchor.disputedAt !== undefined) return undefined
  if (seal !== undefined) return root === seal.root ? undefined : 'diverged'
  const votes = Math.max(...attested.map((one) => attested.filter((other) => other.root === one.root).length))
  const majority = Math.floor(electorate.length / 2) + 1
  if (votes >= majority) {
    anchor.seal = { at, root }
    return 'sealed'
  }
  if (votes + electorate.length - attested.length >= majority) return undefined
  anchor.disputedAt = at
  return 'disputed'
}

/** What the control entries up to an index say. */
export interface GroupView {
  readonly term: number
  readonly leader: string | undefined
  /** The index of the leader's claim; 0 before the first. */
  readonly claimIndex: number
  /** By the index of their markers, the oldest first. */
  readonly anchors: ReadonlyMap<number, AnchorFacts>
  /** The oldest first. */
  readonly prunes: readonly AgreedPrune[]
  readonly spoken: SpokenVersion
}

/** Without what came after `index`. */
function asOf(anchor: AnchorFacts, index: number): AnchorFacts {
  const { attested, seal, disputedAt } = anchor
  return {
    ...anchor,
    attested: attested.filter(({ at }) => at <= index),
    seal: seal !== undefined && seal.at <= index ? seal : undefined,
    disputedAt: disputedAt !== undefined && disputedAt <= index ? disputedAt : undefined,
  }
}

/** How many of these, which are sorted by index, are at `index` or before it. */
function countUpTo(sorted: readonly { readonly index: number }[], index: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]!.index <= index) low = middle + 1
    else high = middle
  }
  return low
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
