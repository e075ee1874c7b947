import type { ByteString } from '../../machine/byte-string.ts'
import { type CommandReader, CommandWriter, readWhole } from '../command-fields.ts'

/** One change of a set, as the log stores it: see command-fields.ts. An element is a key. */
export type Command =
  | { readonly type: 'add'; readonly element: ByteString; readonly ttlMs?: number | undefined }
  | { readonly type: 'delete'; readonly element: ByteString }
  | {
      readonly type: 'addMany'
      readonly elements: readonly ByteString[]
      readonly ttlMs?: number | undefined
    }
  | { readonly type: 'deleteMany'; readonly elements: readonly ByteString[] }
  | { readonly type: 'clear' }
  | { readonly type: 'persist'; readonly element: ByteString }

/** The op bytes. They are part of the log, so none may change. */
const OP = { add: 1, delete: 2, addMany: 3, deleteMany: 4, clear: 5, persist: 6 } as const

export function encodeCommand(command: Command): Uint8Array {
  const writer = new CommandWriter(OP[command.type], 'ttlMs' in command ? command.ttlMs : undefined)
  switch (command.type) {
    case 'add':
    case 'delete':
    case 'persist':
      writer.key(command.element)
      break
    case 'addMany':
    case 'deleteMany':
      writer.keys(command.elements)
      break
    case 'clear':
      break
    default:
      command satisfies never
  }
  return writer.view()
}

/** @throws {MalformedCommand} for anything that `encodeCommand` would not make */
export function decodeCommand(bytes: Uint8Array): Command {
  return readWhole(bytes, readCommand)
}

function readCommand(reader: CommandReader): Command {
  const { op, ttlMs } = reader
  switch (op) {
    case OP.add:
      return { type: 'add', element: reader.key(), ttlMs }
    case OP.addMany:
      return { type: 'addMany', elements: reader.keys(), ttlMs }
  }
  reader.refuseTtl()
  switch (op) {
    case OP.delete:
      return { type: 'delete', element: reader.key() }
    case OP.deleteMany:
      return { type: 'deleteMany', elements: reader.keys() }
    case OP.clear:
      return { type: 'clear' }
    case OP.persist:
      return { type: 'persist', element: reader.key() }
    default:
      throw reader.malformed(`a set has no operation ${op}`)
  }
}
