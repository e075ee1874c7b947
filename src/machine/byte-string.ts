/**
 * Bytes held as a JavaScript string with one character (U+0000 to U+00FF) per byte.
 *
 * V8 keeps such a string as one byte per character behind a 16-byte header, where a `Uint8Array` costs some
 * 200 bytes before its first byte. It is immutable, so trees and snapshots can share it, and `<` and `===`
 * compare it in exactly the order of its bytes. It is not text: read it with a codec.
 */
export type ByteString = string & { readonly [brand]: never }
declare const brand: unique symbol

// Methods of every Buffer that work on any Uint8Array; the types leave them out.
interface Latin1 {
  latin1Slice(this: Uint8Array, start: number, end: number): string
  latin1Write(this: Uint8Array, text: string, offset: number, length: number): number
}
const { latin1Slice, latin1Write } = Buffer.prototype as unknown as Latin1

/** A copy of the bytes from `start` up to `end`. */
export function byteStringOf(bytes: Uint8Array, start = 0, end = bytes.length): ByteString {
  return latin1Slice.call(bytes, start, end) as ByteString
}

/** A fresh copy, the caller's to keep. */
export function bytesOf(text: ByteString): Uint8Array {
  return Buffer.from(text, 'latin1')
}

/** Copy into `target`, which must have the room. */
export function writeByteString(text: ByteString, target: Uint8Array, offset: number): void {
  latin1Write.call(target, text, offset, text.length)
}

/** Byte order: shorter first where one begins with the other. */
export function compareByteStrings(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a === b ? 0 : 1
}
