import { raceSignal } from 'race-signal'
import { AppendUncertain } from '../../log/errors.ts'
import type { Appended, LogEntry } from '../../log/log.ts'
import type { Written } from '../../machine/machine.ts'
import type { Position } from '../../position.ts'

/** What identifies an entry. */
type Entry = Pick<LogEntry, 'index' | 'id' | 'author' | 'kind'>

interface Waiting<Result> {
  readonly id: string | undefined
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
  readonly #waiting = new Map<number, Waiting<Result>>()
  readonly #early = new Map<number, { readonly id: string; readonly result: Result | undefined }>()
  #appending = 0
  #applied = 0
  /** Entries up to here may be in the state because a snapshot was installed. */
  #covered = 0
  #failure: Error | undefined

  constructor(epoch: string, self: string) {
    this.#epoch = epoch
    this.#self = self
  }

  /** True when the results of this replica's own entries are wanted. */
  get wanted(): boolean {
    return this.#appending > 0 || this.#waiting.size > 0
  }

  async track(
    append: () => Promise<Pick<Appended, 'first' | 'firstId'>>,
    signal?: AbortSignal,
  ): Promise<Written<Result>> {
    this.#appending++
    let index = 0
    let id: string | undefined
    let early: { readonly id: string; readonly result: Result | undefined } | undefined
    try {
      const appended = await append()
      index = appended.first
      id = appended.firstId
      early = this.#early.get(index)
    } finally {
      if (--this.#appending === 0) this.#early.clear()
      else this.#early.delete(index)
    }
    if (index <= this.#applied) {
      const isThere = early === undefined ? index <= this.#covered : early.id === (id ?? early.id)
      if (!isThere) throw anotherAt(index)
      return { position: this.#position(index), result: early?.result }
    }
    if (this.#failure !== undefined) throw this.#failure
    const { promise, resolve, reject } = Promise.withResolvers<Written<Result>>()
    // A log that was put back has the same place for another entry of this replica.
    this.#waiting.get(index)?.reject(anotherAt(index))
    const waiting = { id, resolve, reject }
    this.#waiting.set(index, waiting)
    try {
      return await raceSignal(promise, signal)
    } finally {
      if (this.#waiting.get(index) === waiting) this.#waiting.delete(index)
    }
  }

  /** An entry was applied, this replica's own or another's, while results are wanted. */
  applied({ index, id, author, kind }: Entry, result: Result | undefined): void {
    this.#applied = index
    const isOwn = author === this.#self && kind === 'command'
    const waiting = this.#waiting.get(index)
    if (waiting !== undefined) {
      this.#waiting.delete(index)
      if (isOwn && id === (waiting.id ?? id)) waiting.resolve({ position: this.#position(index), result })
      else waiting.reject(anotherAt(index))
    } else if (isOwn && this.#appending > 0) {
      this.#early.set(index, { id, result })
    }
  }

  /** Everything up to `index` is in the state, perhaps because a snapshot was installed. */
  covered(index: number): void {
    this.#applied = Math.max(this.#applied, index)
    this.#covered = Math.max(this.#covered, index)
    for (const [waitingIndex, { resolve }] of this.#waiting) {
      if (waitingIndex > index) continue
      this.#waiting.delete(waitingIndex)
      resolve({ position: this.#position(waitingIndex), result: undefined })
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

  #position(index: number): Position {
    return { epoch: this.#epoch, index }
  }
}

function anotherAt(index: number): AppendUncertain {
  return new AppendUncertain(`entry ${index} was acknowledged, and the log holds another one there`)
}
