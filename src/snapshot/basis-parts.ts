import { SnapshotReleased } from '../machine/errors.ts'
import type { Items } from '../machine/items.ts'
import type { Snapshot } from '../machine/machine.ts'
import { itemsOf } from './chunk.ts'
import type { ChunkBody, ChunkSink } from './chunk-sink.ts'
import type { ChunkInfo } from './manifest.ts'
import { releaseSnapshot } from './release.ts'
import { Slices } from './slices.ts'

/** One chunk of a basis. */
export interface Part {
  /** The number of its first item in the basis. */
  readonly first: number
  readonly info: ChunkInfo
  readonly body: ChunkBody
}

/** A part whose items were found. */
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
  #read: ReadPart[] = []

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

  /** Chunk `index`, with its items. */
  at(index: number): ReadPart {
    return read(this.#parts[index]!)
  }

  /** The chunk that an item lies in. Throws `SnapshotReleased` after `release`. */
  of(item: number): ReadPart {
    const newest = this.#read[0]
    if (newest !== undefined && lies(item, newest)) return newest
    const found = this.#read.find((part) => lies(item, part)) ?? read(this.#partOf(item))
    this.#read = [found, ...this.#read.filter((part) => part !== found)].slice(0, READ_MAX)
    return found
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

/** The bytes of a part. Of one in slices, they are a copy. */
export function bytesOf({ body }: Part): Uint8Array {
  return body instanceof Slices ? body.join() : body
}

function read(part: Part): ReadPart {
  return { first: part.first, items: itemsOf(bytesOf(part), part.info.items) }
}

function lies(item: number, { first, items }: ReadPart): boolean {
  return item >= first && item < first + items.length
}

function nameOf(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString('latin1')
}
