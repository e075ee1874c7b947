import { type Codec, decodeBytes, type Json, jsonCodec } from '../../machine/codec.ts'
import {
  type Installation,
  MalformedQuestion,
  type Snapshot,
  type SubmitOptions,
  type Transaction,
  type Written,
} from '../../machine/machine.ts'
import { type ChangeEvents, Replicated, signatureOf } from '../replicated.ts'
import type { PackedTree, PlaceRange } from '../tree/packed-tree.ts'
import { type ListChange, ListChanges, type Taken } from './changes.ts'
import { decodeCommand } from './command.ts'
import { ListCommands } from './list-commands.ts'
import { ListItems, type ListResult } from './list-items.ts'

/** The version of the item format, which is a value's bytes alone, and of the command format (command.ts). */
const FORMAT = 'list/1'
/** How a question names an item. */
const INDEX = /^-?\d{1,15}$/

/** Options of a `ReplicatedList`. */
export interface ReplicatedListInit<T> {
  /** Default: `jsonCodec()`. */
  readonly values?: Codec<T>
  /** Part of the signature: replicas of lists with different names refuse each other. Default: none. */
  readonly name?: string
}

/** The items between two indexes, which count as in `Array.prototype.slice`: from the end if they are negative. */
export interface ListRange {
  /** Default: 0. */
  readonly from?: number | undefined
  /** The index after the last item. Default: the list's length. */
  readonly to?: number | undefined
  /** Last item first. Default: false. */
  readonly reverse?: boolean | undefined
}

/**
 * `change`: one for each item that a command inserted, set or deleted, after the whole command is applied; one
 * for a whole `swap`, `truncate` or `clear`. `reset`: a snapshot replaced the whole list, and its items come
 * without a `change`.
 */
export type ListEvents<T> = ChangeEvents<ListChange<T>>

/**
 * A list that every replica of a group holds. Whatever has an index costs the logarithm of the length.
 *
 * Reads are local and see what this replica has applied. An index of a read may be negative, and counts from the
 * end then, as in `Array.prototype.at`. On a replica that has no state yet, reads throw `NotReadable`. A read
 * throws `Undecodable` when it meets bytes that the codec cannot read. An iterator reads the items as they were
 * when it began; later writes do not change it.
 *
 * Writes are appended to the group's log and resolve when they are applied here. An index of a write counts from
 * the front, and means the item that stands there when the write is applied. Other writers may have moved the
 * items since you read them: `compareAndSet` and `compareAndInsert` say which item you mean. A write rejects with
 * - `IndexOutOfRange` when the list is too short when it is applied: nothing is changed then, on any replica;
 * - `RangeError` for an index that is no integer from 0: nothing is written. What is counted from the end would be
 *   another item after a push by another writer, so it has no index here. `pop` and `truncate` work at the end;
 * - `Unencodable` when the codec refuses the value, `NotAttached` before a replica has taken the list over, and the
 *   log's own errors (such as `EntryTooLarge`).
 *
 * Its `signal` stops the wait, not the write. A write that gives back a value rejects with `Undecodable` if the
 * codec cannot read it; it is applied all the same.
 *
 * Listeners of `change` and `reset` are called while the entry is being applied, so they should be quick. If
 * one throws, the error becomes a process warning and has no other effect.
 *
 * @example
 * ```ts
 * const tasks = new ReplicatedList<{ title: string; done: boolean }>()
 * // once createReplica({ machine: tasks, … }) has taken it over:
 * await tasks.push({ title: 'Write it down', done: false })
 * await tasks.insert(0, { title: 'Think', done: false })
 * const { result: first } = await tasks.shift()
 * for (const [index, task] of tasks.entries()) console.log(index, task.title)
 * ```
 */
export class ReplicatedList<T = Json> extends Replicated<ListChange<T>, ListResult<T>> {
  /** `list/1` with the codec's name and `name`: replicas with different ones refuse each other. */
  readonly signature: string
  /** No time is in a list. */
  readonly dueMs = undefined
  /** Makes the commands that the methods below submit, for programs that append to a log themselves. */
  readonly commands: ListCommands<T>
  readonly #values: Codec<T>
  readonly #items: ListItems<T>

  constructor(init: ReplicatedListInit<T> = {}) {
    super()
    this.#values = init.values ?? jsonCodec<T>()
    this.#items = new ListItems(new ListChanges(this.#values))
    this.commands = new ListCommands(this.#values)
    this.signature = signatureOf(FORMAT, { values: this.#values.name, name: init.name })
  }

  /** The number of items. Throws `NotReadable` on a replica that has no state yet. */
  get length(): number {
    this.assertReadable()
    return this.#items.tree.size
  }

  /** The value at an index, as `Array.prototype.at` finds it: -1 is the last. Undefined if there is none. */
  at(index: number): T | undefined {
    return this.#at(index, (bytes, start, end) => decodeBytes(this.#values, 'value', bytes, start, end))
  }

  /** The encoded value at an index, which is text such as `0` or `-1`. Throws `MalformedQuestion` for other text. */
  query(question: Uint8Array): Uint8Array | undefined {
    const index = Buffer.from(question).toString()
    if (!INDEX.test(index))
      throw new MalformedQuestion('a list is asked for an index: 0 is the first, -1 the last')
    return this.#at(Number(index), (bytes, start, end) => bytes.slice(start, end))
  }

  /** The values from `start` up to `end`, as `Array.prototype.slice` gives them. */
  slice(start?: number, end?: number): T[] {
    this.assertReadable()
    return [...valuesIn(this.#items.tree, this.#placesOf({ from: start, to: end }), this.#values)]
  }

  /** The values of a range, or of the whole list. */
  values(range: ListRange = {}): IteratorObject<T, undefined> {
    return this.#read(range)
  }

  /** Each index of a range, or of the whole list, with its value. */
  entries(range: ListRange = {}): IteratorObject<[number, T], undefined> {
    const values = this.#read(range)
    const { from, to } = this.#placesOf(range)
    return range.reverse
      ? values.map((value, nth) => [to - 1 - nth, value])
      : values.map((value, nth) => [from + nth, value])
  }

  /** The values of the whole list, first to last. */
  [Symbol.iterator](): IteratorObject<T, undefined> {
    return this.#read({})
  }

  /** Add a value at the end. The result is the new length: the value's index is one less. */
  async push(value: T, options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.push(value), options)
  }

  /**
   * Add values at the end, in order. All or nothing: one command, which must fit into one entry of the log. The
   * result is the new length.
   */
  async pushMany(values: Iterable<T>, options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.pushMany(values), options)
  }

  /** Add a value at the front. The result is the new length. */
  async unshift(value: T, options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.unshift(value), options)
  }

  /** Add a value before the item at an index, or at the end if the index is the length. The result is the new length. */
  async insert(index: number, value: T, options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.insert(index, value), options)
  }

  /** Put a value in the place of another. The result is the value that was there. */
  async set(index: number, value: T, options?: SubmitOptions): Promise<Written<T>> {
    return this.#take(this.commands.set(index, value), options)
  }

  /** Remove an item. The result is its value. */
  async delete(index: number, options?: SubmitOptions): Promise<Written<T>> {
    return this.#take(this.commands.delete(index), options)
  }

  /** Let two items change places. The result says whether they are two. */
  async swap(index: number, other: number, options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.swap(index, other), options)
  }

  /** Remove the last item. The result is its value, or undefined if the list was empty. */
  async pop(options?: SubmitOptions): Promise<Written<T>> {
    return this.#take(this.commands.pop(), options)
  }

  /** Remove the first item. The result is its value, or undefined if the list was empty. */
  async shift(options?: SubmitOptions): Promise<Written<T>> {
    return this.#take(this.commands.shift(), options)
  }

  /** Remove all items after the first `length`. The result is how many were removed: 0 if there are no more. */
  async truncate(length: number, options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.truncate(length), options)
  }

  /** Remove every item there is when the command is applied. The result is their number. */
  async clear(options?: SubmitOptions): Promise<Written<number>> {
    return this.write(this.commands.clear(), options)
  }

  /**
   * Set the item at an index to `value` if it is `expected` when the command is applied. `undefined` as `value`
   * deletes it. The encoded bytes are compared, so JSON objects with another order of properties differ. The
   * result says whether the item was there, and was `expected`.
   */
  async compareAndSet(
    index: number,
    expected: T,
    value: T | undefined,
    options?: SubmitOptions,
  ): Promise<Written<boolean>> {
    return this.write(this.commands.compareAndSet(index, expected, value), options)
  }

  /**
   * Insert `value` before the item at an index if that is `expected` when the command is applied. `undefined` as
   * `expected` stands for the end: the index must be the list's length then. The encoded bytes are compared. The
   * result says whether it was so.
   */
  async compareAndInsert(
    index: number,
    expected: T | undefined,
    value: T,
    options?: SubmitOptions,
  ): Promise<Written<boolean>> {
    return this.write(this.commands.compareAndInsert(index, expected, value), options)
  }

  /** Called by the replica, when machine time moved on: nothing in a list dies with it. */
  advance(): void {}

  /** Called by the replica. */
  capture(): Snapshot {
    return this.#items.capture()
  }

  /** Called by the replica. */
  install(): Installation {
    return this.#items.install((size) => this.tellReset(size))
  }

  protected override get undoable(): readonly Transaction[] {
    return [this.#items.tree]
  }

  protected execute(bytes: Uint8Array, changes: ListChange<T>[] | undefined): ListResult<T> {
    return this.#items.obey(decodeCommand(bytes), changes)
  }

  #at<R>(index: number, read: (bytes: Uint8Array, start: number, end: number) => R): R | undefined {
    this.assertReadable()
    const { tree } = this.#items
    const { size } = tree
    const whole = integerOf(index)
    const place = whole < 0 ? size + whole : whole
    if (place < 0 || place >= size) return undefined
    tree.seekAt(place)
    const { leaf, at } = tree.cursor
    return read(leaf.bytes, leaf.itemStart(at), leaf.recordStart(at + 1))
  }

  async #take(command: Uint8Array, options: SubmitOptions | undefined): Promise<Written<T>> {
    const written = await this.write<Taken<T> | undefined>(command, options)
    return { ...written, result: written.result?.value }
  }

  // Not a generator itself: the items are captured now, not at the first `next()`.
  #read(range: ListRange): Generator<T, undefined> {
    this.assertReadable()
    return valuesIn(this.#items.tree.capture(), this.#placesOf(range), this.#values)
  }

  #placesOf({ from = 0, to = Number.POSITIVE_INFINITY, reverse }: ListRange): Places {
    const { size } = this.#items.tree
    return { from: placeOf(from, size), to: placeOf(to, size), reverse }
  }
}

interface Places extends PlaceRange {
  readonly from: number
  readonly to: number
}

/** An index that counts from the end if it is negative, as a place of a list: its length at most. */
function placeOf(index: number, length: number): number {
  const whole = integerOf(index)
  return whole < 0 ? Math.max(length + whole, 0) : Math.min(whole, length)
}

/** As the methods of arrays take a number: NaN is 0. */
function integerOf(index: number): number {
  return Math.trunc(index) || 0
}

function* valuesIn<T>(tree: PackedTree, places: Places, codec: Codec<T>): Generator<T, undefined> {
  for (const { leaf, from, to } of tree.leaves(places)) {
    for (let n = 0; n < to - from; n++) {
      const i = places.reverse ? to - 1 - n : from + n
      yield decodeBytes(codec, 'value', leaf.bytes, leaf.itemStart(i), leaf.recordStart(i + 1))
    }
  }
}
