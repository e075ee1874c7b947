import type { Json } from '../machine/codec.ts'

/**
 * A text that matches may hold a number beyond JavaScript's: 16 digits in a row, or an exponent of three
 * digits.
 */
const SUSPECT = /\d{16}|[eE]\+?\d{3}/
const INTEGER = /^-?\d+$/

/**
 * Parses JSON, and keeps its numbers as they stand. Throws `SyntaxError`, and `RangeError` for a number that
 * would be changed.
 */
export function parseJson(text: string): Json {
  return JSON.parse(text, SUSPECT.test(text) ? exact : undefined) as Json
}

/**
 * A fraction becomes the nearest 64-bit number, as everywhere. An integer may be an id: one digit off, it
 * names something else.
 */
function exact(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined) return value
  if (Number.isFinite(value) && (!INTEGER.test(source) || String(value) === source)) return value
  throw new RangeError(
    `the number ${source} is beyond what JSON numbers keep exactly: write it as a string, "${source}"`,
  )
}
