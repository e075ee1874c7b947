import { ByteReader } from '../machine/byte-reader.ts'
import type { ByteString } from '../machine/byte-string.ts'
import { ByteWriter } from '../machine/byte-writer.ts'
import { MalformedCommand } from '../machine/machine.ts'
import { KEY_BYTES_MAX, TTL_MS_MAX } from './limits.ts'

/**
 * How the commands of maps, sets and registers are laid out: an op byte, then the fields. If the op byte's highest
 * bit is set, a TTL in milliseconds follows first, as a uvarint. A key or value is its length as a uvarint, then its
 * bytes. An optional value is its length + 1, or 0 for none. A list is preceded by its count. There is no version,
 * because a machine's signature has it.
 */
const WITH_TTL = 0x80

/** Writes one command. */
export class CommandWriter extends ByteWriter {
  constructor(op: number, ttlMs?: number) {
    super()
    this.byte(ttlMs === undefined ? op : op | WITH_TTL)
    if (ttlMs !== undefined) this.uvarint(ttlMs)
  }

  key(key: ByteString): void {
    this.uvarint(key.length)
    this.string(key)
  }

  keys(keys: readonly ByteString[]): void {
    this.uvarint(keys.length)
    for (const key of keys) this.key(key)
  }

  value(value: Uint8Array): void {
    this.uvarint(value.length)
    this.bytes(value)
  }

  optional(value: Uint8Array | undefined): void {
    this.uvarint(value === undefined ? 0 : value.length + 1)
    if (value !== undefined) this.bytes(value)
  }
}

/** Reads one command. Every method throws `MalformedCommand` for bytes that `CommandWriter` would not write. */
export class CommandReader extends ByteReader {
  readonly op: number
  /** Undefined if the command has no TTL. */
  readonly ttlMs: number | undefined

  constructor(bytes: Uint8Array) {
    super(bytes, MalformedCommand)
    const byte = this.byte()
    this.op = byte & ~WITH_TTL
    this.ttlMs = byte === this.op ? undefined : this.#readTtl()
  }

  key(): ByteString {
    const length = this.uvarint()
    if (length > KEY_BYTES_MAX) throw this.malformed(`a key of ${length} bytes is beyond ${KEY_BYTES_MAX}`)
    return this.string(length)
  }

  keys(): ByteString[] {
    return this.list(() => this.key())
  }

  /** A view of the command. */
  value(): Uint8Array {
    return this.bytes(this.uvarint())
  }

  /** A view of the command. */
  optional(): Uint8Array | undefined {
    const lengthPlusOne = this.uvarint()
    return lengthPlusOne === 0 ? undefined : this.bytes(lengthPlusOne - 1)
  }

  // The list grows while it is read. So a false count costs no memory: reading throws where the bytes end.
  list<T>(readItem: () => T): T[] {
    const items: T[] = []
    for (let left = this.uvarint(); left > 0; left--) items.push(readItem())
    return items
  }

  /** For operations without a TTL. */
  refuseTtl(): void {
    if (this.ttlMs !== undefined) throw this.malformed(`operation ${this.op} has no TTL`)
  }

  #readTtl(): number {
    const ttlMs = this.uvarint()
    if (ttlMs < 1 || ttlMs > TTL_MS_MAX)
      throw this.malformed(`a TTL of ${ttlMs} ms is not from 1 to ${TTL_MS_MAX}`)
    return ttlMs
  }
}

/**
 * Read a whole command.
 *
 * @throws {MalformedCommand} for bytes that are left over, and what `read` throws
 */
export function readWhole<C>(bytes: Uint8Array, read: (reader: CommandReader) => C): C {
  const reader = new CommandReader(bytes)
  const command = read(reader)
  reader.end()
  return command
}
