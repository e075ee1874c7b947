import type { ByteString } from '../machine/byte-string.ts'
import { type Codec, encodeBytes, encodeWith } from '../machine/codec.ts'
import { KeyTooLarge } from '../machine/errors.ts'
import { KEY_BYTES_MAX } from './limits.ts'

/**
 * A key, for a command.
 *
 * @throws {Unencodable} when the codec throws
 * @throws {KeyTooLarge}
 */
export function encodedKey<T>(codec: Codec<T>, part: 'key' | 'value', key: T): ByteString {
  const encoded = encodeWith(codec, part, key)
  if (encoded.length > KEY_BYTES_MAX) throw new KeyTooLarge(encoded.length, KEY_BYTES_MAX)
  return encoded
}

/**
 * A value, for a command: a copy, because a codec may use one buffer for all values.
 *
 * @throws {Unencodable} when the codec throws
 */
export function encodedValue<T>(codec: Codec<T>, value: T): Uint8Array {
  return new Uint8Array(encodeBytes(codec, 'value', value))
}
