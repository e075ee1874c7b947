import { asError } from './thrown.ts'

/**
 * An error as it travels between threads and processes. Structured clone alone would lose its class, its name
 * and its fields, and those of its causes.
 */
export interface SerializedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Its own properties, `code` and `errno` among them, as far as they can be cloned. */
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause: SerializedError | undefined
}

/** A class that an error with its code becomes again. */
export type ErrorClass = (abstract new (...args: never[]) => Error) & { readonly code: string }

/** The most causes that are kept, one inside the other: an error may be its own cause. */
const CAUSES_MAX = 16

/** Built-in classes, which have no code and are recognised by their name. */
const BUILT_IN = [RangeError, TypeError, SyntaxError, ReferenceError, EvalError, URIError]

export function serializeError(thrown: unknown, causesMax = CAUSES_MAX): SerializedError {
  const error = asError(thrown)
  const { name, message, stack, cause } = error
  const fields = Object.entries(error).filter(([, value]) => isCloneable(value))
  return {
    name,
    message,
    stack,
    fields: Object.fromEntries(fields),
    cause: cause === undefined || causesMax === 0 ? undefined : serializeError(cause, causesMax - 1),
  }
}

/**
 * The error again, with the stack of where it was thrown. It is of the class that has its code among
 * `classes`, or of the built-in class that has its name, or else an `Error` of that name.
 */
export function deserializeError(serialized: SerializedError, classes: readonly ErrorClass[]): Error {
  const { name, message, stack, fields } = serialized
  const cause = serialized.cause && deserializeError(serialized.cause, classes)
  const error = new Error(message, cause && { cause })
  const kind =
    classes.find(({ code }) => code === fields.code) ??
    BUILT_IN.find(({ prototype }) => prototype.name === name)
  // No constructor is called, because each takes other arguments and makes the message from them.
  if (kind !== undefined) Object.setPrototypeOf(error, kind.prototype)
  Object.assign(error, fields, { stack })
  if (error.name !== name)
    Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true })
  return error
}

function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value)
    return true
  } catch {
    return false
  }
}
