import { inspect } from 'node:util'

/** What is kept of a value that was thrown and is no error, in UTF-16 code units. */
const VALUE_LENGTH_MAX = 200

/** Something was thrown, or was the reason of a rejection, that is no error: by a state machine, a listener, a library. */
export class ThrownValue extends Error {
  override readonly name = 'ThrownValue'
  readonly value: unknown
  constructor(value: unknown) {
    const text =
      typeof value === 'string' ? value : inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY })
    super(text.slice(0, VALUE_LENGTH_MAX))
    this.value = value
  }
}

/** An error as it is, and anything else as a `ThrownValue` that says what it was. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new ThrownValue(thrown)
}
