import { ByteReader } from './byte-reader.ts'
import type { ByteString } from './byte-string.ts'
import { ByteWriter } from './byte-writer.ts'
import { MalformedCommand } from './machine.ts'

/** The longest key, in bytes, after encoding. */
export const KEY_BYTES_MAX = 64 * 1024

/**
 * One change of a map, as it stands in the log: an op byte, then its fields. A key or value is its length as a
 * uvarint, then its bytes; an optional value is its length + 1, or 0 for none; a list is preceded by its count.
 * The version is in the machine's signature, so there is none here.
 */
export type Command =
  | { readonly type: 'set'; readonly key: ByteString; readonly value: ByteString }
  | { readonly type: 'delete'; readonly key: ByteString }
  | { readonly type: 'setMany'; readonly entries: readonly (readonly [ByteString, ByteString])[] }
  | { readonly type: 'deleteMany'; readonly keys: readonly ByteString[] }
  | {
      readonly type: 'compareAndSet'
      readonly key: ByteString
      readonly expected: ByteString | undefined
      readonly value: ByteString | undefined
    }
  | { readonly type: 'clear' }

const OP = { set: 1, delete: 2, setMany: 3, deleteMany: 4, compareAndSet: 5, clear: 6 } as const

export function encodeCommand(command: Command): Uint8Array {
  const writer = new ByteWriter()
  writer.byte(OP[command.type])
  switch (command.type) {
    case 'set':
      writeString(writer, command.key)
      writeString(writer, command.value)
      break
    case 'delete':
      writeString(writer, command.key)
      break
    case 'setMany':
      writer.uvarint(command.entries.length)
      for (const [key, value] of command.entries) {
        writeString(writer, key)
        writeString(writer, value)
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

/** @throws {MalformedCommand} for anything that `encodeCommand` would not make. */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes, MalformedCommand)
  const command = readCommand(reader)
  reader.end()
  return command
}

function readCommand(reader: ByteReader): Command {
  const op = reader.byte()
  switch (op) {
    case OP.set:
      return { type: 'set', key: readKey(reader), value: readValue(reader) }
    case OP.delete:
      return { type: 'delete', key: readKey(reader) }
    case OP.setMany:
      return { type: 'setMany', entries: readList(reader, readEntry) }
    case OP.deleteMany:
      return { type: 'deleteMany', keys: readList(reader, readKey) }
    case OP.compareAndSet:
      return {
        type: 'compareAndSet',
        key: readKey(reader),
        expected: readOptional(reader),
        value: readOptional(reader),
      }
    case OP.clear:
      return { type: 'clear' }
    default:
      throw reader.malformed(`a map has no operation ${op}`)
  }
}

/** Also how a snapshot item begins. */
/** Only the length: the key's bytes are next. */
export function readKeyLength(reader: ByteReader): number {
  const length = reader.uvarint()
  if (length > KEY_BYTES_MAX) throw reader.malformed(`a key of ${length} bytes is beyond ${KEY_BYTES_MAX}`)
  return length
}

function readKey(reader: ByteReader): ByteString {
  return reader.string(readKeyLength(reader))
}

function readValue(reader: ByteReader): ByteString {
  return reader.string(reader.uvarint())
}

function readOptional(reader: ByteReader): ByteString | undefined {
  const lengthPlusOne = reader.uvarint()
  return lengthPlusOne === 0 ? undefined : reader.string(lengthPlusOne - 1)
}

function readEntry(reader: ByteReader): readonly [ByteString, ByteString] {
  return [readKey(reader), readValue(reader)]
}

// Grows as it reads: a count that promises more than the bytes hold ends at their end.
function readList<T>(reader: ByteReader, readItem: (reader: ByteReader) => T): T[] {
  const items: T[] = []
  for (let left = reader.uvarint(); left > 0; left--) items.push(readItem(reader))
  return items
}

export function writeString(writer: ByteWriter, text: ByteString): void {
  writer.uvarint(text.length)
  writer.string(text)
}

function writeOptional(writer: ByteWriter, text: ByteString | undefined): void {
  writer.uvarint(text === undefined ? 0 : text.length + 1)
  if (text !== undefined) writer.string(text)
}
