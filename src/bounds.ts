/**
 * Checks of the values that callers give. Each check throws a `RangeError` where the value is given. Its
 * message names the value and says what to give instead. JavaScript programs can give anything, so a check
 * looks at the type too.
 */
import { types } from 'node:util'

/** Node's longest timer, in milliseconds: 24.8 days. A longer one would fire at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1

/**
 * The longest name of a group, in bytes. Every request carries it, and so does the description of a stream,
 * which has 4 KiB at most.
 */
export const GROUP_BYTES_MAX = 512
/** The longest signature of a machine, in bytes. Requests and the description of a stream carry it too. */
export const SIGNATURE_BYTES_MAX = 1_024
/** The most older versions that a machine may speak. */
export const OLDER_MAX = 16
/**
 * The longest author of entries, in bytes, and the longest member of a presence. A stream's message has one
 * byte for the author's length.
 */
export const AUTHOR_BYTES_MAX = 255
/**
 * The longest epoch of a log, in bytes, as requests and offers carry it. The logs here have epochs of 22 or
 * 36.
 */
export const EPOCH_BYTES_MAX = 64

/** The longest answer of a machine to a question, in bytes: it travels in one frame, like the largest chunk. */
export const ANSWER_BYTES_MAX = 48 * 1024 * 1024

/** The least average size of chunks, in bytes. */
export const CHUNK_BYTES_MIN = 1
/** The greatest average size of chunks, in bytes. Twice that, and an item of 32 MiB, fits into a frame. */
export const CHUNK_BYTES_MAX = 8 * 1024 * 1024

/**
 * The shortest TTL of an offer, in milliseconds. A session asks again every 200 ms, so a shorter offer would
 * expire between two questions.
 */
export const TTL_MS_MIN = 250
/**
 * The shortest request timeout, in milliseconds. Within less, a marker may not be appended, applied, cut and
 * sealed, even if nothing is wrong.
 */
export const REQUEST_TIMEOUT_MS_MIN = 500
/**
 * The shortest fetch timeout, in milliseconds. With less, a busy event loop would look like a peer that has
 * gone.
 */
export const FETCH_TIMEOUT_MS_MIN = 250

/** Checks for milliseconds between two bounds, both allowed. They need not be whole. */
export function checkMs(name: string, ms: unknown, min: number, max: number = TIMER_MS_MAX): void {
  if (typeof ms === 'number' && ms >= min && ms <= max) return
  throw new RangeError(`${name} is ${shown(ms)}; give milliseconds from ${min} to ${max}`)
}

/** Checks for an integer between two bounds, both allowed. */
export function checkInteger(name: string, value: unknown, min: number, max?: number): void {
  const most = max ?? Number.MAX_SAFE_INTEGER
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= most) return
  throw new RangeError(
    `${name} is ${shown(value)}; give an integer from ${min}${max === undefined ? '' : ` to ${max}`}`,
  )
}

/** Checks for a number from `min` on. `Infinity` is allowed and stands for never. */
export function checkAmount(name: string, value: unknown, min: number): void {
  if (typeof value === 'number' && value >= min) return
  throw new RangeError(`${name} is ${shown(value)}; give a number from ${min}, or Infinity`)
}

/**
 * Checks a text that other processes will see: no control characters, and from `bytesMin` to `bytesMax` bytes
 * of UTF-8.
 */
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

/** Checks for bytes. Neither text nor a list of numbers will do. */
export function checkBytes(name: string, bytes: unknown): void {
  if (!types.isUint8Array(bytes)) throw new RangeError(`${name} is ${shown(bytes)}; give a Uint8Array`)
}

export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw new RangeError(`${name} is ${shown(value)}; give a function`)
}

/** The methods of a `Clock`. */
export const CLOCK_METHODS = ['now', 'wallNow', 'schedule', 'turn'] as const

/** An object with these methods. */
export function checkMethods(name: string, value: unknown, methods: readonly string[]): void {
  if (typeof value !== 'object' || value === null) {
    throw new RangeError(`${name} is ${shown(value)}; give an object with ${methods.join(', ')}`)
  }
  for (const method of methods) checkFunction(`${name}.${method}`, Reflect.get(value, method))
}

/** A short form of the value, from which the caller can recognise it. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}
