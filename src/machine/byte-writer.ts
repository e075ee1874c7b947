import { type ByteString, writeByteString } from './byte-string.ts'

/** The size of the buffer before it first grows. */
const INITIAL_BYTES = 256
/** The longest uvarint that `ByteReader` reads. */
const UVARINT_BYTES_MAX = 7
/** Views up to this length are kept and reused. Longer ones are made anew each time. */
const VIEW_BYTES_MAX = 1_024

/** Writes the format that `ByteReader` reads, into one growing buffer that is reused after `clear()`. */
export class ByteWriter {
  #bytes = pooled(INITIAL_BYTES)
  #length = 0
  /**
   * Views by length. All begin where the buffer does, and a snapshot asks for a million views of a few
   * lengths.
   */
  #views: Uint8Array[] = []

  clear(): void {
    this.#length = 0
  }

  byte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = byte
  }

  uvarint(value: number): void {
    this.#reserve(UVARINT_BYTES_MAX)
    let left = value
    for (; left >= 0x80; left = Math.floor(left / 128)) this.#bytes[this.#length++] = (left % 128) | 0x80
    this.#bytes[this.#length++] = left
  }

  string(text: ByteString): void {
    this.#reserve(text.length)
    writeByteString(text, this.#bytes, this.#length)
    this.#length += text.length
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** What was written since `clear()`; valid until the next call of any method. */
  view(): Uint8Array {
    if (this.#length > VIEW_BYTES_MAX) return this.#bytes.subarray(0, this.#length)
    this.#views[this.#length] ??= this.#bytes.subarray(0, this.#length)
    return this.#views[this.#length]!
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const grown = pooled(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
    this.#views = []
  }
}

/**
 * A buffer from Node's pool, because allocating a separate one costs more than all the writing. It is a plain
 * `Uint8Array`, because views of a `Buffer` are slower to make.
 */
function pooled(count: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafe(count)
  return new Uint8Array(buffer, byteOffset, count)
}
