import { type ByteString, byteStringOf, bytesOf } from './byte-string.ts'
import { type Part, Undecodable, Unencodable } from './errors.ts'

/**
 * How keys or values become bytes and back.
 *
 * @example
 * ```ts
 * const date: Codec<Date> = {
 *   name: 'date/1',
 *   encode: (value) => Buffer.from(value.toISOString()),
 *   decode: (bytes) => new Date(Buffer.from(bytes).toString()),
 * }
 * ```
 */
export interface Codec<T> {
  /** Part of the machine's signature: change it whenever the bytes for a value change. */
  readonly name: string
  /** Encode a value. The map copies the bytes at once. Throw for a value that cannot be encoded. */
  encode(value: T): Uint8Array
  /**
   * The inverse of `encode`. The bytes are a copy that may be kept. Throw for bytes that `encode` would never
   * produce.
   */
  decode(bytes: Uint8Array): T
  /**
   * Like `decode`, for the bytes from `start` up to `end`, which are not a copy: nothing of them may be kept. Spares
   * copying each value that is read. Default: `decode` gets a copy.
   */
  decodeAt?(bytes: Uint8Array, start: number, end: number): T
}

/** What JSON can hold without loss. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

// A method of every Buffer that works on any Uint8Array; the types leave it out. It takes a third of the time.
const { utf8Slice } = Buffer.prototype as unknown as {
  utf8Slice(this: Uint8Array, start: number, end: number): string
}

/** The text of UTF-8 bytes. Throws for others. */
function textAt(bytes: Uint8Array, start: number, end: number): string {
  const text = utf8Slice.call(bytes, start, end)
  // It stands for bytes that are no UTF-8, unless it is in the text itself.
  return text.includes('\ufffd') ? utf8.decode(bytes.subarray(start, end)) : text
}

/**
 * Strings as UTF-8: byte order is then the order of code points. A lone surrogate is refused, because it has
 * no UTF-8 form.
 */
export const stringCodec: Codec<string> = {
  name: 'utf8',
  encode(text) {
    if (typeof text !== 'string')
      throw new TypeError(`a ${typeof text} is no string; give the map a codec for it`)
    if (!text.isWellFormed()) throw new TypeError('it holds a lone surrogate; apply toWellFormed() first')
    return Buffer.from(text)
  },
  decode: (bytes) => textAt(bytes, 0, bytes.length),
  decodeAt: textAt,
}

/** Bytes as they are. */
export const bytesCodec: Codec<Uint8Array> = {
  name: 'bytes',
  encode: (bytes) => bytes,
  decode: (bytes) => new Uint8Array(bytes),
  decodeAt: (bytes, start, end) => new Uint8Array(bytes.subarray(start, end)),
}

/**
 * Values as `JSON.stringify` writes them, for types that survive it: a `Date` comes back as a string, a `NaN`
 * as null. The order of an object's properties is part of the bytes.
 */
export function jsonCodec<T = Json>(): Codec<T> {
  return {
    name: 'json',
    encode(value) {
      const text: string | undefined = JSON.stringify(value)
      if (text === undefined) throw new TypeError(`JSON has no ${typeof value}; use null, or delete the key`)
      return Buffer.from(text)
    },
    decode: (bytes) => JSON.parse(textAt(bytes, 0, bytes.length)),
    decodeAt: (bytes, start, end) => JSON.parse(textAt(bytes, start, end)),
  }
}

/** @throws {Unencodable} when the codec throws. */
export function encodeWith<T>(codec: Codec<T>, part: Part, value: T): ByteString {
  return byteStringOf(encodeBytes(codec, part, value))
}

/**
 * The bytes are the codec's: whoever keeps them copies them.
 *
 * @throws {Unencodable} when the codec throws.
 */
export function encodeBytes<T>(codec: Codec<T>, part: Part, value: T): Uint8Array {
  try {
    return codec.encode(value)
  } catch (cause) {
    throw new Unencodable(part, codec.name, cause)
  }
}

/** @throws {Undecodable} when the codec throws. */
export function decodeWith<T>(codec: Codec<T>, part: Part, text: ByteString): T {
  const bytes = bytesOf(text)
  return decodeBytes(codec, part, bytes, 0, bytes.length)
}

/** @throws {Undecodable} when the codec throws. */
export function decodeBytes<T>(
  codec: Codec<T>,
  part: Part,
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
): T {
  try {
    if (codec.decodeAt !== undefined) return codec.decodeAt(bytes, start, end)
    return codec.decode(new Uint8Array(bytes.subarray(start, end)))
  } catch (cause) {
    throw new Undecodable(part, codec.name, cause)
  }
}
