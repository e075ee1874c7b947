import type { ByteString } from '../../machine/byte-string.ts'
import type { Codec } from '../../machine/codec.ts'
import type { Command } from '../../machine/machine.ts'
import { encodedKey, encodedValue } from '../encoded.ts'
import { checkTtl, type TtlOption } from '../ttl.ts'
import { encodeCommand } from './command.ts'

/** What `ReplicatedMap.set` did. */
export interface SetResult {
  /** Whether the key had a value before. */
  readonly replaced: boolean
}

/** What `ReplicatedMap.setMany` did. */
export interface SetManyResult {
  /** How many keys had no value before. */
  readonly added: number
  /** How many values were replaced. */
  readonly replaced: number
}

/**
 * Makes the commands of a map, for programs that append to a log without being a replica. A replica's own map
 * does this for you in `set`, `delete` and so on.
 *
 * Every method throws `Unencodable` for a key or value that its codec refuses, `KeyTooLarge`, and
 * `RangeError` for an impossible TTL.
 */
export class MapCommands<K, V> {
  readonly #keys: Codec<K>
  readonly #values: Codec<V>

  constructor(keys: Codec<K>, values: Codec<V>) {
    this.#keys = keys
    this.#values = values
  }

  /** Set a key, in place of the value and the TTL that it has. The result says whether it had a value. */
  set(key: K, value: V, { ttlMs }: TtlOption = {}): Command<SetResult> {
    checkTtl(ttlMs)
    return encodeCommand({ type: 'set', key: this.#key(key), value: this.#value(value), ttlMs })
  }

  /** Delete a key. The result says whether it was there. */
  delete(key: K): Command<boolean> {
    return encodeCommand({ type: 'delete', key: this.#key(key) })
  }

  /** Set several keys, all or none. If a key is repeated, its last value counts. The result says how many are new. */
  setMany(entries: Iterable<readonly [K, V]>, { ttlMs }: TtlOption = {}): Command<SetManyResult> {
    checkTtl(ttlMs)
    const encoded = Array.from(entries, ([key, value]) => [this.#key(key), this.#value(value)] as const)
    return encodeCommand({ type: 'setMany', entries: encoded, ttlMs })
  }

  /** Delete several keys, all or none. The result is how many were there. */
  deleteMany(keys: Iterable<K>): Command<number> {
    return encodeCommand({ type: 'deleteMany', keys: Array.from(keys, (key) => this.#key(key)) })
  }

  /**
   * As `ReplicatedMap.compareAndSet`. `undefined`, for `expected` or `value`, stands for the absence of the key. Throws
   * `RangeError` for a `ttlMs` without a `value`.
   */
  compareAndSet(
    key: K,
    expected: V | undefined,
    value: V | undefined,
    { ttlMs }: TtlOption = {},
  ): Command<boolean> {
    checkTtl(ttlMs)
    if (value === undefined && ttlMs !== undefined)
      throw new RangeError('what is deleted has no ttlMs; leave it out')
    return encodeCommand({
      type: 'compareAndSet',
      key: this.#key(key),
      expected: expected === undefined ? undefined : this.#value(expected),
      value: value === undefined ? undefined : this.#value(value),
      ttlMs,
    })
  }

  /** Delete every key there is when the command is applied. The result is their number. */
  clear(): Command<number> {
    return encodeCommand({ type: 'clear' })
  }

  /** Let a key live until it is deleted. The result says whether it had a TTL. */
  persist(key: K): Command<boolean> {
    return encodeCommand({ type: 'persist', key: this.#key(key) })
  }

  #key(key: K): ByteString {
    return encodedKey(this.#keys, 'key', key)
  }

  #value(value: V): Uint8Array {
    return encodedValue(this.#values, value)
  }
}
