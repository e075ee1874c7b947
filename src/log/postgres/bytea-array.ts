/** Bytes before the first element: the number of dimensions, whether there are nulls, the type, length, and base. */
const HEADER_BYTES = 20
/** The type `bytea`. */
const BYTEA = 17

/**
 * Payloads as the server's own form of `bytea[]`. The client would send a list as text, with two characters for
 * each byte.
 */
export function byteaArray(payloads: readonly { readonly payload: Uint8Array }[]): Buffer {
  let bytes = HEADER_BYTES
  for (const { payload } of payloads) bytes += 4 + payload.byteLength
  const array = Buffer.allocUnsafe(bytes)
  array.writeInt32BE(1, 0)
  array.writeInt32BE(0, 4)
  array.writeInt32BE(BYTEA, 8)
  array.writeInt32BE(payloads.length, 12)
  array.writeInt32BE(1, 16)
  let at = HEADER_BYTES
  for (const { payload } of payloads) {
    array.writeInt32BE(payload.byteLength, at)
    array.set(payload, at + 4)
    at += 4 + payload.byteLength
  }
  return array
}
