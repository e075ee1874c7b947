/**
 * Reads a length of seven bits a byte, low bits first. Returns where the text after it starts, and the
 * length.
 */
export function readLength(bytes: Uint8Array, at: number): [start: number, length: number] {
  let length = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++]!
    length += (byte & 127) * scale
    if (byte < 128) return [at, length]
  }
}
