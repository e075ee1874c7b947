import { ByteReader } from '../../machine/byte-reader.ts'
import { MalformedCommand } from '../../machine/machine.ts'

/**
 * A command of a composition, as the log stores it: a uvarint. From 1 on it is the number of a part, whose own
 * command follows up to the end. The parts are numbered in the order of their names. A 0 stands for several
 * commands as one: each follows as its length in a uvarint, and a command for one part.
 */
export interface NumberedCommand {
  /** From 1. */
  readonly part: number
  readonly command: Uint8Array
}

/** What is in the place of a part's number before several commands. */
const SEVERAL = 0

/** The bytes before a part's own command. */
export function numberBytes(part: number): readonly number[] {
  const bytes: number[] = []
  let left = part
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80)
  bytes.push(left)
  return bytes
}

/** @param number see `numberBytes`: of the part, or of the parts from the outermost in */
export function encodeOne(number: readonly number[], command: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(number.length + command.length)
  bytes.set(number)
  bytes.set(command, number.length)
  return bytes
}

/** @param commands each as `encodeOne` makes it */
export function encodeSeveral(commands: readonly Uint8Array[]): Uint8Array {
  const parts = commands.flatMap((command) => [Uint8Array.from(numberBytes(command.length)), command])
  return new Uint8Array(Buffer.concat([Uint8Array.of(SEVERAL), ...parts]))
}

/**
 * The command for one part, or each of several; their bytes are views.
 *
 * @throws {MalformedCommand} for anything else, also for a number that no part has
 */
export function decodeCommand(bytes: Uint8Array, parts: number): NumberedCommand | NumberedCommand[] {
  const reader = new ByteReader(bytes, MalformedCommand)
  reader.window(0, bytes.length)
  if (reader.uvarint() !== SEVERAL) return one(reader, bytes, 0, bytes.length, parts)
  const commands: NumberedCommand[] = []
  for (let start = reader.offset; start < bytes.length; ) {
    reader.window(start, bytes.length)
    const length = reader.uvarint()
    const from = reader.offset
    const end = reader.skip(length)
    commands.push(one(reader, bytes, from, end, parts))
    start = end
  }
  return commands
}

function one(
  reader: ByteReader,
  bytes: Uint8Array,
  from: number,
  end: number,
  parts: number,
): NumberedCommand {
  reader.window(from, end)
  const part = reader.uvarint()
  if (part < 1 || part > parts) throw reader.malformed(`there is no part ${part} of ${parts}`)
  return { part, command: bytes.subarray(reader.offset, end) }
}
