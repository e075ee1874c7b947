import type { Codec } from '../../machine/codec.ts'
import type { Command } from '../../machine/machine.ts'
import { encodedValue } from '../encoded.ts'
import { checkTtl, type TtlOption } from '../ttl.ts'
import { encodeCommand } from './command.ts'

/** What `ReplicatedRegister.set` did. */
export interface RegisterSetResult {
  /** Whether the register had a value before. */
  readonly replaced: boolean
}

/**
 * Makes the commands of a register, for programs that append to a log without being a replica. A replica's own
 * register does this for you in `set`, `clear` and so on.
 *
 * Every method throws `Unencodable` for a value that the codec refuses, and `RangeError` for an impossible TTL.
 */
export class RegisterCommands<T> {
  readonly #values: Codec<T>

  constructor(values: Codec<T>) {
    this.#values = values
  }

  /** Set the value, in place of the one there is and of its TTL. The result says whether there was one. */
  set(value: T, { ttlMs }: TtlOption = {}): Command<RegisterSetResult> {
    checkTtl(ttlMs)
    return encodeCommand({ type: 'set', value: encodedValue(this.#values, value), ttlMs })
  }

  /**
   * As `ReplicatedRegister.compareAndSet`. `undefined`, for `expected` or `value`, stands for no value. Throws
   * `RangeError` for a `ttlMs` without a `value`.
   */
  compareAndSet(expected: T | undefined, value: T | undefined, { ttlMs }: TtlOption = {}): Command<boolean> {
    checkTtl(ttlMs)
    if (value === undefined && ttlMs !== undefined)
      throw new RangeError('what is cleared has no ttlMs; leave it out')
    return encodeCommand({
      type: 'compareAndSet',
      expected: expected === undefined ? undefined : encodedValue(this.#values, expected),
      value: value === undefined ? undefined : encodedValue(this.#values, value),
      ttlMs,
    })
  }

  /** Remove the value. The result says whether there was one. */
  clear(): Command<boolean> {
    return encodeCommand({ type: 'clear' })
  }

  /** Let the value live until it is cleared. The result says whether it had a TTL. */
  persist(): Command<boolean> {
    return encodeCommand({ type: 'persist' })
  }
}
