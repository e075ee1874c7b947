import { asError } from './thrown.ts'

/**
 * An error as it travels between threads and processes. Structured clone alone would lose its class, its name
 * and its fields, and those of its causes.
 */
export interface SerializedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Its class's, or its own. */
  readonly code: string | undefined
  /** Its own properties, such as `errno`, as far as they can be cloned. */
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause: SerializedError | undefined
}

/** A class that an error of its code becomes again. */
export type ErrorClass = (abstract new (...args: never[]) => Error) & { readonly code: string }

/** The longest chain of causes. An error that is its own cause must come to an end. */
const CAUSES_MAX = 16

/** Classes that have no code, and are told by their names. */
const BUILT_IN = [RangeError, TypeError, SyntaxError, ReferenceError, EvalError, URIError]

export function serializeError(thrown: unknown, causesMax = CAUSES_MAX): SerializedError {
  const error: Error & { readonly code?: unknown } = asError(thrown)
  const { name, message, stack, code, cause } = error
  const fields = Object.entries(error).filter(([, value]) => isCloneable(value))
  return {
    name,
    message,
    stack,
    code: typeof code === 'string' ? code : undefined,
    fields: Object.fromEntries(fields),
    cause: cause === undefined || causesMax === 0 ? undefined : serializeError(cause, causesMax - 1),
  }
}

/**
 * The error again, with the stack of where it was thrown. It is of the class that has its code among
 * `classes`, or of the built-in class that has its name, or else an `Error` of that name and code.
 */
export function deserializeError(serialized: SerializedError, classes: readonly ErrorClass[]): Error {
  const { name, message, stack, code, fields } = serialized
  const cause = serialized.cause && deserializeError(serialized.cause, classes)
  const error: Error & { readonly code?: unknown } = new Error(message, cause && { cause })
  // Our classes have their code on the prototype. An error with a code of its own is of none of them.
  const known = Object.hasOwn(fields, 'code') ? undefined : classes.find((one) => one.code === code)
  const kind = known ?? BUILT_IN.find(({ prototype }) => prototype.name === name)
  // No constructor is called: each takes arguments of its own, and makes its message of them.
  if (kind !== undefined) Object.setPrototypeOf(error, kind.prototype)
  Object.assign(error, fields, { stack })
  if (error.name !== name) define(error, 'name', name)
  if (error.code !== code) define(error, 'code', code)
  return error
}

/** As a class would have it: no field of its own that is told with the others. */
function define(error: Error, property: string, value: unknown): void {
  Object.defineProperty(error, property, { value, configurable: true, writable: true })
}

function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value)
    return true
  } catch {
    return false
  }
}
