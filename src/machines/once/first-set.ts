import { isUtf8 } from 'node:buffer'
import { ByteReader } from '../../machine/byte-reader.ts'
import { ByteWriter } from '../../machine/byte-writer.ts'
import { MalformedItem, SnapshotReleased } from '../../machine/errors.ts'
import type { Items } from '../../machine/items.ts'
import type { Installation, Snapshot } from '../../machine/machine.ts'
import type { Position } from '../../position.ts'

/** A longer epoch is no epoch, in bytes. */
const EPOCH_BYTES_MAX = 1024

/**
 * The write that was first. Its position is kept, so that a writer whose write is covered by an installed snapshot
 * still learns whether it was the one. As an item it is the position's index as a uvarint, the length of its epoch
 * as a uvarint, the epoch in UTF-8, and the value.
 */
export interface FirstSet {
  readonly position: Position
  readonly value: Uint8Array
}

export function encodeFirstSet({ position, value }: FirstSet): Uint8Array {
  const writer = new ByteWriter()
  const epoch = Buffer.from(position.epoch)
  writer.uvarint(position.index)
  writer.uvarint(epoch.length)
  writer.bytes(epoch)
  writer.bytes(value)
  return writer.view()
}

/** @throws {MalformedItem} for anything that `encodeFirstSet` would not make */
export function decodeFirstSet(items: Items, i: number): FirstSet {
  const reader = new ByteReader(items.bytes, MalformedItem)
  reader.window(items.start(i), items.end(i))
  const index = reader.uvarint()
  const length = reader.uvarint()
  if (length > EPOCH_BYTES_MAX) throw reader.malformed(`an epoch of ${length} bytes`)
  const bytes = Buffer.from(reader.bytes(length))
  if (!isUtf8(bytes)) throw reader.malformed('an epoch that is no UTF-8')
  const epoch = bytes.toString()
  const value = new Uint8Array(items.bytes.subarray(reader.offset, items.end(i)))
  return { position: { epoch, index }, value }
}

/** One item, or none. */
export class OnceSnapshot implements Snapshot {
  readonly size: number
  #items: readonly Uint8Array[] | undefined

  constructor(first: FirstSet | undefined) {
    this.#items = first === undefined ? [] : [encodeFirstSet(first)]
    this.size = this.#items.length
  }

  items(): Iterable<Uint8Array> {
    if (this.#items === undefined) throw new SnapshotReleased()
    return this.#items
  }

  release(): void {
    this.#items = undefined
  }
}

export class OnceInstallation implements Installation {
  readonly #replace: (first: FirstSet | undefined) => void
  #first: FirstSet | undefined

  constructor(replace: (first: FirstSet | undefined) => void) {
    this.#replace = replace
  }

  add(items: Items): void {
    for (let i = 0; i < items.length; i++) {
      if (this.#first !== undefined) throw new MalformedItem('what is set once has one item')
      this.#first = decodeFirstSet(items, i)
    }
  }

  commit(): void {
    this.#replace(this.#first)
  }
}
