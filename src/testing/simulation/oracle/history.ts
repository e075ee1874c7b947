import { Refusal } from '../../../machine/errors.ts'
import { type Position, positionKey } from '../../../position.ts'
import {
  type Effect,
  GroupModel,
  type GroupView,
  type ModelEntry,
  type SpokenVersion,
} from './group-model.ts'
import { MachineTimeModel } from './machine-time.ts'
import type { Digest, Model } from './model.ts'

/** How a machine compares with the log. */
export type Verdict =
  | 'right'
  /** It is what the log once held at this index, before it was rewound. */
  | 'dropped'
  /** The log ends before this index, or there never was a log of this epoch. */
  | 'beyond'
  | 'wrong'

interface Reached {
  readonly entry: ModelEntry
  readonly timeMs: number
  /** What `apply` must have returned; undefined for what is no command. */
  readonly result: unknown
  readonly effect: Effect | undefined
  digest: Digest
}

/** What a machine holds at an index. */
interface Held {
  readonly timeMs: number
  readonly digest: string
  /** What the group speaks there. */
  readonly signature: string
}

/** One incarnation of the log: its entries, and what the models say after each. */
class Incarnation<Machine> {
  readonly epoch: string
  readonly group: GroupModel
  readonly #time = new MachineTimeModel()
  readonly #model: Model<Machine>
  readonly #reached: Reached[] = []
  readonly #emptyDigest: Digest

  /** @param bound the version of the machine that the log is bound to */
  constructor(epoch: string, bound: string, model: Model<Machine>) {
    this.epoch = epoch
    this.group = new GroupModel(bound)
    this.#model = model
    this.#emptyDigest = model.digest(0, bound)
  }

  get model(): Model<Machine> {
    return this.#model
  }

  get newest(): number {
    return this.#reached.length
  }

  get entries(): readonly ModelEntry[] {
    return this.#reached.map(({ entry }) => entry)
  }

  /** Undefined for an index that the log does not reach. */
  at(index: number): Reached | undefined {
    return this.#reached[index - 1]
  }

  /** What a machine must hold there. Undefined for an index that the log does not reach. */
  heldAt(index: number): Held | undefined {
    const { signature } = this.group.spokenAt(index)
    if (index === 0) return { timeMs: 0, digest: resolved(this.#emptyDigest), signature }
    const reached = this.at(index)
    if (reached === undefined) return undefined
    reached.digest = resolved(reached.digest)
    return { timeMs: reached.timeMs, digest: reached.digest, signature }
  }

  add(entry: ModelEntry): void {
    const index = this.newest + 1
    if (entry.index !== index) throw new RangeError(`the entry is number ${entry.index}, and not ${index}`)
    // An entry of another epoch counts as one, and does nothing else.
    const isOwn = entry.epoch === this.epoch
    const timeMs = isOwn ? this.#time.add(entry.timestampMs) : this.#time.timeMs
    const effect = isOwn && entry.kind === 'control' ? this.group.apply(entry) : undefined
    if (effect?.type === 'upgraded') this.#model.upgrade?.(effect.from, effect.to)
    const { signature } = this.group.spoken
    let result: unknown
    if (isOwn && entry.kind === 'command') result = this.#command(entry.payload, index, timeMs)
    if (effect?.type === 'met')
      result = this.#command(effect.guarded.command, index, timeMs, effect.guarded.key)
    this.#reached.push({ entry, timeMs, result, effect, digest: this.#model.digest(timeMs, signature) })
  }

  /** @param key of the write. It is remembered if the command does something: if it is neither malformed nor refused. */
  #command(command: Uint8Array, index: number, timeMs: number, key?: Uint8Array): unknown {
    const position = { epoch: this.epoch, index }
    const { signature } = this.group.spoken
    const result = this.#model.apply(command, { position, timeMs, signature })
    const isObeyed = result !== undefined && !(result instanceof Refusal)
    this.group.commanded(index, isObeyed ? key : undefined)
    return result
  }
}

/**
 * Everything that was ever committed to a group's log, and what it means: for each index, what a replica that
 * has applied the entries up to there must hold. It is fed with the record of the log, never with what
 * replicas say.
 *
 * Machines are compared by digests, and not by their items. So an answer costs no more for an old index.
 */
export class History<Machine> {
  readonly #newModel: () => Model<Machine>
  readonly #incarnations = new Map<string, Incarnation<Machine>>()
  /** What the log held before it was rewound, by epoch and index. */
  readonly #dropped = new Map<string, Held[]>()
  #current: Incarnation<Machine>

  /**
   * @param newModel makes a model of an empty machine
   * @param bound the version of the machine that the log is bound to, as far as that matters
   */
  constructor(epoch: string, newModel: () => Model<Machine>, bound = '') {
    this.#newModel = newModel
    this.#current = this.#begin(epoch, bound)
  }

  get epoch(): string {
    return this.#current.epoch
  }

  /** The index of the newest entry. */
  get newest(): number {
    return this.#current.newest
  }

  /** The log was made for this version of the machine. There is no entry in it yet. */
  bind(signature: string): void {
    if (this.newest > 0) throw new RangeError(`the log has ${this.newest} entries, and is bound already`)
    this.#current = this.#begin(this.epoch, signature)
  }

  /** The next committed entry. Its payload must not change later. Throws `RangeError` for a gap. */
  add(entry: ModelEntry): void {
    this.#current.add(entry)
  }

  /** The log lost all entries after `index`. */
  rewind(index: number): void {
    const before = this.#current
    const rewound = this.#begin(before.epoch, before.group.spokenAt(0).signature)
    for (const entry of before.entries.slice(0, index)) rewound.add(entry)
    for (let lost = rewound.newest + 1; lost <= before.newest; lost++) {
      const key = positionKey({ epoch: before.epoch, index: lost })
      this.#dropped.set(key, [...(this.#dropped.get(key) ?? []), before.heldAt(lost)!])
    }
    this.#current = rewound
  }

  /** The log was made anew, without entries. What is asked without an epoch is about this one from now on. */
  recreate(epoch: string): void {
    if (this.#incarnations.has(epoch)) throw new RangeError(`there was a log of epoch ${epoch} before`)
    this.#current = this.#begin(epoch, this.#current.group.spokenAt(0).signature)
  }

  /** The entry at `index`. Undefined if the log does not reach it. */
  entryAt(index: number, epoch = this.epoch): ModelEntry | undefined {
    return this.#incarnations.get(epoch)?.at(index)?.entry
  }

  /** What `apply` must have returned for the command at `index`; undefined for what was skipped. */
  resultAt(index: number, epoch = this.epoch): unknown {
    return this.#incarnations.get(epoch)?.at(index)?.result
  }

  /** What the control entry at `index` does; undefined if none is there. */
  effectAt(index: number, epoch = this.epoch): Effect | undefined {
    return this.#incarnations.get(epoch)?.at(index)?.effect
  }

  /** Machine time after the entry at `index`. Undefined if the log does not reach it. */
  timeMsAt(index: number, epoch = this.epoch): number | undefined {
    return index === 0 ? 0 : this.#incarnations.get(epoch)?.at(index)?.timeMs
  }

  /** Whether machine time after the entry was this, before the log was rewound. */
  wasTimeAt(position: Position, timeMs: number): boolean {
    return this.#dropped.get(positionKey(position))?.some((held) => held.timeMs === timeMs) ?? false
  }

  /** Machine time at which something in the state dies next; undefined if nothing ever does. */
  get dueMs(): number | undefined {
    return this.#current.model.dueMs
  }

  /** What the control entries up to now say. */
  get group(): GroupModel {
    return this.#current.group
  }

  /** What the group speaks after the entry at `index`. */
  spokenAt(index: number, epoch = this.epoch): SpokenVersion | undefined {
    return this.#incarnations.get(epoch)?.group.spokenAt(index)
  }

  /** What the control entries up to `index` say. */
  groupAt(index: number, epoch = this.epoch): GroupView | undefined {
    return this.#incarnations.get(epoch)?.group.at(index)
  }

  /** How much `check` has to read in a machine. */
  sizeOf(machine: Machine): number {
    return this.#current.model.sizeOf?.(machine) ?? 1
  }

  /** Whether a machine that has applied the entries up to a position holds what it must. */
  check(machine: Machine, position: Position): Verdict {
    const { index, epoch } = position
    const incarnation = this.#incarnations.get(epoch)
    if (incarnation === undefined) return 'beyond'
    const { model } = incarnation
    const holds = ({ timeMs, digest, signature }: Held) =>
      model.digestOf(machine, timeMs, signature) === digest
    const held = incarnation.heldAt(index)
    if (held !== undefined && holds(held)) return 'right'
    if (this.#dropped.get(positionKey(position))?.some(holds)) return 'dropped'
    return held === undefined ? 'beyond' : 'wrong'
  }

  /** What is wrong with a machine, in a few lines. It replays the log, so ask it only for a report. */
  explain(machine: Machine, { index, epoch }: Position): string {
    const incarnation = this.#incarnations.get(epoch)
    if (incarnation === undefined) return `there was no log of epoch ${epoch}`
    const bound = incarnation.group.spokenAt(0).signature
    const replayed = new Incarnation(epoch, bound, this.#newModel())
    for (const entry of incarnation.entries.slice(0, index)) replayed.add(entry)
    const held = replayed.heldAt(index)
    if (held === undefined) return `the log ends at ${replayed.newest}, before ${index}`
    const { timeMs, digest, signature } = held
    const lines = replayed.model.explain?.(machine, timeMs, signature) ?? []
    const found = replayed.model.digestOf(machine, timeMs, signature)
    return [`machine time ${timeMs}: expected ${digest}, found ${found}`, ...lines].join('\n  ')
  }

  #begin(epoch: string, bound: string): Incarnation<Machine> {
    const incarnation = new Incarnation(epoch, bound, this.#newModel())
    this.#incarnations.set(epoch, incarnation)
    return incarnation
  }
}

function resolved(digest: Digest): string {
  return typeof digest === 'string' ? digest : digest()
}
