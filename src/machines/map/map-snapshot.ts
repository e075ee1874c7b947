import type { LeaseTable } from '../../leases/lease-table.ts'
import { ByteReader } from '../../machine/byte-reader.ts'
import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'
import { ByteWriter } from '../../machine/byte-writer.ts'
import { MalformedItem, SnapshotReleased } from '../../machine/errors.ts'
import type { Items } from '../../machine/items.ts'
import type { Installation, Snapshot } from '../../machine/machine.ts'
import { KEY_BYTES_MAX } from '../limits.ts'
import { appended, type ByteTree, emptyTree } from './byte-tree.ts'
import { type Entry, isAlive } from './entry.ts'

/** Items of one run, which is appended to the tree at once. A run bounds what waits beside the tree. */
const RUN_ITEMS = 16_384

/**
 * A map's living entries, in the order of their keys' bytes. An item is:
 * 1. a uvarint: twice the key's length, plus 1 for a key with a TTL;
 * 2. the key;
 * 3. for a key with a TTL, its deadline in machine time as a uvarint;
 * 4. the value.
 */
export class MapSnapshot implements Snapshot {
  readonly size: number
  readonly #timeMs: number
  #tree: ByteTree | undefined

  /**
   * @param tree the snapshot's own clone
   * @param size how many of its entries are alive at the machine time `timeMs`
   */
  constructor(tree: ByteTree, timeMs: number, size: number) {
    this.#tree = tree
    this.#timeMs = timeMs
    this.size = size
  }

  items(): Iterable<Uint8Array> {
    if (this.#tree === undefined) throw new SnapshotReleased()
    return itemsOf(this.#tree, this.#timeMs)
  }

  release(): void {
    this.#tree = undefined
  }
}

function* itemsOf(tree: ByteTree, timeMs: number): Generator<Uint8Array> {
  const writer = new ByteWriter()
  const pair = [] as unknown as [ByteString, Entry]
  for (const [key, entry] of tree.entries(undefined, pair)) {
    writer.clear()
    if (typeof entry === 'string') {
      writer.uvarint(key.length * 2)
      writer.string(key)
      writer.string(entry)
    } else {
      if (!isAlive(entry, timeMs)) continue
      writer.uvarint(key.length * 2 + 1)
      writer.string(key)
      writer.uvarint(entry.deadlineMs)
      writer.string(entry.value)
    }
    yield writer.view()
  }
}

/**
 * Builds a tree from the items of a `MapSnapshot`, and the table of its deadlines, and hands both over on
 * `commit`.
 */
export class MapInstallation implements Installation {
  readonly #leases: LeaseTable<ByteString>
  readonly #replace: (tree: ByteTree, leases: LeaseTable<ByteString>) => void
  #tree = emptyTree()
  #keys: ByteString[] = []
  #entries: Entry[] = []
  #last: ByteString | undefined
  #bytes: Uint8Array | undefined
  #text = '' as ByteString

  /** @param leases an empty table on the machine's clock */
  constructor(
    leases: LeaseTable<ByteString>,
    replace: (tree: ByteTree, leases: LeaseTable<ByteString>) => void,
  ) {
    this.#leases = leases
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
      const head = reader.uvarint()
      const keyLength = Math.floor(head / 2)
      if (keyLength > KEY_BYTES_MAX)
        throw reader.malformed(`a key of ${keyLength} bytes is beyond ${KEY_BYTES_MAX}`)
      const keyEnd = reader.skip(keyLength)
      const key = this.#part(keyEnd - keyLength, keyEnd)
      if (this.#last !== undefined && key <= this.#last) {
        throw reader.malformed('its key is not above the one before')
      }
      this.#last = key
      const deadlineMs = head % 2 === 1 ? reader.uvarint() : undefined
      const value = this.#part(reader.offset, items.end(i))
      this.#entries.push(deadlineMs === undefined ? value : { value, deadlineMs })
      if (deadlineMs !== undefined) this.#leases.registerUntil(key, deadlineMs)
      if (this.#keys.push(key) === RUN_ITEMS) this.#endRun()
    }
  }

  commit(): void {
    this.#endRun()
    this.#replace(this.#tree, this.#leases)
  }

  /**
   * A part of the chunk's text. V8 makes it a slice that shares the text, which is many times faster than
   * copying the bytes. A slice keeps its chunk's text in memory after its entry is gone: in all, at most the
   * snapshot's size.
   */
  #part(start: number, end: number): ByteString {
    return this.#text.slice(start, end) as ByteString
  }

  #endRun(): void {
    this.#tree = appended(this.#tree, this.#keys, this.#entries)
    this.#keys = []
    this.#entries = []
  }
}
