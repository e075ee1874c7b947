import { create, toBinary } from '@bufbuild/protobuf'
import type { LogEntry } from '../log/log.ts'
import { begunWith, type CarriedState, decodeGroupState } from './carried-state.ts'
import { type Control, decodeControl } from './control.ts'
import { FIRST_FORMAT } from './formats.ts'
import { MachineTime, type StampedClock } from './machine-time.ts'
import type { Outcome } from './outcome.ts'
import { GroupStateSchema } from './pb/group_pb.js'
import { RecentWrites, type Verdict } from './recent-writes.ts'
import { Seal } from './seal.ts'
import { Versions } from './versions.ts'

export interface GroupStateInit {
  /** What the log is bound to: the version of the machine that the group speaks before its first upgrade. */
  readonly signature: string
  /** What this process speaks. */
  readonly versions: Versions
}

/** An anchor, and what was attested of it up to a position of the log. */
export interface AnchorVotes {
  /** The index of its marker. */
  readonly index: number
  /** The PeerIds of those that may attest. */
  readonly electorate: readonly string[]
  /** The root that each elector attested so far. */
  readonly attested: ReadonlyMap<string, Uint8Array>
  readonly state: Seal['state']
}

/** Attestations are counted for this many of the newest anchors. Older anchors have long expired. */
const ANCHORS_MAX = 16

/**
 * The group's state, as it follows from the control entries up to a position: the same on every replica
 * there. Entries are applied in log order. The first claim of the next term wins. A marker or a prune does
 * nothing if its term is not the newest at its place in the log. A replica has one such object for its whole
 * life: an install restores it.
 */
export class GroupState {
  readonly versions: Versions
  /** What the log is bound to: the version before its first upgrade. */
  readonly bound: string
  #format = FIRST_FORMAT
  #signature: string
  readonly #writes = new RecentWrites()
  #term = 0
  #leader: string | undefined
  #claimIndex = 0
  #time = new MachineTime()
  /** The newest entry. Its id is made only where it is asked for. */
  #entry: Pick<LogEntry, 'id'> = { id: '' }
  readonly #anchors = new Map<number, Seal>()
  /** Attestations of anchors before this index are not counted any more, or never were here. */
  #countedFrom = 0

  /** Default: a machine of one version, without a name. */
  constructor(init: GroupStateInit = { signature: '', versions: new Versions({ signature: '' }) }) {
    this.versions = init.versions
    this.bound = init.signature
    this.#signature = init.signature
  }

  /** The version of the machine that a snapshot is of, by the state of the group that it carries. */
  signatureIn(control: Uint8Array): string {
    return decodeGroupState(control).signature ?? this.bound
  }

  /** The format of this state. All replicas have the same at a position. */
  get format(): number {
    return this.#format
  }

  /** The version of the machine that the group speaks here: commands and captures are of it. */
  get signature(): string {
    return this.#signature
  }

  /** The index of the newest command that was applied, or of the entry since which that is counted. */
  get lastCommand(): number {
    return this.#writes.newest
  }

  /** See `RecentWrites.indexOf`. */
  appliedOf(key: Uint8Array): number | undefined {
    return this.#writes.indexOf(key)
  }

  /** See `RecentWrites.applied`. */
  commanded(index: number, key?: Uint8Array): void {
    this.#writes.applied(index, key)
  }

  /** The number of the newest claim that won; 0 before the first. */
  get term(): number {
    return this.#term
  }

  get leader(): string | undefined {
    return this.#leader
  }

  /**
   * The index of the leader's claim. It is 0 if another replica applied the claim, before the snapshot that
   * this one installed.
   */
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

  /** The newest anchors, at most 16, oldest first. Sealed and disputed ones stay until newer ones take their place. */
  get anchors(): AnchorVotes[] {
    return [...this.#anchors].map(([index, seal]) => {
      const { electorate, attestations, state } = seal
      return { index, electorate, attested: new Map(attestations), state }
    })
  }

  /**
   * Electors that attested nothing at an overdue anchor that is still open, nor at any later one. They are
   * members, and yet hold up every seal that needs them.
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
    return this.#entry.id
  }

  /** An entry of any kind was applied: it is the newest now. */
  reached(entry: Pick<LogEntry, 'id'>): void {
    this.#entry = entry
  }

  /**
   * Move machine time by an entry's timestamp. Every entry does so, users' commands too. Returns whether time
   * moved.
   */
  advance(timestampMs: number): boolean {
    return this.#time.advance(timestampMs)
  }

  /**
   * Throws `UpgradeRequired` for an entry from which on the group speaks what this process does not. Nothing
   * has changed then. Returns whether the machine has another version from there on.
   */
  assertSpoken({ author, payload }: Pick<LogEntry, 'author' | 'payload'>): boolean {
    const asked = this.#asked(author, decodeControl(payload))
    if (asked === undefined) return false
    this.versions.assertSpeak({ format: asked.format, signature: asked.to })
    return asked.to !== this.#signature
  }

  /** The same for the state that a snapshot carries. */
  assertRestorable({ format, signature = this.bound }: CarriedState): void {
    this.versions.assertSpeak({ format, signature })
  }

  /** What the entry decides; of a command with conditions, whether the caller is to apply it. */
  apply(entry: LogEntry): Outcome | Verdict {
    const control = decodeControl(entry.payload)
    if (control === undefined) return { type: 'void', why: 'it is no control entry that this version knows' }
    switch (control.type) {
      case 'claim':
        if (control.term !== this.#term + 1) return this.#void(entry.author, control.term)
        // Who does not know the format would lead another group than everybody else.
        if (this.#format > FIRST_FORMAT && control.format !== this.#format) {
          return { type: 'void', why: `it claims a group of format ${control.format ?? FIRST_FORMAT}` }
        }
        this.#term = control.term
        this.#leader = entry.author
        this.#claimIndex = entry.index
        // The first one of a log decides in which format the group begins.
        if (control.term === 1) this.#raise(control.format ?? FIRST_FORMAT, entry.index)
        return { type: 'leader', leader: entry.author, term: control.term }
      case 'marker':
        if (!this.#leads(entry.author, control.term)) return this.#void(entry.author, control.term)
        // An upgrade came between. Who installs the snapshot would take it for one of the older version.
        if (this.#format > FIRST_FORMAT && control.signature !== this.#signature) {
          const why = `it marks a state of ${control.signature ?? 'no version'}; the group speaks ${this.#signature}`
          return { type: 'void', why }
        }
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
      case 'upgrade': {
        if (!this.#leads(entry.author, control.term)) return this.#void(entry.author, control.term)
        const { format, from, to } = control
        if (this.#asked(entry.author, control) === undefined) {
          const why = `it goes from ${from} to ${to} in format ${format}`
          return {
            type: 'void',
            why: `${why}; the group speaks ${this.#signature} in format ${this.#format}`,
          }
        }
        this.#signature = to
        this.#raise(format, entry.index)
        return { type: 'upgraded', format, from, to }
      }
      case 'genesis':
        if (entry.index !== 1)
          return { type: 'void', why: 'a log begins with a snapshot only where this is its first entry' }
        this.restore(begunWith(control))
        return { type: 'genesis', genesis: control }
      case 'guarded':
        return this.#format === FIRST_FORMAT
          ? {
              type: 'void',
              why: 'the group speaks format 1, in which commands have no conditions',
              format: this.#format,
            }
          : this.#writes.judge(control)
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
      entryId: this.entryId,
      clocks: this.clocks.map(({ timestampMs, timeMs }) => ({
        timestampMs: BigInt(timestampMs),
        timeMs: BigInt(timeMs),
      })),
      // The first format has none of these, so that processes that know no other have the same bytes.
      ...(this.#format > FIRST_FORMAT && {
        format: this.#format,
        signature: this.#signature,
        lastCommand: BigInt(this.#writes.newest),
      }),
    }
    const state = toBinary(GroupStateSchema, create(GroupStateSchema, message))
    // They are the last field, so these are the bytes of all fields as one message.
    return this.#format > FIRST_FORMAT ? Buffer.concat([state, ...this.#writes.fields]) : state
  }

  /**
   * A snapshot was installed: go on from the state that it carries, as `decodeGroupState` read it. It cannot
   * fail.
   */
  restore({ term, leader, timeMs, clocks, entryId, format, signature, ...writes }: CarriedState): void {
    this.#format = format
    this.#signature = signature ?? this.bound
    this.#writes.restore(writes.lastCommand, writes.recent)
    this.#term = term
    this.#leader = leader
    // Another replica applied its claim, before this snapshot.
    this.#claimIndex = 0
    this.#time = new MachineTime(timeMs, clocks)
    this.#entry = { id: entryId }
    // The markers before the snapshot are not in it.
    this.#anchors.clear()
    this.#countedFrom = Number.POSITIVE_INFINITY
  }

  /**
   * The snapshot of this anchor was installed. Its marker is not applied here. Its attestations all come
   * after it, so they are counted as on the replicas that applied the marker.
   */
  installed(anchor: number, electorate: readonly string[]): void {
    this.#track(anchor, electorate)
  }

  /** What the group is to speak from this entry on; undefined for any other entry, and for one without effect. */
  #asked(
    author: string,
    control: Control | undefined,
  ): { readonly format: number; readonly to: string } | undefined {
    if (control?.type === 'claim') {
      const { term, format = FIRST_FORMAT } = control
      const decides = this.#term === 0 && term === 1 && this.#format === FIRST_FORMAT
      return decides ? { format, to: this.#signature } : undefined
    }
    if (control?.type !== 'upgrade' || !this.#leads(author, control.term)) return undefined
    const { format, from, to } = control
    const isNewer = format > this.#format || (format === this.#format && to !== from)
    // The first format does not carry the signature, so that it could not change for those who install a snapshot.
    const isCarried = format > FIRST_FORMAT || to === from
    return from === this.#signature && isNewer && isCarried ? { format, to } : undefined
  }

  /** From this entry on the state carries more. What it did not carry before begins here, for everybody alike. */
  #raise(format: number, index: number): void {
    if (format <= this.#format) return
    if (this.#format === FIRST_FORMAT) this.#writes.restore(index, [])
    this.#format = format
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
