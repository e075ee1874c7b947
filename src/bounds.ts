/**
 * What callers may give. Each check throws a `RangeError` where the value is given. Its sentence says the value and what to
 * give instead. Programs in JavaScript can give anything, so that a check looks at the type too.
 */

/** The longest timer of Node, 24.8 days; what is beyond it would run out at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1

/** Every request carries the group's name, and so does the description of a stream, which has 4 KiB at most. */
export const GROUP_BYTES_MAX = 512
/** The same is true of a machine's signature. */
export const SIGNATURE_BYTES_MAX = 1_024
/** The author of entries, which is the member of a notice too. A stream's message has one byte for its length. */
export const AUTHOR_BYTES_MAX = 255
/** The incarnation of a log, as requests and offers name it. Ours have 22 or 36. */
export const EPOCH_BYTES_MAX = 64

/** Average sizes of chunks. Twice the largest, and then an item of 32 MiB, is what fits into a frame. */
export const CHUNK_BYTES_MIN = 1
export const CHUNK_BYTES_MAX = 8 * 1024 * 1024

/** A session asks again every 200 ms: an offer of less would expire between two of its questions. */
export const TTL_MS_MIN = 250
/** In less, a marker may not be appended, applied, cut and sealed, though nothing is wrong. */
export const REQUEST_TIMEOUT_MS_MIN = 500
/** In less, a busy event loop would be taken for a peer that has gone. */
export const FETCH_TIMEOUT_MS_MIN = 250

/** Milliseconds within bounds that are both allowed. They need not be whole. */
export function checkMs(name: string, ms: unknown, min: number, max: number = TIMER_MS_MAX): void {
  if (typeof ms === 'number' && ms >= min && ms <= max) return
  throw new RangeError(`${name} is ${shown(ms)}; give milliseconds from ${min} to ${max}`)
}

/** An integer within bounds that are both allowed. */
export function checkInteger(name: string, value: unknown, min: number, max?: number): void {
  const most = max ?? Number.MAX_SAFE_INTEGER
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= most) return
  throw new RangeError(
    `${name} is ${shown(value)}; give an integer from ${min}${max === undefined ? '' : ` to ${max}`}`,
  )
}

/** Any number from `min` on, and `Infinity`, which stands for never. */
export function checkAmount(name: string, value: unknown, min: number): void {
  if (typeof value === 'number' && value >= min) return
  throw new RangeError(`${name} is ${shown(value)}; give a number from ${min}, or Infinity`)
}

/** Text that others are told: without control characters, and of so many bytes of UTF-8. */
export function checkText(name: string, text: unknown, bytesMax: number, bytesMin = 1): void {
  if (typeof text !== 'string') throw new RangeError(`${name} is ${shown(text)}; give a string`)
  const bytes = Buffer.byteLength(text)
  if (bytes < bytesMin || bytes > bytesMax) {
    throw new RangeError(`${name} has ${bytes} bytes of UTF-8; give from ${bytesMin} to ${bytesMax}`)
  }
  if (!text.isWellFormed() || /\p{Cc}/u.test(text)) {
    throw new RangeError(
      `${name} is ${shown(text)}; give text without control characters and lone surrogates`,
    )
  }
}

/** Bytes, and no text or list of numbers in their place. */
export function checkBytes(name: string, bytes: unknown): void {
  if (!(bytes instanceof Uint8Array)) throw new RangeError(`${name} is ${shown(bytes)}; give a Uint8Array`)
}

/** What was given, as short as it takes to recognise it. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}
