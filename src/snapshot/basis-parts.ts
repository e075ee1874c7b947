import { SnapshotReleased } from '../machine/errors.ts'
import { Items } from '../machine/items.ts'
import type { Snapshot } from '../machine/machine.ts'
import { itemsOf } from './chunk.ts'
import type { ChunkBody, ChunkSink } from './chunk-sink.ts'
import { DistantChunk } from './distant-chunk.ts'
import type { ChunkInfo } from './manifest.ts'
import { releaseSnapshot } from './release.ts'
import { Slices } from './slices.ts'

/** A chunk in memory. */
type NearBody = Exclude<ChunkBody, DistantChunk>

/** One chunk of a basis. */
export interface Part {
  /** The number of its first item in the basis. */
  readonly first: number
  readonly info: ChunkInfo
  readonly body: NearBody
}

/** A part whose items were found. It is valid until another one is asked for. */
export interface ReadPart {
  readonly first: number
  readonly items: Items
}

/** Items are asked for in their order, and now and then of a chunk further on or back. */
const READ_MAX = 4

/**
 * The chunks of a basis, as they lie in the state. The items of few of them are looked up at a time: where all
 * items are would take 8 bytes for each, and chunks that lie in slices would be in memory twice.
 */
export class BasisParts implements ChunkSink {
  readonly infos: ChunkInfo[] = []
  readonly #parts: Part[] = []
  readonly #byHash = new Map<string, Part>()
  #source: Snapshot | undefined
  #items = 0
  /** The parts that were read last, the newest first. */
  #read: PartReader[] = []

  /** @param source what the chunks lie in; released with the parts */
  constructor(source: Snapshot) {
    this.#source = source
  }

  /** The number of chunks. */
  get length(): number {
    return this.#parts.length
  }

  /** The number of items. */
  get items(): number {
    return this.#items
  }

  add(body: ChunkBody, info: ChunkInfo): void {
    if (body instanceof DistantChunk) throw new TypeError('a basis has its chunks in memory')
    const part = { first: this.#items, info, body }
    this.infos.push(info)
    this.#parts.push(part)
    this.#byHash.set(nameOf(info.hash), part)
    this.#items += info.items
  }

  /** The chunk with this hash. */
  named(hash: Uint8Array): Part | undefined {
    return this.#byHash.get(nameOf(hash))
  }

  /** The chunk that an item lies in. Throws `SnapshotReleased` after `release`. */
  of(item: number): ReadPart {
    const newest = this.#read[0]
    if (newest?.has(item)) return newest
    let reader = this.#read.find((one) => one.has(item))
    if (reader === undefined) {
      const part = this.#partOf(item)
      reader = this.#read.length < READ_MAX ? new PartReader() : this.#read.at(-1)!
      reader.read(part)
    }
    this.#read = [reader, ...this.#read.filter((one) => one !== reader)]
    return reader
  }

  release(): void {
    this.infos.length = this.#parts.length = this.#read.length = this.#items = 0
    this.#byHash.clear()
    this.releaseSource()
  }

  /** The parts are copies of what is there. */
  releaseSource(): void {
    if (this.#source !== undefined) releaseSnapshot(this.#source)
    this.#source = undefined
  }

  #partOf(item: number): Part {
    let [low, high] = [0, this.#parts.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#parts[middle]!.first <= item) low = middle
      else high = middle - 1
    }
    const part = this.#parts[low]
    if (part === undefined) throw new SnapshotReleased()
    return part
  }
}

/** The bytes of a part. */
export function bytesOf({ body }: Part): Uint8Array {
  if (body instanceof Slices) return body.join()
  return body
}

/** Reads one part after the other into the same memory, because the collector takes its time to free new one. */
class PartReader implements ReadPart {
  first = 0
  items = Items.of()
  #buffer = new Uint8Array(0)
  #bounds = new Uint32Array(0)

  read({ first, info, body }: Part): void {
    this.first = 0
    this.items = Items.of()
    if (this.#bounds.length < info.items * 2) this.#bounds = new Uint32Array(info.items * 2)
    if (body instanceof Slices && this.#buffer.length < info.bytes) this.#buffer = new Uint8Array(info.bytes)
    const bytes = body instanceof Slices ? body.joinIn(this.#buffer) : body
    this.items = itemsOf(bytes, info.items, this.#bounds)
    this.first = first
  }

  has(item: number): boolean {
    return item >= this.first && item < this.first + this.items.length
  }
}

function nameOf(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString('latin1')
}
