import { type ByteString, byteStringOf } from '../machine/byte-string.ts'

/** Where the parts of one item are in a buffer. Whoever reads items uses one and the same again and again. */
export class ItemParts {
  bytes = new Uint8Array() as Uint8Array
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  valueEnd = 0
  /** The machine time at which it dies; `Infinity` for an item that does not. */
  deadlineMs = Number.POSITIVE_INFINITY

  /** Find the parts of the item from `start` up to `end`. */
  read(bytes: Uint8Array, start: number, end: number): this {
    this.bytes = bytes
    this.valueEnd = end
    let at = start
    let head = bytes[at++]!
    const hasDeadline = head % 2 === 1
    if (head > 0x7f) {
      head &= 0x7f
      for (let shift = 7; ; shift += 7) {
        const byte = bytes[at++]!
        head |= (byte & 0x7f) << shift
        if (byte < 0x80) break
      }
    }
    this.keyStart = at
    this.keyEnd = at + (head >>> 1)
    this.valueStart = this.keyEnd
    this.deadlineMs = hasDeadline ? this.#readDeadline() : Number.POSITIVE_INFINITY
    return this
  }

  get key(): ByteString {
    return byteStringOf(this.bytes, this.keyStart, this.keyEnd)
  }

  /** A view, valid as long as the buffer is. */
  get value(): Uint8Array {
    return this.bytes.subarray(this.valueStart, this.valueEnd)
  }

  copyOfValue(): Uint8Array {
    return new Uint8Array(this.value)
  }

  #readDeadline(): number {
    let deadlineMs = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.valueStart++]!
      deadlineMs += (byte & 0x7f) * scale
      if (byte < 0x80) return deadlineMs
    }
  }
}
