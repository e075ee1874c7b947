import type { ByteString } from '../../machine/byte-string.ts'
import { type CommandReader, CommandWriter, readWhole } from '../command-fields.ts'

/** One change of a map, as the log stores it: see command-fields.ts. An entry of a list is a key and a value. */
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

export function encodeCommand(command: Command): Uint8Array {
  const writer = new CommandWriter(OP[command.type], 'ttlMs' in command ? command.ttlMs : undefined)
  switch (command.type) {
    case 'set':
      writer.key(command.key)
      writer.value(command.value)
      break
    case 'delete':
    case 'persist':
      writer.key(command.key)
      break
    case 'setMany':
      writer.uvarint(command.entries.length)
      for (const [key, value] of command.entries) {
        writer.key(key)
        writer.value(value)
      }
      break
    case 'deleteMany':
      writer.keys(command.keys)
      break
    case 'compareAndSet':
      writer.key(command.key)
      writer.optional(command.expected)
      writer.optional(command.value)
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
  return readWhole(bytes, readCommand)
}

function readCommand(reader: CommandReader): Command {
  const { op, ttlMs } = reader
  switch (op) {
    case OP.set:
      return { type: 'set', key: reader.key(), value: reader.value(), ttlMs }
    case OP.setMany:
      return { type: 'setMany', entries: reader.list(() => [reader.key(), reader.value()] as const), ttlMs }
    case OP.compareAndSet: {
      const [key, expected, value] = [reader.key(), reader.optional(), reader.optional()]
      if (value === undefined) reader.refuseTtl()
      return { type: 'compareAndSet', key, expected, value, ttlMs }
    }
  }
  reader.refuseTtl()
  switch (op) {
    case OP.delete:
      return { type: 'delete', key: reader.key() }
    case OP.deleteMany:
      return { type: 'deleteMany', keys: reader.keys() }
    case OP.clear:
      return { type: 'clear' }
    case OP.persist:
      return { type: 'persist', key: reader.key() }
    default:
      throw reader.malformed(`a map has no operation ${op}`)
  }
}
