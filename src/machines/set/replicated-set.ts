import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'
import { type Codec, decodeBytes, decodeWith, encodeWith, stringCodec } from '../../machine/codec.ts'
import type { Installation, SubmitOptions, Written } from '../../machine/machine.ts'
import { CheckedInstallation } from '../checked-installation.ts'
import { ExpiringMachine } from '../expiring-machine.ts'
import type { ItemParts } from '../item-parts.ts'
import { keyRangeOf, type Range } from '../range.ts'
import { type ChangeEvents, signatureOf } from '../replicated.ts'
import type { TtlOption } from '../ttl.ts'
import { decodeCommand } from './command.ts'
import { SetCommands } from './set-commands.ts'

/** The version of the item format (expiring-items.ts) and of the command format (command.ts). */
const FORMAT = 'set/1'
const NOTHING = new Uint8Array()

/** Options of a `ReplicatedSet`. */
export interface ReplicatedSetInit<T> {
  /** Default: `stringCodec`, which orders elements by code point. Needed when `T` is not `string`. */
  readonly values?: Codec<T>
  /** Part of the signature: replicas of sets with different names refuse each other. Default: none. */
  readonly name?: string
}

/** How to add something. */
export type AddOptions = SubmitOptions & TtlOption

/** What `apply` returns; the method that wrote the command says which. */
export type SetCommandResult = boolean | number

/**
 * One change of a set. Elements are decoded anew each time they are read; reading one that the codec cannot decode
 * throws `Undecodable`. Adding an element that is there already is no change, even if it changes its TTL.
 */
export type SetChange<T> =
  | { readonly type: 'add'; readonly value: T }
  | { readonly type: 'delete'; readonly value: T }
  /**
   * An element whose TTL had ended was removed from memory. That is some time after its death, and at a different
   * time on each replica.
   */
  | { readonly type: 'expire'; readonly value: T }
  | { readonly type: 'clear' }

/**
 * `change`: one for each element that a command added or deleted, after the whole command is applied; one for a
 * whole `clear`. `reset`: a snapshot replaced the whole state, and its elements come without a `change`.
 */
export type SetEvents<T> = ChangeEvents<SetChange<T>>

/**
 * A set that every replica of a group holds, ordered by the bytes of the encoded elements. Two values are the same
 * element if their bytes are the same.
 *
 * Reads are local and see what this replica has applied. Writes are appended to the group's log and resolve when
 * they are applied here; before a replica has taken the set over they reject with `NotAttached`. A write rejects
 * with `Unencodable` when the codec refuses a value, with `KeyTooLarge` when an encoded element exceeds 64 KiB, and
 * with the log's own errors (such as `EntryTooLarge`). Its `signal` stops the wait, not the write.
 *
 * On a replica that has no state yet, because it waits for its first snapshot, reads throw `NotReadable`.
 *
 * An element that was added with `ttlMs` lives by machine time, as a key of a `ReplicatedMap` does.
 *
 * An iterator reads the elements as they were when it began; later writes do not change it. A read throws
 * `Undecodable` when it meets bytes that the codec cannot read.
 *
 * Listeners of `change` and `reset` are called while the entry is being applied, so they should be quick. If one
 * throws, the error becomes a process warning and has no other effect.
 *
 * @example
 * ```ts
 * const online = new ReplicatedSet()
 * // once createReplica({ machine: online, … }) has taken it over:
 * const { result: isNew } = await online.add('users/ann', { ttlMs: 30_000 })
 * for (const user of online.range({ gte: 'users/', lt: 'users0' })) console.log(user)
 * ```
 */
export class ReplicatedSet<T = string> extends ExpiringMachine<SetChange<T>, SetCommandResult> {
  /** `set/1` with the codec's name and `name`: replicas with different ones refuse each other. */
  readonly signature: string
  /** Makes the commands that the methods below submit, for programs that append to a log themselves. */
  readonly commands: SetCommands<T>
  readonly #values: Codec<T>

  constructor(init: ReplicatedSetInit<T> = {}) {
    super()
    // The default codec is for T = string. It refuses a value of another type when that is written.
    this.#values = init.values ?? (stringCodec as unknown as Codec<T>)
    this.commands = new SetCommands(this.#values)
    this.signature = signatureOf(FORMAT, { values: this.#values.name, name: init.name })
  }

  /** The number of living elements. Throws `NotReadable` on a replica that has no state yet. */
  get size(): number {
    this.assertReadable()
    return this.items.size
  }

  /** Whether an element is there and alive. Throws `Unencodable` for one that the codec refuses. */
  has(value: T): boolean {
    this.assertReadable()
    return this.items.has(this.#encode(value))
  }

  /**
   * How long an element still lives, in milliseconds of machine time: `Infinity` for one without a TTL, undefined
   * for one that is absent.
   */
  ttl(value: T): number | undefined {
    this.assertReadable()
    return this.items.ttl(this.#encode(value))
  }

  /** The text `true` for an encoded element that is there. */
  query(value: Uint8Array): Uint8Array | undefined {
    this.assertReadable()
    return this.items.has(byteStringOf(value)) ? Buffer.from('true') : undefined
  }

  /** All living elements, in the order of their encoded bytes: as `range()` without bounds. */
  values(): IteratorObject<T, undefined> {
    return this.range()
  }

  /** All living elements, as `values()` gives them. */
  [Symbol.iterator](): IteratorObject<T, undefined> {
    return this.range()
  }

  // Not a generator itself: the items are captured now, not at the first `next()`.
  /** The elements between two values. Throws `RangeError` for a limit that is no integer from 0. */
  range(range: Range<T> = {}): IteratorObject<T, undefined> {
    this.assertReadable()
    return decoded(this.items.scan(keyRangeOf(range, (value) => this.#encode(value))), this.#values)
  }

  /**
   * The result says whether the element is new. With `ttlMs` it dies by itself. Adding an element again, with or
   * without `ttlMs`, replaces the TTL it had.
   */
  async add(value: T, options?: AddOptions): Promise<Written<boolean>> {
    return this.write(this.commands.add(value, options), options)
  }

  /**
   * All or nothing: one command, which must fit into one entry of the log. The result is how many elements are new.
   */
  async addMany(values: Iterable<T>, options?: AddOptions): Promise<Written<number>> {
    return this.write(this.commands.addMany(values, options), options)
  }

  /** The result says whether the element was there. */
  async delete(value: T, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.delete(value), options)
  }

  /** All or nothing, like `addMany`. The result is how many elements were there and are deleted. */
  async deleteMany(values: Iterable<T>, options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.deleteMany(values), options)
  }

  /** Let an element live until it is deleted. The result says whether it had a TTL. */
  async persist(value: T, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.persist(value), options)
  }

  /** Delete every element there is when the command is applied. The result is their number. */
  async clear(options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.clear(), options)
  }

  /** Called by the replica. */
  override install(): Installation {
    return new CheckedInstallation(super.install(), ({ valueStart, valueEnd }) =>
      valueStart === valueEnd ? undefined : `${valueEnd - valueStart} bytes follow an element of a set`,
    )
  }

  protected obey(bytes: Uint8Array): SetCommandResult {
    const command = decodeCommand(bytes)
    switch (command.type) {
      case 'add':
        return this.#add(command.element, command.ttlMs)
      case 'delete':
        return this.#delete(command.element)
      case 'addMany': {
        let added = 0
        for (const element of command.elements) if (this.#add(element, command.ttlMs)) added++
        return added
      }
      case 'deleteMany': {
        let deleted = 0
        for (const element of command.elements) if (this.#delete(element)) deleted++
        return deleted
      }
      case 'clear': {
        const size = this.items.clear()
        if (size > 0) this.note({ type: 'clear' })
        return size
      }
      case 'persist':
        return this.items.persist(command.element)
    }
  }

  protected expiry(element: ByteString): SetChange<T> {
    return this.#change('expire', element)
  }

  /** Whether the element is new. */
  #add(element: ByteString, ttlMs: number | undefined): boolean {
    const isNew = this.items.set(element, NOTHING, ttlMs)
    if (isNew && this.isHeard) this.note(this.#change('add', element))
    return isNew
  }

  /** Whether the element was there. */
  #delete(element: ByteString): boolean {
    const isDeleted = this.items.delete(element)
    if (isDeleted && this.isHeard) this.note(this.#change('delete', element))
    return isDeleted
  }

  #change(type: 'add' | 'delete' | 'expire', element: ByteString): SetChange<T> {
    const values = this.#values
    return {
      type,
      get value() {
        return decodeWith(values, 'value', element)
      },
    }
  }

  #encode(value: T): ByteString {
    return encodeWith(this.#values, 'value', value)
  }
}

function* decoded<T>(items: Iterable<ItemParts>, values: Codec<T>): Generator<T, undefined> {
  for (const { bytes, keyStart, keyEnd } of items) yield decodeBytes(values, 'value', bytes, keyStart, keyEnd)
}
