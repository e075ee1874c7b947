import { inspect } from 'node:util'
import { AnchorageError } from './errors.ts'

/** How much is kept of a thrown value that is no error, in UTF-16 code units. */
const VALUE_LENGTH_MAX = 200

/**
 * A value was thrown, or was the reason of a rejection, that is no error. A state machine, a listener or a
 * library did it.
 */
export class ThrownValue extends AnchorageError {
  static override readonly code = 'THROWN_VALUE'
  override readonly name = 'ThrownValue'
  readonly value: unknown
  constructor(value: unknown) {
    const text =
      typeof value === 'string' ? value : inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY })
    super(text.slice(0, VALUE_LENGTH_MAX))
    this.value = value
  }
}

/** Returns an error unchanged, and wraps any other value in a `ThrownValue` that describes it. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new ThrownValue(thrown)
}

/** Report an error that no caller takes, as a process warning with the error's stack. */
export function warn(type: string, message: string, thrown: unknown): void {
  const detail = thrown instanceof Error ? thrown.stack : String(thrown)
  process.emitWarning(message, { type, detail })
}
