import { ByteReader } from './byte-reader.ts'
import type { ByteString } from './byte-string.ts'
import { appended, type ByteTree, emptyTree } from './byte-tree.ts'
import { ByteWriter } from './byte-writer.ts'
import { readKey, writeString } from './command.ts'
import { MalformedItem, SnapshotReleased } from './errors.ts'
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

  constructor(replace: (tree: ByteTree) => void) {
    this.#replace = replace
  }

  add(item: Uint8Array): void {
    const reader = new ByteReader(item, MalformedItem)
    const key = readKey(reader)
    if (this.#last !== undefined && key <= this.#last) {
      throw reader.malformed('its key is not above the one before')
    }
    this.#last = key
    this.#values.push(reader.rest())
    if (this.#keys.push(key) === RUN_ITEMS) this.#endRun()
  }

  commit(): void {
    this.#endRun()
    this.#replace(this.#tree)
  }

  #endRun(): void {
    this.#tree = appended(this.#tree, this.#keys, this.#values)
    this.#keys = []
    this.#values = []
  }
}
