import { type ByteString, byteStringOf } from './byte-string.ts'

/** What the reader throws when the bytes are not as promised. */
export type Malformation = new (message: string) => Error

/** Reads bytes that nobody vouches for, front to back. Every method throws the given error on what it cannot read. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #Malformed: Malformation
  #offset = 0

  constructor(bytes: Uint8Array, Malformed: Malformation) {
    this.#bytes = bytes
    this.#Malformed = Malformed
  }

  byte(): number {
    const byte = this.#bytes[this.#offset]
    if (byte === undefined) throw this.malformed('it ends too early')
    this.#offset++
    return byte
  }

  /** Seven bits a byte, the low ones first; only the shortest form of a number is accepted. */
  uvarint(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 35; scale *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte >= 0x80) continue
      if (byte === 0 && scale > 1) throw this.malformed('a number is not in its shortest form')
      return value
    }
    throw this.malformed('a number has more than five bytes')
  }

  string(length: number): ByteString {
    const start = this.#offset
    const end = start + length
    if (end > this.#bytes.length) throw this.malformed(`it ends ${end - this.#bytes.length} bytes too early`)
    this.#offset = end
    return byteStringOf(this.#bytes, start, end)
  }

  /** Everything left, perhaps nothing. */
  rest(): ByteString {
    return this.string(this.#bytes.length - this.#offset)
  }

  end(): void {
    const left = this.#bytes.length - this.#offset
    if (left > 0) throw this.malformed(`${left} bytes follow its end`)
  }

  malformed(reason: string): Error {
    return new this.#Malformed(`${reason} (at byte ${this.#offset} of ${this.#bytes.length})`)
  }
}
