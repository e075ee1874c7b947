import { type CommandReader, CommandWriter, readWhole } from '../command-fields.ts'

/**
 * One change of a list, as the log stores it: an op byte, then its fields in the order in which they stand here,
 * as command-fields.ts has them. An index or a length is a uvarint.
 */
export type Command =
  | { readonly type: 'push'; readonly values: readonly Uint8Array[] }
  | { readonly type: 'insert'; readonly index: number; readonly value: Uint8Array }
  | { readonly type: 'set'; readonly index: number; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly index: number }
  | { readonly type: 'swap'; readonly index: number; readonly other: number }
  | { readonly type: 'pop' }
  | { readonly type: 'shift' }
  | { readonly type: 'truncate'; readonly length: number }
  | { readonly type: 'clear' }
  | {
      readonly type: 'compareAndSet'
      readonly index: number
      readonly expected: Uint8Array
      /** Undefined: the item is deleted. */
      readonly value: Uint8Array | undefined
    }
  | {
      readonly type: 'compareAndInsert'
      readonly index: number
      /** Undefined: the list's end is there. */
      readonly expected: Uint8Array | undefined
      readonly value: Uint8Array
    }

/** The op bytes. They are part of the log, so none may change. */
const OP = {
  push: 1,
  insert: 2,
  set: 3,
  delete: 4,
  swap: 5,
  pop: 6,
  shift: 7,
  truncate: 8,
  clear: 9,
  compareAndSet: 10,
  compareAndInsert: 11,
} as const

export function encodeCommand(command: Command): Uint8Array {
  const writer = new CommandWriter(OP[command.type])
  switch (command.type) {
    case 'push':
      writer.uvarint(command.values.length)
      for (const value of command.values) writer.value(value)
      break
    case 'insert':
    case 'set':
      writer.uvarint(command.index)
      writer.value(command.value)
      break
    case 'delete':
      writer.uvarint(command.index)
      break
    case 'swap':
      writer.uvarint(command.index)
      writer.uvarint(command.other)
      break
    case 'truncate':
      writer.uvarint(command.length)
      break
    case 'pop':
    case 'shift':
    case 'clear':
      break
    case 'compareAndSet':
      writer.uvarint(command.index)
      writer.value(command.expected)
      writer.optional(command.value)
      break
    case 'compareAndInsert':
      writer.uvarint(command.index)
      writer.optional(command.expected)
      writer.value(command.value)
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
  reader.refuseTtl()
  switch (reader.op) {
    case OP.push:
      return { type: 'push', values: reader.list(() => reader.value()) }
    case OP.insert:
      return { type: 'insert', index: reader.uvarint(), value: reader.value() }
    case OP.set:
      return { type: 'set', index: reader.uvarint(), value: reader.value() }
    case OP.delete:
      return { type: 'delete', index: reader.uvarint() }
    case OP.swap:
      return { type: 'swap', index: reader.uvarint(), other: reader.uvarint() }
    case OP.pop:
      return { type: 'pop' }
    case OP.shift:
      return { type: 'shift' }
    case OP.truncate:
      return { type: 'truncate', length: reader.uvarint() }
    case OP.clear:
      return { type: 'clear' }
    case OP.compareAndSet: {
      const [index, expected, value] = [reader.uvarint(), reader.value(), reader.optional()]
      return { type: 'compareAndSet', index, expected, value }
    }
    case OP.compareAndInsert: {
      const [index, expected, value] = [reader.uvarint(), reader.optional(), reader.value()]
      return { type: 'compareAndInsert', index, expected, value }
    }
    default:
      throw reader.malformed(`a list has no operation ${reader.op}`)
  }
}
