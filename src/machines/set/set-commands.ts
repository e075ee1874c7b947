import type { ByteString } from '../../machine/byte-string.ts'
import type { Codec } from '../../machine/codec.ts'
import type { Command } from '../../machine/machine.ts'
import { encodedKey } from '../encoded.ts'
import { checkTtl, type TtlOption } from '../ttl.ts'
import { encodeCommand } from './command.ts'

/**
 * Makes the commands of a set, for programs that append to a log without being a replica. A replica's own set does
 * this for you in `add`, `delete` and so on.
 *
 * Every method throws `Unencodable` for an element that the codec refuses, `KeyTooLarge`, and `RangeError` for an
 * impossible TTL.
 */
export class SetCommands<T> {
  readonly #values: Codec<T>

  constructor(values: Codec<T>) {
    this.#values = values
  }

  add(value: T, { ttlMs }: TtlOption = {}): Command<boolean> {
    checkTtl(ttlMs)
    return encodeCommand({ type: 'add', element: this.#element(value), ttlMs })
  }

  delete(value: T): Command<boolean> {
    return encodeCommand({ type: 'delete', element: this.#element(value) })
  }

  addMany(values: Iterable<T>, { ttlMs }: TtlOption = {}): Command<number> {
    checkTtl(ttlMs)
    return encodeCommand({ type: 'addMany', elements: this.#elements(values), ttlMs })
  }

  deleteMany(values: Iterable<T>): Command<number> {
    return encodeCommand({ type: 'deleteMany', elements: this.#elements(values) })
  }

  clear(): Command<number> {
    return encodeCommand({ type: 'clear' })
  }

  persist(value: T): Command<boolean> {
    return encodeCommand({ type: 'persist', element: this.#element(value) })
  }

  #element(value: T): ByteString {
    return encodedKey(this.#values, 'value', value)
  }

  #elements(values: Iterable<T>): ByteString[] {
    return Array.from(values, (value) => this.#element(value))
  }
}
