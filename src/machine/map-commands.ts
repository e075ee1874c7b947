import type { ByteString } from './byte-string.ts'
import { type Codec, encodeWith } from './codec.ts'
import { encodeCommand, KEY_BYTES_MAX } from './command.ts'
import { KeyTooLarge } from './errors.ts'

/**
 * Makes the commands of a map, for programs that append to a log without being a replica. A replica's own map does
 * this for you in `set`, `delete` and so on.
 *
 * Every method throws `Unencodable` for what its codec refuses, and `KeyTooLarge`.
 */
export class MapCommands<K, V> {
  readonly #keys: Codec<K>
  readonly #values: Codec<V>

  constructor(keys: Codec<K>, values: Codec<V>) {
    this.#keys = keys
    this.#values = values
  }

  set(key: K, value: V): Uint8Array {
    return encodeCommand({ type: 'set', key: this.#key(key), value: this.#value(value) })
  }

  delete(key: K): Uint8Array {
    return encodeCommand({ type: 'delete', key: this.#key(key) })
  }

  setMany(entries: Iterable<readonly [K, V]>): Uint8Array {
    const encoded = Array.from(entries, ([key, value]) => [this.#key(key), this.#value(value)] as const)
    return encodeCommand({ type: 'setMany', entries: encoded })
  }

  deleteMany(keys: Iterable<K>): Uint8Array {
    return encodeCommand({ type: 'deleteMany', keys: Array.from(keys, (key) => this.#key(key)) })
  }

  /** `undefined` stands for the absence of the key, on either side. */
  compareAndSet(key: K, expected: V | undefined, value: V | undefined): Uint8Array {
    return encodeCommand({
      type: 'compareAndSet',
      key: this.#key(key),
      expected: expected === undefined ? undefined : this.#value(expected),
      value: value === undefined ? undefined : this.#value(value),
    })
  }

  clear(): Uint8Array {
    return encodeCommand({ type: 'clear' })
  }

  #key(key: K): ByteString {
    const encoded = encodeWith(this.#keys, 'key', key)
    if (encoded.length > KEY_BYTES_MAX) throw new KeyTooLarge(encoded.length, KEY_BYTES_MAX)
    return encoded
  }

  #value(value: V): ByteString {
    return encodeWith(this.#values, 'value', value)
  }
}
