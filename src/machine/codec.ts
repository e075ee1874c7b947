import { type ByteString, byteStringOf, bytesOf } from './byte-string.ts'
import { Undecodable, Unencodable } from './errors.ts'

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
}

/** What JSON can hold without loss. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

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
  decode: (bytes) => utf8.decode(bytes),
}

/** Bytes as they are. */
export const bytesCodec: Codec<Uint8Array> = {
  name: 'bytes',
  encode: (bytes) => bytes,
  decode: (bytes) => new Uint8Array(bytes),
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
    decode: (bytes) => JSON.parse(utf8.decode(bytes)),
  }
}

/** @throws {Unencodable} when the codec throws. */
export function encodeWith<T>(codec: Codec<T>, part: 'key' | 'value', value: T): ByteString {
  try {
    return byteStringOf(codec.encode(value))
  } catch (cause) {
    throw new Unencodable(part, codec.name, cause)
  }
}

/** @throws {Undecodable} when the codec throws. */
export function decodeWith<T>(codec: Codec<T>, part: 'key' | 'value', text: ByteString): T {
  try {
    return codec.decode(bytesOf(text))
  } catch (cause) {
    throw new Undecodable(part, codec.name, cause)
  }
}
