import { errorCode } from '../error-code.ts'
import type { LoggedError } from './line.ts'

/** An error as a line tells it. Without its stack: a line is one line. */
export function loggedError(error: Error): LoggedError {
  return { type: error.name, code: errorCode(error), message: error.message }
}

/** What is read of a message for its key, in UTF-16 code units: a peer may have written it. */
const MESSAGE_LENGTH_MAX = 200

/** What tells an error from others. A number in its message, such as a time or an attempt, makes it no other one. */
export function errorKey({ name, message }: Error): string {
  return `${name}: ${message.slice(0, MESSAGE_LENGTH_MAX).replaceAll(/\d+/g, '#')}`
}
