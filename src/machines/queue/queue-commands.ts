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

  insert(priority: P, key: K, value: V, { ttlMs }: TtlOption = {}): Command<InsertResult> {
    checkTtl(ttlMs)
    return encodeCommand({ type: 'insert', ...this.#item(priority, key, value), ttlMs })
  }

  extend(
    items: Iterable<readonly [priority: P, key: K, value: V]>,
    { ttlMs }: TtlOption = {},
  ): Command<ExtendResult> {
    checkTtl(ttlMs)
    const encoded = Array.from(items, (item) => this.#item(...item))
    return encodeCommand({ type: 'extend', items: encoded, ttlMs })
  }

  setPriority(key: K, priority: P): Command<boolean> {
    return encodeCommand({
      type: 'setPriority',
      key: this.#key(key),
      priority: this.#codecs.encodePriority(priority),
    })
  }

  setValue(key: K, value: V): Command<boolean> {
    return encodeCommand({ type: 'setValue', key: this.#key(key), value: this.#value(value) })
  }

  /** `undefined`, for `value`, stands for the absence of the item. */
  compareAndSet(key: K, expected: V, value: V | undefined): Command<boolean> {
    return encodeCommand({
      type: 'compareAndSet',
      key: this.#key(key),
      expected: this.#value(expected),
      value: value === undefined ? undefined : this.#value(value),
    })
  }

  delete(key: K): Command<boolean> {
    return encodeCommand({ type: 'delete', key: this.#key(key) })
  }

  deleteRange({ gte, gt, lte, lt }: PriorityRange<P>): Command<number> {
    const bound = (priority: P | undefined) =>
      priority === undefined ? undefined : this.#codecs.encodePriority(priority)
    return encodeCommand({
      type: 'deleteRange',
      bounds: { gte: bound(gte), gt: bound(gt), lte: bound(lte), lt: bound(lt) },
    })
  }

  clear(): Command<number> {
    return encodeCommand({ type: 'clear' })
  }

  popMin(): Command<QueueItem<P, K, V> | undefined> {
    return encodeCommand({ type: 'pop', end: 'min' })
  }

  popMax(): Command<QueueItem<P, K, V> | undefined> {
    return encodeCommand({ type: 'pop', end: 'max' })
  }

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
