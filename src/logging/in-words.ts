import type { LogFields, LoggedError } from './line.ts'

/** A value that needs no quotes. */
const BARE = /^[^\s"=]+$/

/** A line as text: its words, and then its fields as `name=value`. A value with spaces is quoted as in JSON. */
export function inWords(text: string, fields: Readonly<Record<string, LogFields[string]>>): string {
  return [text, ...Object.entries(fields).flatMap(fieldInWords)].join(' ')
}

function fieldInWords([name, value]: [string, LogFields[string]]): string[] {
  if (value === undefined) return []
  if (typeof value === 'object') return errorInWords(name, value)
  const text = String(value)
  return [`${name}=${BARE.test(text) ? text : JSON.stringify(text)}`]
}

function errorInWords(name: string, { type, code, message }: LoggedError): string[] {
  return [`${name}=${JSON.stringify(`${type}: ${message}`)}`, `code=${code}`]
}
