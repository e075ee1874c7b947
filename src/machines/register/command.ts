import { type CommandReader, CommandWriter, readWhole } from '../command-fields.ts'

/** One change of a register, as the log stores it: see command-fields.ts. */
export type Command =
  | { readonly type: 'set'; readonly value: Uint8Array; readonly ttlMs?: number | undefined }
  | {
      readonly type: 'compareAndSet'
      readonly expected: Uint8Array | undefined
      readonly value: Uint8Array | undefined
      readonly ttlMs?: number | undefined
    }
  | { readonly type: 'clear' }
  | { readonly type: 'persist' }

/** The op bytes. They are part of the log, so none may change. */
const OP = { set: 1, compareAndSet: 2, clear: 3, persist: 4 } as const

export function encodeCommand(command: Command): Uint8Array {
  const writer = new CommandWriter(OP[command.type], 'ttlMs' in command ? command.ttlMs : undefined)
  switch (command.type) {
    case 'set':
      writer.value(command.value)
      break
    case 'compareAndSet':
      writer.optional(command.expected)
      writer.optional(command.value)
      break
    case 'clear':
    case 'persist':
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
  return readWhole(bytes, readCommand)
}

function readCommand(reader: CommandReader): Command {
  const { op, ttlMs } = reader
  switch (op) {
    case OP.set:
      return { type: 'set', value: reader.value(), ttlMs }
    case OP.compareAndSet: {
      const [expected, value] = [reader.optional(), reader.optional()]
      if (value === undefined) reader.refuseTtl()
      return { type: 'compareAndSet', expected, value, ttlMs }
    }
  }
  reader.refuseTtl()
  switch (op) {
    case OP.clear:
      return { type: 'clear' }
    case OP.persist:
      return { type: 'persist' }
    default:
      throw reader.malformed(`a register has no operation ${op}`)
  }
}
