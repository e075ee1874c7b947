import { raceSignal } from 'race-signal'
import type { Guarded } from '../../group/control.ts'
import type { GroupState } from '../../group/group-state.ts'
import { AppendUncertain } from '../../log/errors.ts'
import type { Appended, LogEntry } from '../../log/log.ts'
import type { Written } from '../../machine/machine.ts'
import type { Position } from '../../position.ts'
import { asError } from '../../thrown.ts'

/** What identifies an entry. */
type Entry = Pick<LogEntry, 'index' | 'id' | 'author' | 'message'>

/** What became of a write at its place in the log. */
export type Fate<Result> =
  | { readonly type: 'applied'; readonly result: Result | undefined }
  /** A write with its key was applied before. */
  | { readonly type: 'repeated'; readonly first: number }
  /** It was not applied, and never will be. */
  | { readonly type: 'refused'; readonly error: Error }

/** The conditions of a write. */
export type Conditions = Pick<Guarded, 'key' | 'expect'>

export interface TrackOptions {
  readonly signal?: AbortSignal | undefined
  readonly conditions?: Conditions | undefined
}

interface Waiting<Result> {
  readonly id: string | undefined
  readonly conditions: Conditions | undefined
  readonly resolve: (written: Written<Result>) => void
  readonly reject: (reason: Error) => void
}

/**
 * This replica's own writes, from the append to their result. An entry may be applied before its append has
 * told us its index. So results of own entries are kept while any append is under way. A write rejects if
 * another entry has its place in the log: servers that came apart acknowledge entries that they then lose.
 */
export class Writes<Result> {
  readonly #epoch: string
  readonly #self: string
  readonly #group: Pick<GroupState, 'appliedOf'>
  readonly #waiting = new Map<number, Waiting<Result>>()
  readonly #early = new Map<number, { readonly id: string; readonly fate: Fate<Result> }>()
  /** Appends under way, oldest first. The entries of each come behind what was applied when it began. */
  readonly #appending = new Set<{ readonly behind: number }>()
  #applied = 0
  /** Entries up to here may be in the state because a snapshot was installed. */
  #covered = 0
  #failure: Error | undefined

  constructor(epoch: string, self: string, group: Pick<GroupState, 'appliedOf'>) {
    this.#epoch = epoch
    this.#self = self
    this.#group = group
  }

  /** True when the results of this replica's own entries are wanted. */
  get wanted(): boolean {
    return this.#appending.size > 0 || this.#waiting.size > 0
  }

  async track(
    append: () => Promise<Pick<Appended, 'first' | 'firstId'>>,
    { signal, conditions }: TrackOptions = {},
  ): Promise<Written<Result>> {
    const appending = { behind: this.#applied }
    this.#appending.add(appending)
    let index = 0
    let id: string | undefined
    let early: { readonly id: string; readonly fate: Fate<Result> } | undefined
    try {
      const appended = await append()
      index = appended.first
      id = appended.firstId
      early = this.#early.get(index)
    } finally {
      this.#appending.delete(appending)
      this.#early.delete(index)
      this.#forgetEarly()
    }
    if (index <= this.#applied) {
      const isThere = early === undefined ? index <= this.#covered : early.id === (id ?? early.id)
      if (!isThere) throw anotherAt(index)
      return early === undefined ? this.#coveredAt(index, conditions) : this.#written(index, early.fate)
    }
    if (this.#failure !== undefined) throw this.#failure
    const { promise, resolve, reject } = Promise.withResolvers<Written<Result>>()
    // A log that was put back has the same place for another entry of this replica.
    this.#waiting.get(index)?.reject(anotherAt(index))
    const waiting = { id, conditions, resolve, reject }
    this.#waiting.set(index, waiting)
    try {
      return await raceSignal(promise, signal)
    } finally {
      if (this.#waiting.get(index) === waiting) this.#waiting.delete(index)
    }
  }

  /**
   * An entry was applied, this replica's own or another's, while results are wanted.
   * @param fate undefined for an entry that is no write
   */
  applied({ index, id, author, message }: Entry, fate: Fate<Result> | undefined): void {
    this.#applied = index
    // A message has no author. Its place and its id tell whose it is.
    const own = author === this.#self || message !== undefined ? fate : undefined
    const waiting = this.#waiting.get(index)
    if (waiting !== undefined) {
      this.#waiting.delete(index)
      if (own === undefined || id !== (waiting.id ?? id)) waiting.reject(anotherAt(index))
      else settle(waiting, () => this.#written(index, own))
    } else if (own !== undefined && this.#appending.size > 0) {
      this.#early.set(index, { id, fate: own })
    }
  }

  /** Everything up to `index` is in the state, perhaps because a snapshot was installed. */
  covered(index: number): void {
    this.#applied = Math.max(this.#applied, index)
    this.#covered = Math.max(this.#covered, index)
    for (const [waitingIndex, waiting] of this.#waiting) {
      if (waitingIndex > index) continue
      this.#waiting.delete(waitingIndex)
      settle(waiting, () => this.#coveredAt(waitingIndex, waiting.conditions))
    }
  }

  /**
   * Nothing will be applied. Callers that wait are told why, and so are callers that write before `recover`.
   */
  fail(reason: Error): void {
    this.#failure = reason
    for (const { reject } of this.#waiting.values()) reject(reason)
    this.#waiting.clear()
  }

  /** There may be a state again. */
  recover(): void {
    this.#failure = undefined
  }

  /**
   * Forget the results that no append under way can ask for. In a stream that others write, each of their messages may
   * be an own one, so these would be many while some append is always under way.
   */
  #forgetEarly(): void {
    const [oldest] = this.#appending
    if (oldest === undefined) return this.#early.clear()
    for (const index of this.#early.keys()) {
      if (index > oldest.behind) return
      this.#early.delete(index)
    }
  }

  #written(index: number, fate: Fate<Result>): Written<Result> {
    switch (fate.type) {
      case 'applied':
        return { position: this.#position(index), result: fate.result }
      case 'repeated':
        return { position: this.#position(fate.first), result: undefined, repeated: true }
      case 'refused':
        throw fate.error
      default:
        return fate satisfies never
    }
  }

  /** A snapshot that is installed covers the write. Only a key tells whether its conditions were met. */
  #coveredAt(index: number, conditions: Conditions | undefined): Written<Result> {
    if (conditions === undefined) return this.#written(index, { type: 'applied', result: undefined })
    const first = conditions.key && this.#group.appliedOf(conditions.key)
    if (first === undefined) throw new AppendUncertain(`entry ${index} is covered by a snapshot`)
    const fate: Fate<Result> =
      first === index ? { type: 'applied', result: undefined } : { type: 'repeated', first }
    return this.#written(index, fate)
  }

  #position(index: number): Position {
    return { epoch: this.#epoch, index }
  }
}

function settle<Result>({ resolve, reject }: Waiting<Result>, written: () => Written<Result>): void {
  try {
    resolve(written())
  } catch (error) {
    reject(asError(error))
  }
}

function anotherAt(index: number): AppendUncertain {
  return new AppendUncertain(`entry ${index} was acknowledged, and the log holds another one there`)
}
