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

  set(value: T, { ttlMs }: TtlOption = {}): Command<RegisterSetResult> {
    checkTtl(ttlMs)
    return encodeCommand({ type: 'set', value: encodedValue(this.#values, value), ttlMs })
  }

  /** `undefined`, for `expected` or `value`, stands for no value. */
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

  clear(): Command<boolean> {
    return encodeCommand({ type: 'clear' })
  }

  persist(): Command<boolean> {
    return encodeCommand({ type: 'persist' })
  }
}
