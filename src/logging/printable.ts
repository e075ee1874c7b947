import { plainText } from '../plain-text.ts'
import { withoutPasswords } from '../without-passwords.ts'
import type { LogFields, LoggedError, LogLine } from './line.ts'

/** What is kept of a text in a line, in UTF-16 code units: a peer may say anything, at any length. */
const TEXT_LENGTH_MAX = 1_000
/** More is not looked at. */
const READ_LENGTH_MAX = 8 * TEXT_LENGTH_MAX

/** A line that is one line wherever it is shown: nothing in it that a terminal obeys, and no password. */
export function printable(line: LogLine): LogLine {
  const fields = Object.entries(line.fields).map(([name, value]) => [name, printableValue(value)])
  return { ...line, text: printableText(line.text), fields: Object.fromEntries(fields) }
}

function printableValue(value: LogFields[string]): LogFields[string] {
  if (typeof value === 'string') return printableText(value)
  if (typeof value !== 'object') return value
  const { type, code, message } = value
  return { type: printableText(type), code, message: printableText(message) } satisfies LoggedError
}

function printableText(text: string): string {
  // Before it is cut: what is left of a password is one still.
  const shown = withoutPasswords(text.slice(0, READ_LENGTH_MAX))
  return plainText(shown.length <= TEXT_LENGTH_MAX ? shown : `${shown.slice(0, TEXT_LENGTH_MAX - 1)}…`)
}
