import { ByteReader } from '../../machine/byte-reader.ts'
import { MalformedItem } from '../../machine/errors.ts'
import type { Table } from './table.ts'

/**
 * The item of a row: the number of its table as a uvarint, and each value: first those by which rows are in
 * order, then the others as the schema has them. A value is a byte that tells its type, and:
 * - NULL: nothing;
 * - an integer from 0 up to 2^48: itself as a uvarint; from -2^48 up to -1: -1 less it, as a uvarint; any other:
 *   8 bytes of two's complement, the high one first;
 * - a real: 8 bytes, IEEE 754, the high one first;
 * - text and blobs: the number of bytes as a uvarint, and the bytes.
 *
 * Each row has exactly one item. A uvarint has seven bits a byte, the low ones first, in the shortest form.
 */
const NULL = 0
const NATURAL = 1
const NEGATIVE = 2
const INT64 = 3
const REAL = 4
const TEXT = 5
const BLOB = 6

/** Integers from here on, in absolute value, take 8 bytes: a uvarint carries less. */
const UVARINT_END = 2 ** 48
const UVARINT_END_BIG = 2n ** 48n
const INITIAL_BYTES = 1024
const UVARINT_BYTES_MAX = 7
const WIDE_BYTES = 8

/** A value as SQLite gives it and takes it: integers are `bigint`, and text may be its bytes. */
export type Cell = null | number | bigint | string | Uint8Array

/** What JavaScript reads in the place of bytes that are no UTF-8. */
const REPLACEMENT = '\ufffd'

/** Writes rows, one after the other, into one buffer. */
export class RowWriter {
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #bytes = plain(this.#buffer)
  #used = 0

  /**
   * The item of a row that `Table.selectSql` read, valid until the next call. Undefined where some text may not
   * be what SQLite has.
   */
  write(table: Table, row: readonly Cell[]): Uint8Array | undefined {
    this.#begin(table)
    for (const cell of row) {
      if (typeof cell === 'string' && cell.includes(REPLACEMENT)) return undefined
      this.#cell(cell, false)
    }
    return this.#bytes.subarray(0, this.#used)
  }

  /** The item of a row that `Table.exactSql` read, valid until the next call. */
  writeExact(table: Table, row: readonly Cell[]): Uint8Array {
    this.#begin(table)
    const { columns, masks } = table
    for (let i = 0; i < columns.length; i++) this.#cell(row[masks + i]!, table.isText(row, i))
    return this.#bytes.subarray(0, this.#used)
  }

  #begin(table: Table): void {
    this.#used = 0
    this.#uvarint(table.number)
  }

  #cell(cell: Cell, isText: boolean): void {
    switch (typeof cell) {
      case 'string':
        return this.#text(cell)
      case 'bigint':
        return this.#integer(cell)
      case 'number':
        this.#reserve(1 + WIDE_BYTES)
        this.#buffer[this.#used++] = REAL
        this.#used = this.#buffer.writeDoubleBE(cell, this.#used)
        return
      default:
        if (cell === null) return this.#byte(NULL)
        this.#byte(isText ? TEXT : BLOB)
        this.#uvarint(cell.length)
        this.#reserve(cell.length)
        this.#bytes.set(cell, this.#used)
        this.#used += cell.length
    }
  }

  #text(text: string): void {
    const length = Buffer.byteLength(text)
    this.#byte(TEXT)
    this.#uvarint(length)
    this.#reserve(length)
    this.#buffer.write(text, this.#used)
    this.#used += length
  }

  #integer(integer: bigint): void {
    const near = Number(integer)
    if (near >= 0 && near < UVARINT_END) {
      this.#byte(NATURAL)
      return this.#uvarint(near)
    }
    if (near < 0 && near >= -UVARINT_END) {
      this.#byte(NEGATIVE)
      return this.#uvarint(-1 - near)
    }
    this.#reserve(1 + WIDE_BYTES)
    this.#buffer[this.#used++] = INT64
    this.#used = this.#buffer.writeBigInt64BE(integer, this.#used)
  }

  #byte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#used++] = byte
  }

  #uvarint(value: number): void {
    this.#reserve(UVARINT_BYTES_MAX)
    let left = value
    for (; left >= 0x80; left = Math.floor(left / 128)) this.#bytes[this.#used++] = (left % 128) | 0x80
    this.#bytes[this.#used++] = left
  }

  #reserve(count: number): void {
    const needed = this.#used + count
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#used)
    this.#buffer = grown
    this.#bytes = plain(grown)
  }
}

/** Views of a `Buffer` are slower to make. */
function plain({ buffer, byteOffset, length }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length)
}

/** A row, or the key of one, as it was in an item. Its bytes are views of the item. */
export interface Row {
  readonly table: Table
  readonly cells: Cell[]
  /** Which of the cells are text. */
  readonly isText: boolean[]
}

/** Reads items. Throws `MalformedItem` for bytes that no row has as its item. */
export class RowReader {
  readonly #tables: readonly Table[]
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #reader: ByteReader

  /** @param bytes holds the items */
  constructor(tables: readonly Table[], bytes: Uint8Array) {
    this.#tables = tables
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#reader = new ByteReader(bytes, MalformedItem)
  }

  /** The row whose item is between two offsets. */
  row(start: number, end: number): Row {
    const table = this.#begin(start, end)
    const row = this.#cells(table, table.columns.length)
    this.#reader.end()
    return row
  }

  /** The values by which the row of the first item is in order. What follows them may be cut off. */
  key(): Row {
    const table = this.#begin(0, this.#bytes.length)
    return this.#cells(table, table.keyLength)
  }

  /** The number of bytes of an item that `key` reads. */
  keyBytes(): number {
    this.key()
    return this.#reader.offset
  }

  #begin(start: number, end: number): Table {
    const reader = this.#reader
    reader.window(start, end)
    const number = reader.uvarint()
    const table = this.#tables[number]
    if (table === undefined) throw reader.malformed(`there is no table ${number}`)
    return table
  }

  #cells(table: Table, count: number): Row {
    const cells: Cell[] = []
    const isText: boolean[] = []
    while (cells.length < count) {
      const type = this.#reader.byte()
      cells.push(this.#cell(type))
      isText.push(type === TEXT)
    }
    return { table, cells, isText }
  }

  #cell(type: number): Cell {
    const reader = this.#reader
    switch (type) {
      case NULL:
        return null
      case NATURAL:
        return BigInt(this.#below(UVARINT_END))
      case NEGATIVE:
        return BigInt(-1 - this.#below(UVARINT_END))
      case INT64: {
        const integer = this.#view.getBigInt64(reader.skip(WIDE_BYTES) - WIDE_BYTES)
        if (integer >= UVARINT_END_BIG || integer < -UVARINT_END_BIG) return integer
        throw reader.malformed('an integer is not in its shortest form')
      }
      case REAL: {
        const real = this.#view.getFloat64(reader.skip(WIDE_BYTES) - WIDE_BYTES)
        if (Number.isNaN(real)) throw reader.malformed('a real is no number')
        return real
      }
      case TEXT:
      case BLOB: {
        const length = reader.uvarint()
        const end = reader.skip(length)
        return this.#bytes.subarray(end - length, end)
      }
      default:
        throw reader.malformed(`there is no type ${type} of values`)
    }
  }

  #below(limit: number): number {
    const value = this.#reader.uvarint()
    if (value < limit) return value
    throw this.#reader.malformed('an integer is not in its shortest form')
  }
}
