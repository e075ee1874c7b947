import type { Json } from '../machine/codec.ts'

/** What may hold a number that is beyond JavaScript's: 16 digits in a row, or an exponent of three. */
const SUSPECT = /\d{16}|[eE]\+?\d{3}/
const INTEGER = /^-?\d+$/

/** JSON whose numbers are kept as they stand. Throws `SyntaxError`, and `RangeError` for a number that would be changed. */
export function parseJson(text: string): Json {
  return JSON.parse(text, SUSPECT.test(text) ? exact : undefined) as Json
}

/** A fraction is as near as a 64-bit number gets, as everywhere; an integer stands for something, and is that or another. */
function exact(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined) return value
  if (Number.isFinite(value) && (!INTEGER.test(source) || String(value) === source)) return value
  throw new RangeError(
    `the number ${source} is beyond what JSON numbers keep exactly: write it as a string, "${source}"`,
  )
}
