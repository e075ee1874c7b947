import assert from 'node:assert/strict'
import { inspect } from 'node:util'

type ErrorClass = abstract new (...args: never[]) => Error

/** The error of a promise that must reject. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  let outcome: unknown
  try {
    outcome = await promise
  } catch (error) {
    return error
  }
  throw new Error(`it did not reject: it resolved with ${brief(outcome)}`)
}

/** The promise must reject with an error of this class, with these fields. */
export async function failsWith(
  promise: Promise<unknown>,
  Kind: ErrorClass,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  isError(await failureOf(promise), Kind, fields)
}

export function isError(
  error: unknown,
  Kind: ErrorClass,
  fields: Readonly<Record<string, unknown>> = {},
): void {
  if (!(error instanceof Kind)) {
    const seen = error instanceof Error ? `${error.name}: ${error.message}` : brief(error)
    throw new Error(`it should have failed with ${Kind.name}, and failed with ${seen}`, { cause: error })
  }
  hasFields(error, fields)
}

/** The promise must reject with this very error: a signal's reason. */
export async function failsWithReason(promise: Promise<unknown>, reason: Error): Promise<void> {
  const error = await failureOf(promise)
  if (error === reason) return
  throw new Error(`it should have failed with the signal's reason, and failed with ${brief(error)}`, {
    cause: error,
  })
}

/** These fields have these values, whatever else there is. */
export function hasFields(actual: object | undefined, fields: Readonly<Record<string, unknown>>): void {
  assert(actual, `there is nothing, where ${brief(fields)} should be`)
  assert.deepEqual(picked(actual, fields), fields)
}

function picked(actual: object, fields: object): object {
  const values = Object.entries(fields).map(([name, field]) => {
    const value: unknown = Reflect.get(actual, name)
    return [name, isObject(value) && isObject(field) ? picked(value, field) : value]
  })
  return Object.fromEntries(values)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function brief(value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 4, maxStringLength: 200 })
}
