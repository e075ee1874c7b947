import type { Codec } from '../../machine/codec.ts'
import type { Command } from '../../machine/machine.ts'
import { CommandReader, CommandWriter } from '../command-fields.ts'
import { encodedValue } from '../encoded.ts'

/** The op byte of `set`, the only operation. It is part of the log. See command-fields.ts. */
const SET = 1

/** What a write of a `ReplicatedOnce` came to. */
export interface OnceResult<T> {
  /** Whether this write was the first. */
  readonly won: boolean
  /** What the first write set. Decoded when it is read; that throws `Undecodable` if the codec cannot. */
  readonly value: T
}

/**
 * Makes the commands of a `ReplicatedOnce`, for programs that append to a log without being a replica. A replica's
 * own does this for you in `set`. Throws `Unencodable` for a value that the codec refuses.
 */
export class OnceCommands<T> {
  readonly #values: Codec<T>

  constructor(values: Codec<T>) {
    this.#values = values
  }

  /** Set the value, if nobody has. The result says whether this write was the first, and what the value is. */
  set(value: T): Command<OnceResult<T>> {
    const writer = new CommandWriter(SET)
    writer.value(encodedValue(this.#values, value))
    return writer.view()
  }
}

/**
 * The value that a command sets: a view of it.
 *
 * @throws {MalformedCommand} for bytes that `OnceCommands` would not make
 */
export function valueOfCommand(bytes: Uint8Array): Uint8Array {
  const reader = new CommandReader(bytes)
  reader.refuseTtl()
  if (reader.op !== SET) throw reader.malformed(`there is no operation ${reader.op} on what is set once`)
  const value = reader.value()
  reader.end()
  return value
}
