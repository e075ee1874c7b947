import type { DurableState, StateMachine } from '../../machine/machine.ts'
import { asError } from '../../thrown.ts'
import { StateOfAnotherLog } from '../errors.ts'

/** Where in which log a machine's own state is, and what goes with it. */
export interface Kept {
  readonly group: string
  readonly position: { readonly epoch: string; readonly index: number }
  /** The group's state at this position: see `GroupState.encode`. */
  readonly control: Uint8Array
  /** The newest anchor that is in the state, and whose root the group agreed on with this replica; 0: none. */
  readonly sealed: number
}

/** The version of the note. */
const FORMAT = 1

/**
 * The state that a durable machine keeps by itself, and the note in it: which place of the group's log it is of.
 * Its newest commit is what the next life begins with. A state that is of no log, or of another one, counts for
 * nothing.
 */
export class KeptState {
  readonly #durable: DurableState
  readonly #group: string
  #epoch = ''
  #newest: Kept | undefined
  #isDistrusted = false

  /** Of a machine that keeps its state, in this group. As the constructor otherwise. */
  static of({
    machine,
    group,
  }: {
    readonly machine: StateMachine
    readonly group: string
  }): KeptState | undefined {
    return machine.durable && new KeptState(machine.durable, group)
  }

  /** Throws `StateOfAnotherLog` for the state of another group, and for a note of a newer version. */
  constructor(durable: DurableState, group: string) {
    this.#durable = durable
    this.#group = group
    this.#newest = durable.note && decode(durable.note)
    const { newest } = this
    if (newest !== undefined && newest.group !== group) {
      throw new StateOfAnotherLog(newest, `this replica is of the group ${JSON.stringify(group)}`)
    }
  }

  /** What was committed last; undefined: the machine's state is empty. */
  get newest(): Kept | undefined {
    return this.#newest
  }

  /** The newest anchor that the group agreed on, and that is on the disk; 0: none. */
  get sealed(): number {
    return this.#newest?.sealed ?? 0
  }

  /**
   * The log is this one. Throws `StateOfAnotherLog` if the state is of another one, unless it is given up.
   * @param found the epoch of the log, or why there is none
   */
  belongTo(found: string | Error, { giveUp }: { readonly giveUp: boolean }): void {
    const { newest } = this
    if (typeof found === 'string') this.#epoch = found
    if (newest === undefined || newest.position.epoch === found) return
    if (!giveUp) {
      const what =
        typeof found === 'string' ? `the log that was opened is of epoch ${found}` : asError(found).message
      throw new StateOfAnotherLog(newest, what, typeof found === 'string' ? undefined : found)
    }
    this.#durable.discard()
    this.#newest = undefined
  }

  /** Everything up to here was applied. */
  commit(index: number, control: Uint8Array): void {
    if (this.#isDistrusted) return this.#durable.commit(undefined)
    this.#write({ ...this.#at(index, control), sealed: this.sealed })
  }

  /** A snapshot of an anchor that the group agreed on takes the state's place: `commit` does that. */
  install(index: number, control: Uint8Array, commit: (note: Uint8Array) => void): void {
    const kept = { ...this.#at(index, control), sealed: index }
    commit(encode(kept))
    this.#isDistrusted = false
    this.#newest = kept
  }

  /** The group agreed with this replica on the root of an anchor. It is in the state, and on the disk from now. */
  seal(anchor: number): void {
    if (this.#newest === undefined || anchor <= this.sealed || anchor > this.#newest.position.index) return
    this.#write({ ...this.#newest, sealed: anchor }, true)
  }

  /** The state is not the group's: the next life must not begin with it. */
  distrust(): void {
    this.#isDistrusted = true
    this.#newest = undefined
    this.#durable.commit(undefined, { flush: true })
  }

  #at(index: number, control: Uint8Array) {
    return { group: this.#group, position: { epoch: this.#epoch, index }, control }
  }

  #write(kept: Kept, flush = false): void {
    this.#durable.commit(encode(kept), { flush })
    this.#newest = kept
  }
}

function encode({ group, position, control, sealed }: Kept): Uint8Array {
  const { epoch, index } = position
  const note = {
    format: FORMAT,
    group,
    epoch,
    index,
    control: Buffer.from(control).toString('base64'),
    sealed,
  }
  return Buffer.from(JSON.stringify(note))
}

function decode(note: Uint8Array): Kept {
  const { format, group, epoch, index, control, sealed } = JSON.parse(Buffer.from(note).toString())
  const kept = { group, position: { epoch, index }, control: Buffer.from(control ?? '', 'base64'), sealed }
  if (format === FORMAT) return kept
  throw new StateOfAnotherLog(
    kept,
    `its note is of format ${format}, and this version reads format ${FORMAT}`,
  )
}
