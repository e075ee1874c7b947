import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { LogEntry } from '../log/log.ts'
import { decodeControl, type Marker } from './control.ts'
import { MachineTime, type StampedClock } from './machine-time.ts'
import { GroupStateSchema } from './pb/group_pb.js'
import { Seal } from './seal.ts'

/** What a control entry did, on every replica alike. */
export type Outcome =
  | { readonly type: 'leader'; readonly leader: string; readonly term: number }
  | { readonly type: 'marker'; readonly index: number; readonly marker: Marker }
  | { readonly type: 'attested'; readonly anchor: number; readonly author: string; readonly root: Uint8Array }
  /** A root has the majority. `minority` is who has attested another one until here, and which. */
  | {
      readonly type: 'sealed'
      readonly anchor: number
      readonly root: Uint8Array
      readonly minority: ReadonlyMap<string, Uint8Array>
    }
  /** No root can get the majority any more. `roots` is who has attested which until here. */
  | { readonly type: 'disputed'; readonly anchor: number; readonly roots: ReadonlyMap<string, Uint8Array> }
  /** An elector attested another root than the sealed one. */
  | {
      readonly type: 'diverged'
      readonly anchor: number
      readonly author: string
      readonly root: Uint8Array
      readonly sealed: Uint8Array
    }
  | { readonly type: 'prune'; readonly upTo: number }
  /** It moved machine time, as every entry does. */
  | { readonly type: 'tick' }
  /** A no-op: of an old term, of no known kind, or about an anchor nobody knows. */
  | { readonly type: 'void'; readonly why: string }

/** What a snapshot carries of the group's state. */
export interface CarriedState {
  readonly term: number
  readonly leader: string | undefined
  /** Machine time, in whole milliseconds. */
  readonly timeMs: number
  readonly clocks: readonly StampedClock[]
  /** The id of the newest entry; empty before the first. */
  readonly entryId: string
}

/** Reads what `GroupState.encode` wrote. Throws for bytes that it did not. */
export function decodeGroupState(bytes: Uint8Array): CarriedState {
  const { term, leader, timeMs, entryId, clocks } = fromBinary(GroupStateSchema, bytes)
  return {
    term: Number(term),
    leader: leader === '' ? undefined : leader,
    timeMs: Number(timeMs),
    clocks: clocks.map((clock) => ({ timestampMs: Number(clock.timestampMs), timeMs: Number(clock.timeMs) })),
    entryId,
  }
}

/** Anchors whose attestations are still counted; older ones have long expired. */
const ANCHORS_MAX = 16

/**
 * What follows from the control entries up to a position: the same on every replica there. Entries are applied in log
 * order; the first claim of the next term wins, and a marker or a prune whose term is not the newest at its place in
 * the log does nothing. A replica has one such object for its whole life: an install restores it.
 */
export class GroupState {
  #term = 0
  #leader: string | undefined
  #claimIndex = 0
  #time = new MachineTime()
  #entryId = ''
  readonly #anchors = new Map<number, Seal>()
  /** The attestations of older anchors are not counted any more, or never were here. */
  #countedFrom = 0

  /** Counts claims; 0 before the first. */
  get term(): number {
    return this.#term
  }

  get leader(): string | undefined {
    return this.#leader
  }

  /** Where the leader's claim is; 0 if it was applied by another replica, before the snapshot this one began with. */
  get claimIndex(): number {
    return this.#claimIndex
  }

  /** Machine time, in whole milliseconds. */
  get timeMs(): number {
    return this.#time.ms
  }

  /** See `MachineTime.clocks`. */
  get clocks(): readonly StampedClock[] {
    return this.#time.clocks
  }

  /** See `MachineTime.at`. */
  timeAt(timestampMs: number): number | undefined {
    return this.#time.at(timestampMs)
  }

  seal(anchor: number): Seal | undefined {
    return this.#anchors.get(anchor)
  }

  /**
   * Electors that have attested nothing at an anchor that is still open, of those that are overdue, nor at any since: they
   * are there, and yet hold up every seal they are needed for.
   */
  silent(overdue: (anchor: number) => boolean): ReadonlySet<string> {
    const silent = new Set<string>()
    for (const [anchor, seal] of this.#anchors) {
      for (const elector of seal.attestations.keys()) silent.delete(elector)
      if (seal.state !== 'open' || !overdue(anchor)) continue
      for (const elector of seal.silent) silent.add(elector)
    }
    return silent
  }

  /** The id of the newest entry; empty before the first. */
  get entryId(): string {
    return this.#entryId
  }

  /** Every entry, of whatever kind, is the newest for a while. */
  reached(entryId: string): void {
    this.#entryId = entryId
  }

  /** Every entry, users' commands too, moves machine time. Returns whether it did. */
  advance(timestampMs: number): boolean {
    return this.#time.advance(timestampMs)
  }

  apply(entry: LogEntry): Outcome {
    const control = decodeControl(entry.payload)
    if (control === undefined) return { type: 'void', why: 'it is no control entry that this version knows' }
    switch (control.type) {
      case 'claim':
        if (control.term !== this.#term + 1) return this.#void(entry.author, control.term)
        this.#term = control.term
        this.#leader = entry.author
        this.#claimIndex = entry.index
        return { type: 'leader', leader: entry.author, term: control.term }
      case 'marker':
        if (!this.#leads(entry.author, control.term)) return this.#void(entry.author, control.term)
        this.#track(entry.index, control.electorate)
        return { type: 'marker', index: entry.index, marker: control }
      case 'attestation': {
        const { anchor, root } = control
        const seal = this.#anchors.get(anchor)
        if (seal === undefined && anchor >= this.#countedFrom) {
          return { type: 'void', why: `there is no marker at ${anchor}` }
        }
        return seal === undefined
          ? { type: 'attested', anchor, author: entry.author, root }
          : attested(seal, anchor, entry.author, root)
      }
      case 'prune':
        if (!this.#leads(entry.author, control.term)) return this.#void(entry.author, control.term)
        return { type: 'prune', upTo: Math.min(control.upTo, entry.index - 1) }
      case 'tick':
        return this.#leads(entry.author, control.term)
          ? { type: 'tick' }
          : this.#void(entry.author, control.term)
      default:
        return control satisfies never
    }
  }

  /** The part that a snapshot carries: a replica that installs it goes on with the same leader and time. */
  encode(): Uint8Array {
    const message = {
      term: BigInt(this.#term),
      leader: this.#leader ?? '',
      timeMs: BigInt(this.#time.ms),
      entryId: this.#entryId,
      clocks: this.clocks.map(({ timestampMs, timeMs }) => ({
        timestampMs: BigInt(timestampMs),
        timeMs: BigInt(timeMs),
      })),
    }
    return toBinary(GroupStateSchema, create(GroupStateSchema, message))
  }

  /** A snapshot was installed: go on from the state that it carries, as `decodeGroupState` read it. Cannot fail. */
  restore({ term, leader, timeMs, clocks, entryId }: CarriedState): void {
    this.#term = term
    this.#leader = leader
    // Its claim was applied by another replica, before this snapshot.
    this.#claimIndex = 0
    this.#time = new MachineTime(timeMs, clocks)
    this.#entryId = entryId
    // The markers before the snapshot are not in it.
    this.#anchors.clear()
    this.#countedFrom = Number.POSITIVE_INFINITY
  }

  /**
   * The snapshot of this anchor was installed, whose marker is not applied here: its attestations, which all come after it,
   * are counted as by those who applied it.
   */
  installed(anchor: number, electorate: readonly string[]): void {
    this.#track(anchor, electorate)
  }

  #leads(author: string, term: number): boolean {
    return term === this.#term && author === this.#leader
  }

  #void(author: string, term: number): Outcome {
    const office = `term ${this.#term}, which ${this.#leader ?? 'nobody'} leads`
    return { type: 'void', why: `it is of term ${term}, by ${author}; the newest there is ${office}` }
  }

  #track(anchor: number, electorate: readonly string[]): void {
    this.#anchors.set(anchor, new Seal(electorate))
    for (const oldest of this.#anchors.keys()) {
      if (this.#anchors.size <= ANCHORS_MAX) break
      this.#anchors.delete(oldest)
    }
    this.#countedFrom = this.#anchors.keys().next().value!
  }
}

function attested(seal: Seal, anchor: number, author: string, root: Uint8Array): Outcome {
  switch (seal.attest(author, root)) {
    case 'sealed':
      return { type: 'sealed', anchor, root, minority: seal.minority }
    case 'disputed':
      return { type: 'disputed', anchor, roots: new Map(seal.attestations) }
    case 'diverged':
      return { type: 'diverged', anchor, author, root, sealed: seal.root! }
    case undefined:
      return { type: 'attested', anchor, author, root }
  }
}
