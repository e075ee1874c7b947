import { ByteReader } from '../../machine/byte-reader.ts'
import type { ByteString } from '../../machine/byte-string.ts'
import { ByteWriter } from '../../machine/byte-writer.ts'
import { MalformedCommand } from '../../machine/machine.ts'
import { KEY_BYTES_MAX, TTL_MS_MAX } from '../limits.ts'

/**
 * One change of a map, as the log stores it: an op byte, then its fields. If the op byte's highest bit is
 * set, a TTL in milliseconds follows first, as a uvarint. A key or value is its length as a uvarint, then its
 * bytes. An optional value is its length + 1, or 0 for none. A list is preceded by its count. There is no
 * version here, because the machine's signature has it.
 */
export type Command =
  | { readonly type: 'set'; readonly key: ByteString; readonly value: Uint8Array; readonly ttlMs: Ttl }
  | { readonly type: 'delete'; readonly key: ByteString }
  | {
      readonly type: 'setMany'
      readonly entries: readonly (readonly [ByteString, Uint8Array])[]
      readonly ttlMs: Ttl
    }
  | { readonly type: 'deleteMany'; readonly keys: readonly ByteString[] }
  | {
      readonly type: 'compareAndSet'
      readonly key: ByteString
      readonly expected: Uint8Array | undefined
      readonly value: Uint8Array | undefined
      readonly ttlMs: Ttl
    }
  | { readonly type: 'clear' }
  | { readonly type: 'persist'; readonly key: ByteString }

/** How long a written key lives, in milliseconds. Undefined: until it is deleted. */
type Ttl = number | undefined

/** The op bytes. They are part of the log, so none may change. */
const OP = { set: 1, delete: 2, setMany: 3, deleteMany: 4, compareAndSet: 5, clear: 6, persist: 7 } as const
/** The bit of an op byte that says that a TTL follows. */
const WITH_TTL = 0x80

export function encodeCommand(command: Command): Uint8Array {
  const writer = new ByteWriter()
  const ttlMs = 'ttlMs' in command ? command.ttlMs : undefined
  writer.byte(OP[command.type] | (ttlMs === undefined ? 0 : WITH_TTL))
  if (ttlMs !== undefined) writer.uvarint(ttlMs)
  switch (command.type) {
    case 'set':
      writeString(writer, command.key)
      writeBytes(writer, command.value)
      break
    case 'delete':
    case 'persist':
      writeString(writer, command.key)
      break
    case 'setMany':
      writer.uvarint(command.entries.length)
      for (const [key, value] of command.entries) {
        writeString(writer, key)
        writeBytes(writer, value)
      }
      break
    case 'deleteMany':
      writer.uvarint(command.keys.length)
      for (const key of command.keys) writeString(writer, key)
      break
    case 'compareAndSet':
      writeString(writer, command.key)
      writeOptional(writer, command.expected)
      writeOptional(writer, command.value)
      break
    case 'clear':
      break
    default:
      command satisfies never
  }
  return writer.view()
}

/**
 * Values are views of `bytes`.
 *
 * @throws {MalformedCommand} for anything that `encodeCommand` would not make.
 */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes, MalformedCommand)
  const command = readCommand(reader)
  reader.end()
  return command
}

function readCommand(reader: ByteReader): Command {
  const byte = reader.byte()
  const op = byte & ~WITH_TTL
  const ttlMs = op === byte ? undefined : readTtl(reader)
  switch (op) {
    case OP.set:
      return { type: 'set', key: readKey(reader), value: readValue(reader), ttlMs }
    case OP.setMany:
      return { type: 'setMany', entries: readList(reader, readEntry), ttlMs }
    case OP.compareAndSet: {
      const [key, expected, value] = [readKey(reader), readOptional(reader), readOptional(reader)]
      if (value === undefined && ttlMs !== undefined) throw reader.malformed('it deletes, and has a TTL')
      return { type: 'compareAndSet', key, expected, value, ttlMs }
    }
  }
  if (ttlMs !== undefined) throw reader.malformed(`a map has no operation ${op} with a TTL`)
  switch (op) {
    case OP.delete:
      return { type: 'delete', key: readKey(reader) }
    case OP.deleteMany:
      return { type: 'deleteMany', keys: readList(reader, readKey) }
    case OP.clear:
      return { type: 'clear' }
    case OP.persist:
      return { type: 'persist', key: readKey(reader) }
    default:
      throw reader.malformed(`a map has no operation ${op}`)
  }
}

function readTtl(reader: ByteReader): number {
  const ttlMs = reader.uvarint()
  if (ttlMs < 1 || ttlMs > TTL_MS_MAX)
    throw reader.malformed(`a TTL of ${ttlMs} ms is not from 1 to ${TTL_MS_MAX}`)
  return ttlMs
}

function readKey(reader: ByteReader): ByteString {
  const length = reader.uvarint()
  if (length > KEY_BYTES_MAX) throw reader.malformed(`a key of ${length} bytes is beyond ${KEY_BYTES_MAX}`)
  return reader.string(length)
}

function readValue(reader: ByteReader): Uint8Array {
  return reader.bytes(reader.uvarint())
}

function readOptional(reader: ByteReader): Uint8Array | undefined {
  const lengthPlusOne = reader.uvarint()
  return lengthPlusOne === 0 ? undefined : reader.bytes(lengthPlusOne - 1)
}

function readEntry(reader: ByteReader): readonly [ByteString, Uint8Array] {
  return [readKey(reader), readValue(reader)]
}

// The list grows while it is read. So a false count costs no memory: reading throws where the bytes end.
function readList<T>(reader: ByteReader, readItem: (reader: ByteReader) => T): T[] {
  const items: T[] = []
  for (let left = reader.uvarint(); left > 0; left--) items.push(readItem(reader))
  return items
}

function writeString(writer: ByteWriter, text: ByteString): void {
  writer.uvarint(text.length)
  writer.string(text)
}

function writeBytes(writer: ByteWriter, bytes: Uint8Array): void {
  writer.uvarint(bytes.length)
  writer.bytes(bytes)
}

function writeOptional(writer: ByteWriter, bytes: Uint8Array | undefined): void {
  writer.uvarint(bytes === undefined ? 0 : bytes.length + 1)
  if (bytes !== undefined) writer.bytes(bytes)
}
