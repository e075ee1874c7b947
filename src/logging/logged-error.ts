import { errorCode } from '../error-code.ts'
import type { LoggedError } from './line.ts'

/** An error as a line tells it. Without its stack: a line is one line. */
export function loggedError(error: Error): LoggedError {
  return { type: error.name, code: errorCode(error), message: error.message }
}

/** What tells an error from others. A number in its message, such as a time or an attempt, makes it no other one. */
export function errorKey({ name, message }: Error): string {
  return `${name}: ${message.replaceAll(/\d+/g, '#')}`
}
