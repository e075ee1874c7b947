import { type ByteString, byteStringOf } from './byte-string.ts'

/** What the reader throws when the bytes do not have the expected form. */
export type Malformation = new (message: string) => Error

/**
 * Reads untrusted bytes from front to back. Every method throws the given error for bytes that it cannot
 * read.
 */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #Malformed: Malformation
  #start = 0
  #offset = 0
  #end: number

  constructor(bytes: Uint8Array, Malformed: Malformation) {
    // Views of a Buffer are Buffers, which cost several times as much to make.
    const { buffer, byteOffset, length } = bytes
    this.#bytes = bytes.constructor === Uint8Array ? bytes : new Uint8Array(buffer, byteOffset, length)
    this.#Malformed = Malformed
    this.#end = bytes.length
  }

  /** Read only what is between two offsets, which must be within the bytes. */
  window(start: number, end: number): void {
    this.#start = start
    this.#offset = start
    this.#end = end
  }

  byte(): number {
    if (this.#offset >= this.#end) throw this.malformed('it ends too early')
    return this.#bytes[this.#offset++]!
  }

  /** Where the next byte is. */
  get offset(): number {
    return this.#offset
  }

  /** Seven bits a byte, the low ones first, up to 49; only the shortest form of a number is accepted. */
  uvarint(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte >= 0x80) continue
      if (byte === 0 && scale > 1) throw this.malformed('a number is not in its shortest form')
      return value
    }
    throw this.malformed('a number has more than seven bytes')
  }

  string(length: number): ByteString {
    const start = this.#offset
    return byteStringOf(this.#bytes, start, this.skip(length))
  }

  /** A view of the next bytes. */
  bytes(length: number): Uint8Array {
    const start = this.#offset
    return this.#bytes.subarray(start, this.skip(length))
  }

  /** Skip `length` bytes. Returns the offset behind them. */
  skip(length: number): number {
    const end = this.#offset + length
    if (end > this.#end) throw this.malformed(`it ends ${end - this.#end} bytes too early`)
    this.#offset = end
    return end
  }

  /** Everything left, perhaps nothing. */
  rest(): ByteString {
    return this.string(this.#end - this.#offset)
  }

  end(): void {
    const left = this.#end - this.#offset
    if (left > 0) throw this.malformed(`${left} bytes follow its end`)
  }

  malformed(reason: string): Error {
    return new this.#Malformed(
      `${reason} (at byte ${this.#offset - this.#start} of ${this.#end - this.#start})`,
    )
  }
}
