import type { ByteString } from '../../machine/byte-string.ts'
import { type CommandReader, CommandWriter, readWhole } from '../command-fields.ts'
import { PRIORITY_BYTES_MAX } from '../limits.ts'
import type { QueueEnd } from './queue-items.ts'

/** One item of a command, encoded. */
export interface NewItem {
  readonly priority: ByteString
  readonly key: ByteString
  readonly value: Uint8Array
}

/** Encoded priorities, from one to another. */
export interface PriorityBounds {
  readonly gte?: ByteString | undefined
  readonly gt?: ByteString | undefined
  readonly lte?: ByteString | undefined
  readonly lt?: ByteString | undefined
}

/**
 * One change of a queue, as the log stores it: an op byte, then its fields as command-fields.ts has them, in the
 * order in which they are named here. A priority is written like a key. Each bound of a `deleteRange` is a list of
 * one priority, or of none.
 */
export type Command =
  | ({ readonly type: 'insert'; readonly ttlMs: number | undefined } & NewItem)
  | { readonly type: 'extend'; readonly items: readonly NewItem[]; readonly ttlMs: number | undefined }
  | { readonly type: 'setPriority'; readonly key: ByteString; readonly priority: ByteString }
  | { readonly type: 'setValue'; readonly key: ByteString; readonly value: Uint8Array }
  | {
      readonly type: 'compareAndSet'
      readonly key: ByteString
      readonly expected: Uint8Array
      /** Undefined: delete it. */
      readonly value: Uint8Array | undefined
    }
  | { readonly type: 'delete'; readonly key: ByteString }
  | { readonly type: 'deleteRange'; readonly bounds: PriorityBounds }
  | { readonly type: 'clear' }
  | { readonly type: 'pop'; readonly end: QueueEnd }
  | { readonly type: 'popMany'; readonly end: QueueEnd; readonly count: number }

/** The op bytes. They are part of the log, so none may change. */
const OP = {
  insert: 1,
  extend: 2,
  setPriority: 3,
  setValue: 4,
  compareAndSet: 5,
  delete: 6,
  deleteRange: 7,
  clear: 8,
  popMin: 9,
  popMax: 10,
  popManyMin: 11,
  popManyMax: 12,
} as const

export function encodeCommand(command: Command): Uint8Array {
  const writer = new CommandWriter(opOf(command), 'ttlMs' in command ? command.ttlMs : undefined)
  switch (command.type) {
    case 'insert':
      writeItem(writer, command)
      break
    case 'extend':
      writer.uvarint(command.items.length)
      for (const item of command.items) writeItem(writer, item)
      break
    case 'setPriority':
      writer.key(command.key)
      writer.key(command.priority)
      break
    case 'setValue':
      writer.key(command.key)
      writer.value(command.value)
      break
    case 'compareAndSet':
      writer.key(command.key)
      writer.value(command.expected)
      writer.optional(command.value)
      break
    case 'delete':
      writer.key(command.key)
      break
    case 'deleteRange': {
      const { gte, gt, lte, lt } = command.bounds
      for (const bound of [gte, gt, lte, lt]) writer.keys(bound === undefined ? [] : [bound])
      break
    }
    case 'popMany':
      writer.uvarint(command.count)
      break
    case 'clear':
    case 'pop':
      break
    default:
      command satisfies never
  }
  return writer.view()
}

/**
 * Values are views of `bytes`.
 *
 * @throws {MalformedCommand} for anything that `encodeCommand` would not make
 */
export function decodeCommand(bytes: Uint8Array): Command {
  return readWhole(bytes, (reader) => {
    const command = readCommand(reader)
    if (!('ttlMs' in command)) reader.refuseTtl()
    return command
  })
}

function opOf(command: Command): number {
  switch (command.type) {
    case 'pop':
      return command.end === 'min' ? OP.popMin : OP.popMax
    case 'popMany':
      return command.end === 'min' ? OP.popManyMin : OP.popManyMax
    default:
      return OP[command.type]
  }
}

function readCommand(reader: CommandReader): Command {
  const { ttlMs } = reader
  switch (reader.op) {
    case OP.insert:
      return { type: 'insert', ...readItem(reader), ttlMs }
    case OP.extend:
      return { type: 'extend', items: reader.list(() => readItem(reader)), ttlMs }
    case OP.setPriority:
      return { type: 'setPriority', key: reader.key(), priority: readPriority(reader) }
    case OP.setValue:
      return { type: 'setValue', key: reader.key(), value: reader.value() }
    case OP.compareAndSet:
      return {
        type: 'compareAndSet',
        key: reader.key(),
        expected: reader.value(),
        value: reader.optional(),
      }
    case OP.delete:
      return { type: 'delete', key: reader.key() }
    case OP.deleteRange:
      return { type: 'deleteRange', bounds: readBounds(reader) }
    case OP.clear:
      return { type: 'clear' }
    case OP.popMin:
      return { type: 'pop', end: 'min' }
    case OP.popMax:
      return { type: 'pop', end: 'max' }
    case OP.popManyMin:
      return { type: 'popMany', end: 'min', count: reader.uvarint() }
    case OP.popManyMax:
      return { type: 'popMany', end: 'max', count: reader.uvarint() }
    default:
      throw reader.malformed(`a queue has no operation ${reader.op}`)
  }
}

function writeItem(writer: CommandWriter, { priority, key, value }: NewItem): void {
  writer.key(priority)
  writer.key(key)
  writer.value(value)
}

function readItem(reader: CommandReader): NewItem {
  return { priority: readPriority(reader), key: reader.key(), value: reader.value() }
}

function readBounds(reader: CommandReader): PriorityBounds {
  const bound = () => {
    const bounds = reader.list(() => readPriority(reader))
    if (bounds.length > 1) throw reader.malformed(`it has ${bounds.length} bounds of one kind`)
    return bounds[0]
  }
  return { gte: bound(), gt: bound(), lte: bound(), lt: bound() }
}

function readPriority(reader: CommandReader): ByteString {
  const priority = reader.key()
  if (priority.length > PRIORITY_BYTES_MAX)
    throw reader.malformed(`a priority of ${priority.length} bytes is beyond ${PRIORITY_BYTES_MAX}`)
  return priority
}
