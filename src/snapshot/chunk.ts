import { Items } from '../machine/items.ts'
import { isBoundary, itemHash } from './boundary.ts'
import { MalformedChunk, SnapshotTooLarge } from './errors.ts'

/** A chunk: consecutive items, each preceded by its length as an unsigned LEB128 varint. */

/** The largest item, in bytes. It bounds what one item from a peer can make us hold. */
export const ITEM_BYTES_MAX = 32 * 1024 * 1024

/** Throws `SnapshotTooLarge` for an item that no chunk can hold. */
export function checkItemBytes(bytes: number): void {
  if (bytes <= ITEM_BYTES_MAX) return
  throw new SnapshotTooLarge(`an item of ${bytes} bytes is beyond the limit of ${ITEM_BYTES_MAX}`)
}

/**
 * Collects items into one chunk after the other, in a growing buffer that is reused for each. A chunk ends
 * after a boundary item, if it has half the average size S by then, and in any case once it has 2 S. So every
 * chunk but the last has from S/2 to 2 S bytes, plus the excess of its last item.
 */
export class ChunkWriter {
  readonly #chunkBytes: number
  #buffer: Buffer
  #view: DataView
  #used = 0
  #items = 0
  #ended = false

  /** @param chunkBytes the average size S of chunks, up to 8 MiB */
  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes
    this.#buffer = Buffer.allocUnsafe(Math.min(2 * chunkBytes, 1024 * 1024) + 4096)
    this.#view = viewOf(this.#buffer)
  }

  get items(): number {
    return this.#items
  }

  /** The chunk ends here: take it. */
  get ended(): boolean {
    return this.#ended
  }

  add(item: Uint8Array): void {
    checkItemBytes(item.length)
    this.#reserve(item.length + 5)
    const before = this.#used
    let rest = item.length
    while (rest > 0x7f) {
      this.#buffer[this.#used++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#buffer[this.#used++] = rest
    this.#buffer.set(item, this.#used)
    this.#used += item.length
    this.#items++
    this.#ended = this.#endsAfter(this.#used - item.length, this.#used - before)
  }

  /** The chunk's bytes, as a copy. The writer begins the next chunk. */
  take(): { items: number; bytes: Buffer } {
    const bytes = Buffer.allocUnsafeSlow(this.#used)
    this.#buffer.copy(bytes, 0, 0, this.#used)
    const items = this.#items
    this.#used = 0
    this.#items = 0
    this.#ended = false
    return { items, bytes }
  }

  /** @param start of the newest item, which takes `itemBytes` including its length */
  #endsAfter(start: number, itemBytes: number): boolean {
    const chunkBytes = this.#chunkBytes
    if (this.#used * 2 < chunkBytes) return false
    if (this.#used >= chunkBytes * 2) return true
    return isBoundary(itemHash(this.#view, start, this.#used), itemBytes, chunkBytes)
  }

  #reserve(more: number): void {
    if (this.#used + more <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#used + more))
    this.#buffer.copy(larger, 0, 0, this.#used)
    this.#buffer = larger
    this.#view = viewOf(larger)
  }
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length)
}

/**
 * The items of a chunk. Throws `MalformedChunk` unless it holds exactly `count` items.
 *
 * @param bounds takes where they begin and end; two words for each item, or more
 */
export function itemsOf(bytes: Uint8Array, count: number, bounds = new Uint32Array(count * 2)): Items {
  // A plain view: a view of a `Buffer` is a `Buffer`, and costs several times as much.
  const chunk = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  if (count > chunk.length)
    throw new MalformedChunk(`a chunk of ${chunk.length} bytes cannot hold ${count} items`)
  let at = 0
  for (let n = 0; n < count; n++) {
    let length = 0
    let scale = 1
    for (;;) {
      const byte = chunk[at++]
      if (byte === undefined) throw new MalformedChunk('a chunk ends within the length of an item')
      length += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 128
      if (scale > ITEM_BYTES_MAX) throw new MalformedChunk('the length of an item in a chunk is too long')
    }
    if (at + length > chunk.length) throw new MalformedChunk('a chunk ends within an item')
    bounds[2 * n] = at
    at += length
    bounds[2 * n + 1] = at
  }
  if (at !== chunk.length) throw new MalformedChunk(`a chunk holds more than its ${count} items`)
  return new Items(chunk, bounds, 0, count)
}
