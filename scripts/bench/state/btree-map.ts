import SortedBTree from 'sorted-btree'
import type { Codec } from '../../../src/index.ts'
import { ByteReader } from '../../../src/machine/byte-reader.ts'
import {
  type ByteString,
  byteStringOf,
  bytesOf,
  compareByteStrings,
} from '../../../src/machine/byte-string.ts'
import { MalformedCommand } from '../../../src/machine/index.ts'
import type { MapUnderTest } from './map-under-test.ts'

// This CommonJS module was compiled from ESM: its `module.exports` is our default, and its class is the
// `default` of that.
const BTree = SortedBTree.default

/** The most entries of a node: the default of the library. */
const NODE_ENTRIES_MAX = 32
/** The op bytes of a map's commands. */
const OP = { set: 1, setMany: 3 } as const

/** A value or, for a key with a TTL, its value and its deadline. */
type Entry = ByteString | { readonly value: ByteString; readonly deadlineMs: number }

/**
 * The map as it was before its state was packed: a tree of JavaScript strings, one for each key and each
 * value. It is cut down to what is compared, and reads the same commands.
 */
export class BtreeMap<K, V> implements MapUnderTest<K, V> {
  readonly #keys: Codec<K>
  readonly #values: Codec<V>
  readonly #tree = new BTree<ByteString, Entry>(undefined, compareByteStrings, NODE_ENTRIES_MAX)

  constructor(keys: Codec<K>, values: Codec<V>) {
    this.#keys = keys
    this.#values = values
  }

  get size(): number {
    return this.#tree.size
  }

  get(key: K): V | undefined {
    const entry = this.#tree.get(byteStringOf(this.#keys.encode(key)))
    return entry === undefined ? undefined : this.#values.decode(bytesOf(valueIn(entry)))
  }

  *[Symbol.iterator](): Generator<[K, V], undefined> {
    for (const [key, entry] of scan(this.#tree.clone())) {
      yield [this.#keys.decode(bytesOf(key)), this.#values.decode(bytesOf(valueIn(entry)))]
    }
  }

  apply(command: Uint8Array): unknown {
    const reader = new ByteReader(command, MalformedCommand)
    const decoded = readCommand(reader)
    reader.end()
    switch (decoded.type) {
      case 'set':
        return { replaced: !this.#tree.set(decoded.key, decoded.value) }
      case 'setMany': {
        let added = 0
        for (const [key, value] of decoded.entries) if (this.#tree.set(key, value)) added++
        return { added, replaced: decoded.entries.length - added }
      }
      default:
        return decoded satisfies never
    }
  }
}

type Command =
  | { readonly type: 'set'; readonly key: ByteString; readonly value: ByteString }
  | { readonly type: 'setMany'; readonly entries: readonly (readonly [ByteString, ByteString])[] }

function readCommand(reader: ByteReader): Command {
  const op = reader.byte()
  switch (op) {
    case OP.set:
      return { type: 'set', key: readString(reader), value: readString(reader) }
    case OP.setMany: {
      const entries: (readonly [ByteString, ByteString])[] = []
      for (let left = reader.uvarint(); left > 0; left--)
        entries.push([readString(reader), readString(reader)])
      return { type: 'setMany', entries }
    }
    default:
      throw reader.malformed(`operation ${op} is not compared`)
  }
}

function readString(reader: ByteReader): ByteString {
  return reader.string(reader.uvarint())
}

/** Every step yields the same array with new contents. */
function* scan(
  tree: SortedBTree.default<ByteString, Entry>,
): Generator<readonly [ByteString, Entry], undefined> {
  const pair = [] as unknown as [ByteString, Entry]
  for (const entry of tree.entries(undefined, pair)) yield entry
}

function valueIn(entry: Entry): ByteString {
  return typeof entry === 'string' ? entry : entry.value
}
