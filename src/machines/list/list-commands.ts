import type { Codec } from '../../machine/codec.ts'
import type { Command } from '../../machine/machine.ts'
import { encodedValue } from '../encoded.ts'
import type { Taken } from './changes.ts'
import { encodeCommand } from './command.ts'

/** The greatest index of a write. It fits into a uvarint of seven bytes. */
const INDEX_MAX = 2 ** 48

/**
 * Makes the commands of a list, for programs that append to a log without being a replica. A replica's own list
 * does this for you in `push`, `insert` and so on.
 *
 * Every method throws `Unencodable` for a value that the codec refuses, and `RangeError` for an index or a length
 * that is no integer from 0. When `insert`, `set`, `delete` or `swap` is applied to a list that is too short for it,
 * it changes nothing, and `apply` returns an `IndexOutOfRange`.
 */
export class ListCommands<T> {
  readonly #values: Codec<T>

  constructor(values: Codec<T>) {
    this.#values = values
  }

  /** Add a value at the end. The result is the new length. */
  push(value: T): Command<number> {
    return this.pushMany([value])
  }

  /** Add values at the end, in order, all or none. The result is the new length. */
  pushMany(values: Iterable<T>): Command<number> {
    return encodeCommand({ type: 'push', values: Array.from(values, (value) => this.#encode(value)) })
  }

  /** Add a value at the front. The result is the new length. */
  unshift(value: T): Command<number> {
    return this.insert(0, value)
  }

  /** Add a value before the item at an index, or at the end if that is the length. The result is the new length. */
  insert(index: number, value: T): Command<number> {
    checkIndex('index', index)
    return encodeCommand({ type: 'insert', index, value: this.#encode(value) })
  }

  /** Put a value in the place of another. The result holds the value that was there. */
  set(index: number, value: T): Command<Taken<T>> {
    checkIndex('index', index)
    return encodeCommand({ type: 'set', index, value: this.#encode(value) })
  }

  /** Remove an item. The result holds its value. */
  delete(index: number): Command<Taken<T>> {
    checkIndex('index', index)
    return encodeCommand({ type: 'delete', index })
  }

  /** Let two items change places. The result is false if both indexes are the same. */
  swap(index: number, other: number): Command<boolean> {
    checkIndex('index', index)
    checkIndex('other', other)
    return encodeCommand({ type: 'swap', index, other })
  }

  /** Remove the last item. The result holds its value, or is undefined if the list was empty. */
  pop(): Command<Taken<T> | undefined> {
    return encodeCommand({ type: 'pop' })
  }

  /** Remove the first item. The result holds its value, or is undefined if the list was empty. */
  shift(): Command<Taken<T> | undefined> {
    return encodeCommand({ type: 'shift' })
  }

  /** Remove all items after the first `length`. The result is how many were removed: 0 if there are no more. */
  truncate(length: number): Command<number> {
    checkIndex('length', length)
    return encodeCommand({ type: 'truncate', length })
  }

  /** Remove every item there is when the command is applied. The result is their number. */
  clear(): Command<number> {
    return encodeCommand({ type: 'clear' })
  }

  /** As `ReplicatedList.compareAndSet`. `undefined` as `value` deletes the item. */
  compareAndSet(index: number, expected: T, value: T | undefined): Command<boolean> {
    checkIndex('index', index)
    return encodeCommand({
      type: 'compareAndSet',
      index,
      expected: this.#encode(expected),
      value: value === undefined ? undefined : this.#encode(value),
    })
  }

  /** As `ReplicatedList.compareAndInsert`. `undefined` as `expected` stands for the list's end. */
  compareAndInsert(index: number, expected: T | undefined, value: T): Command<boolean> {
    checkIndex('index', index)
    return encodeCommand({
      type: 'compareAndInsert',
      index,
      expected: expected === undefined ? undefined : this.#encode(expected),
      value: this.#encode(value),
    })
  }

  #encode(value: T): Uint8Array {
    return encodedValue(this.#values, value)
  }
}

function checkIndex(name: 'index' | 'other' | 'length', index: number): void {
  if (Number.isInteger(index) && index >= 0 && index <= INDEX_MAX) return
  const advice = index < 0 ? '; what is counted from the end moves with every push by another writer' : ''
  throw new RangeError(`${name} is ${index}; give an integer from 0 to ${INDEX_MAX}${advice}`)
}
