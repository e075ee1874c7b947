import { ByteReader } from './byte-reader.ts'
import { type ByteString, byteStringOf } from './byte-string.ts'
import { appended, type ByteTree, emptyTree } from './byte-tree.ts'
import { ByteWriter } from './byte-writer.ts'
import { readKeyLength, writeString } from './command.ts'
import { MalformedItem, SnapshotReleased } from './errors.ts'
import type { Items } from './items.ts'
import type { Installation, Snapshot } from './machine.ts'

const RUN_ITEMS = 16_384

/** A map's items, in the order of their keys' bytes: the key's length as a uvarint, the key, the value. */
export class MapSnapshot implements Snapshot {
  readonly size: number
  #tree: ByteTree | undefined

  /** `tree` is the snapshot's own clone. */
  constructor(tree: ByteTree) {
    this.#tree = tree
    this.size = tree.size
  }

  items(): Iterable<Uint8Array> {
    if (this.#tree === undefined) throw new SnapshotReleased()
    return itemsOf(this.#tree)
  }

  release(): void {
    this.#tree = undefined
  }
}

function* itemsOf(tree: ByteTree): Generator<Uint8Array> {
  const writer = new ByteWriter()
  const pair: ByteString[] = []
  for (const [key, value] of tree.entries(undefined, pair)) {
    writer.clear()
    writeString(writer, key)
    writer.string(value)
    yield writer.view()
  }
}

/** Builds a tree from the items of a `MapSnapshot`, in runs, and hands it over. */
export class MapInstallation implements Installation {
  readonly #replace: (tree: ByteTree) => void
  #tree = emptyTree()
  #keys: ByteString[] = []
  #values: ByteString[] = []
  #last: ByteString | undefined
  #bytes: Uint8Array | undefined
  #text = '' as ByteString

  constructor(replace: (tree: ByteTree) => void) {
    this.#replace = replace
  }

  add(items: Items): void {
    if (items.bytes !== this.#bytes) {
      this.#bytes = items.bytes
      this.#text = byteStringOf(items.bytes)
    }
    const reader = new ByteReader(items.bytes, MalformedItem)
    for (let i = 0; i < items.length; i++) {
      reader.window(items.start(i), items.end(i))
      const keyLength = readKeyLength(reader)
      const valueStart = reader.skip(keyLength)
      const key = this.#part(valueStart - keyLength, valueStart)
      if (this.#last !== undefined && key <= this.#last) {
        throw reader.malformed('its key is not above the one before')
      }
      this.#last = key
      this.#values.push(this.#part(valueStart, items.end(i)))
      if (this.#keys.push(key) === RUN_ITEMS) this.#endRun()
    }
  }

  commit(): void {
    this.#endRun()
    this.#replace(this.#tree)
  }

  /**
   * A part of the chunk's text: V8 makes it a slice that shares the text, which is many times faster than a copy from
   * the bytes. What that keeps in memory after its entry is gone is never more than the snapshot's size in all.
   */
  #part(start: number, end: number): ByteString {
    return this.#text.slice(start, end) as ByteString
  }

  #endRun(): void {
    this.#tree = appended(this.#tree, this.#keys, this.#values)
    this.#keys = []
    this.#values = []
  }
}
