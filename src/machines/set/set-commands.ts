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

  /** Add an element, or give it another TTL. The result says whether it is new. */
  add(value: T, { ttlMs }: TtlOption = {}): Command<boolean> {
    checkTtl(ttlMs)
    return encodeCommand({ type: 'add', element: this.#element(value), ttlMs })
  }

  /** Delete an element. The result says whether it was there. */
  delete(value: T): Command<boolean> {
    return encodeCommand({ type: 'delete', element: this.#element(value) })
  }

  /** Add several elements, all or none, with one TTL for all. The result is how many are new. */
  addMany(values: Iterable<T>, { ttlMs }: TtlOption = {}): Command<number> {
    checkTtl(ttlMs)
    return encodeCommand({ type: 'addMany', elements: this.#elements(values), ttlMs })
  }

  /** Delete several elements, all or none. The result is how many were there. */
  deleteMany(values: Iterable<T>): Command<number> {
    return encodeCommand({ type: 'deleteMany', elements: this.#elements(values) })
  }

  /** Delete every element there is when the command is applied. The result is their number. */
  clear(): Command<number> {
    return encodeCommand({ type: 'clear' })
  }

  /** Let an element live until it is deleted. The result says whether it had a TTL. */
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
