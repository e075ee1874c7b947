import type { Command } from '../../machine/machine.ts'
import { encodedKey, encodedValue } from '../encoded.ts'
import { checkTtl, type TtlOption } from '../ttl.ts'
import { encodeCommand, type NewItem } from './command.ts'
import type { QueueCodecs } from './queue-codecs.ts'
import type { QueueItem } from './queue-item.ts'
import type { QueueEnd } from './queue-items.ts'
import type { ExtendResult, InsertResult } from './queue-state.ts'

/** Priorities from one to another. */
export interface PriorityRange<P> {
  /** Priorities from this one on, itself included. */
  readonly gte?: P | undefined
  /** Priorities above this one. */
  readonly gt?: P | undefined
  /** Priorities up to this one, itself included. */
  readonly lte?: P | undefined
  /** Priorities below this one. */
  readonly lt?: P | undefined
}

/** The most items of one `popMany`. */
export const POP_COUNT_MAX = 2 ** 32

/**
 * Makes the commands of a queue, for programs that append to a log without being a replica. A replica's own queue
 * does this for you in `insert`, `popMin` and so on.
 *
 * Every method throws `Unencodable` for a part that its codec refuses, `KeyTooLarge`, and `RangeError` for an
 * impossible TTL or count.
 */
export class QueueCommands<P, K, V> {
  readonly #codecs: QueueCodecs<P, K, V>

  constructor(codecs: QueueCodecs<P, K, V>) {
    this.#codecs = codecs
  }

  /** Add an item, in place of any that has its key. The result says whether there was one. */
  insert(priority: P, key: K, value: V, { ttlMs }: TtlOption = {}): Command<InsertResult> {
    checkTtl(ttlMs)
    return encodeCommand({ type: 'insert', ...this.#item(priority, key, value), ttlMs })
  }

  /** Insert several items in order, all or none. The result says how many keys are new, and how many items went. */
  extend(
    items: Iterable<readonly [priority: P, key: K, value: V]>,
    { ttlMs }: TtlOption = {},
  ): Command<ExtendResult> {
    checkTtl(ttlMs)
    const encoded = Array.from(items, (item) => this.#item(...item))
    return encodeCommand({ type: 'extend', items: encoded, ttlMs })
  }

  /** Move an item behind those of another priority. The result says whether there is an item with this key. */
  setPriority(key: K, priority: P): Command<boolean> {
    return encodeCommand({
      type: 'setPriority',
      key: this.#key(key),
      priority: this.#codecs.encodePriority(priority),
    })
  }

  /** Change an item's value where it stands. The result says whether there is an item with this key. */
  setValue(key: K, value: V): Command<boolean> {
    return encodeCommand({ type: 'setValue', key: this.#key(key), value: this.#value(value) })
  }

  /**
   * As `ReplicatedPriorityQueue.compareAndSet`. `undefined`, for `value`, stands for the absence of the item.
   */
  compareAndSet(key: K, expected: V, value: V | undefined): Command<boolean> {
    return encodeCommand({
      type: 'compareAndSet',
      key: this.#key(key),
      expected: this.#value(expected),
      value: value === undefined ? undefined : this.#value(value),
    })
  }

  /** Delete an item. The result says whether there was one with this key. */
  delete(key: K): Command<boolean> {
    return encodeCommand({ type: 'delete', key: this.#key(key) })
  }

  /** Delete all items between two priorities. Without bounds these are all. The result is their number. */
  deleteRange({ gte, gt, lte, lt }: PriorityRange<P>): Command<number> {
    const bound = (priority: P | undefined) =>
      priority === undefined ? undefined : this.#codecs.encodePriority(priority)
    return encodeCommand({
      type: 'deleteRange',
      bounds: { gte: bound(gte), gt: bound(gt), lte: bound(lte), lt: bound(lt) },
    })
  }

  /** Delete every item there is when the command is applied. The result is their number. */
  clear(): Command<number> {
    return encodeCommand({ type: 'clear' })
  }

  /** Take the oldest item of the least priority. The result is the item, or undefined if the queue is empty. */
  popMin(): Command<QueueItem<P, K, V> | undefined> {
    return encodeCommand({ type: 'pop', end: 'min' })
  }

  /** Take the oldest item of the greatest priority. The result is the item, or undefined if the queue is empty. */
  popMax(): Command<QueueItem<P, K, V> | undefined> {
    return encodeCommand({ type: 'pop', end: 'max' })
  }

  /**
   * Take up to `count` items from one end, by default the least priority first. The result is a list of them, empty if
   * the queue is. Throws `RangeError` for a count that is no integer from 1 to `POP_COUNT_MAX`.
   */
  popMany(count: number, end: QueueEnd = 'min'): Command<readonly QueueItem<P, K, V>[]> {
    if (!(Number.isInteger(count) && count >= 1 && count <= POP_COUNT_MAX))
      throw new RangeError(`count is ${count}; give an integer from 1 to ${POP_COUNT_MAX}`)
    return encodeCommand({ type: 'popMany', end, count })
  }

  #item(priority: P, key: K, value: V): NewItem {
    return {
      priority: this.#codecs.encodePriority(priority),
      key: this.#key(key),
      value: this.#value(value),
    }
  }

  #key(key: K): NewItem['key'] {
    return encodedKey(this.#codecs.keys, 'key', key)
  }

  #value(value: V): Uint8Array {
    return encodedValue(this.#codecs.values, value)
  }
}
