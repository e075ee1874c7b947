import { raceSignal } from 'race-signal'
import { type Codec, decodeBytes, type Json, jsonCodec } from '../../machine/codec.ts'
import type {
  CommandContext,
  Installation,
  Snapshot,
  SubmitOptions,
  Transaction,
  Written,
} from '../../machine/machine.ts'
import { type Position, samePosition } from '../../position.ts'
import { type ChangeEvents, Replicated, signatureOf } from '../replicated.ts'
import { type FirstSet, OnceInstallation, OnceSnapshot } from './first-set.ts'
import { OnceCommands, type OnceResult, valueOfCommand } from './once-commands.ts'
import { OnceState } from './once-state.ts'

export type { OnceResult } from './once-commands.ts'

/** The version of the item format (first-set.ts) and of the command format (once-commands.ts). */
const FORMAT = 'once/1'
/** For commands that come from no log. */
const NOWHERE: Position = { epoch: '', index: 0 }

/** Options of a `ReplicatedOnce`. */
export interface ReplicatedOnceInit<T> {
  /** Default: `jsonCodec()`. */
  readonly values?: Codec<T>
  /** Part of the signature: replicas of machines with different names refuse each other. Default: none. */
  readonly name?: string
}

/** The value was set. It is decoded anew each time it is read. */
export interface OnceChange<T> {
  readonly type: 'set'
  readonly value: T
}

/** `change`: the value was set. `reset`: a snapshot replaced the state; a value in it comes without a `change`. */
export type OnceEvents<T> = ChangeEvents<OnceChange<T>>

/**
 * A value that is set once, and that every replica of a group holds: the first write wins for good, and each writer
 * learns whether it was the first. It is how a group agrees on a secret, a start time, or who founded it.
 *
 * Reads are local and see what this replica has applied. Writes are appended to the group's log and resolve when
 * they are applied here; before a replica has taken the machine over they reject with `NotAttached`. A write rejects
 * with `Unencodable` when the codec refuses a value, and with the log's own errors (such as `EntryTooLarge`). Its
 * `signal` stops the wait, not the write.
 *
 * On a replica that has no state yet, because it waits for its first snapshot, reads throw `NotReadable`, and
 * `whenSet` waits. A read throws `Undecodable` when it meets bytes that the codec cannot read.
 *
 * Listeners of `change` and `reset` are called while the entry is being applied, so they should be quick. If one
 * throws, the error becomes a process warning and has no other effect.
 *
 * @example
 * ```ts
 * const secret = new ReplicatedOnce<string>()
 * // once createReplica({ machine: secret, … }) has taken it over:
 * const { result } = await secret.set(randomBytes(32).toString('hex'))
 * console.log(result?.won ? 'this one is ours' : 'somebody was first', result?.value === secret.get())
 * ```
 */
export class ReplicatedOnce<T = Json> extends Replicated<OnceChange<T>, OnceResult<T>> {
  /** `once/1` with the codec's name and `name`: replicas with different ones refuse each other. */
  readonly signature: string
  /** Makes the commands that `set` submits, for programs that append to a log themselves. */
  readonly commands: OnceCommands<T>
  readonly #values: Codec<T>
  readonly #state = new OnceState()
  /** The place of the command that is being applied. */
  #position: Position = NOWHERE

  constructor(init: ReplicatedOnceInit<T> = {}) {
    super()
    this.#values = init.values ?? jsonCodec<T>()
    this.commands = new OnceCommands(this.#values)
    this.signature = signatureOf(FORMAT, { values: this.#values.name, name: init.name })
  }

  /** The value; undefined as long as it is not set. */
  get(): T | undefined {
    this.assertReadable()
    return this.#state.first && this.#decode(this.#state.first)
  }

  /** Whether the value is set. Throws `NotReadable` on a replica that has no state yet. */
  get isSet(): boolean {
    this.assertReadable()
    return this.#state.first !== undefined
  }

  /** The encoded value, whatever is asked. Of JSON it is text. */
  query(): Uint8Array | undefined {
    this.assertReadable()
    return this.#state.first && new Uint8Array(this.#state.first.value)
  }

  /**
   * Resolves with the value when this replica knows it: at once if it is set, or else when the write is applied, or
   * a snapshot with it is installed. Rejects with the signal's reason when that aborts first. A replica that stops
   * leaves it pending, so give a signal where that matters.
   */
  async whenSet({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<T> {
    return this.#decode(this.#state.first ?? (await raceSignal(this.#state.whenSet, signal)))
  }

  /** Set the value, if nobody has. The result says whether this write was the first, and what the value is. */
  async set(value: T, options?: SubmitOptions): Promise<Written<OnceResult<T>>> {
    const written = await this.write<OnceResult<T>>(this.commands.set(value), options)
    const { first } = this.#state
    if (written.result !== undefined || first === undefined) return written
    // An installed snapshot covered the write, or it was repeated. The state says which write was the first.
    const { position } = written
    return { ...written, result: this.#result(first, samePosition(first.position, position)) }
  }

  /** Called by the replica, for each committed command. */
  override apply(command: Uint8Array, context?: Partial<CommandContext>): OnceResult<T> {
    this.#position = context?.position ?? NOWHERE
    return super.apply(command) as OnceResult<T>
  }

  /** Called by the replica. Nothing here dies with time. */
  advance(): void {}

  /** Nothing here dies with time. */
  get dueMs(): undefined {
    return undefined
  }

  /** Called by the replica. */
  capture(): Snapshot {
    return new OnceSnapshot(this.#state.first)
  }

  /** Called by the replica. */
  install(): Installation {
    return new OnceInstallation((first) => {
      this.#state.put(first)
      this.tellReset(first === undefined ? 0 : 1)
    })
  }

  protected override get undoable(): readonly Transaction[] {
    return [this.#state]
  }

  protected execute(command: Uint8Array, changes: OnceChange<T>[] | undefined): OnceResult<T> {
    const value = valueOfCommand(command)
    if (this.#state.first !== undefined) return this.#result(this.#state.first, false)
    const first = { position: this.#position, value: new Uint8Array(value) }
    this.#state.put(first)
    changes?.push(this.#change(first))
    return this.#result(first, true)
  }

  #result(first: FirstSet, won: boolean): OnceResult<T> {
    const once = this
    return {
      won,
      get value() {
        return once.#decode(first)
      },
    }
  }

  #change(first: FirstSet): OnceChange<T> {
    const once = this
    return {
      type: 'set',
      get value() {
        return once.#decode(first)
      },
    }
  }

  #decode({ value }: FirstSet): T {
    return decodeBytes(this.#values, 'value', value)
  }
}
