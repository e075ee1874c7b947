import { isUtf8 } from 'node:buffer'
import type { DatabaseSync } from 'node:sqlite'
import { SnapshotReleased } from '../../machine/errors.ts'
import type { Places, Snapshot } from '../../machine/machine.ts'
import { type Cell, RowReader, RowWriter } from './row-codec.ts'
import type { From, Table } from './table.ts'

/** Where to begin in a table. */
interface Begin extends From {
  readonly key: readonly Cell[]
}

/**
 * The rows of all tables as they were when the connection's transaction began: table by table, and in each by
 * the row's number or, in a table without such numbers, by its primary key. Nothing is in memory: what is asked
 * for again is read again.
 */
export class SqliteSnapshot implements Snapshot {
  /** Counting the rows would take as long as reading them. */
  readonly size = undefined
  readonly places: Places
  readonly #tables: readonly Table[]
  #db: DatabaseSync | undefined

  /** @param db a connection of the snapshot's own */
  constructor(db: DatabaseSync, tables: readonly Table[]) {
    this.#db = db
    this.#tables = tables
    this.places = { of: (item) => this.#placeOf(item), from: (place) => this.#from(place) }
  }

  *items(): Generator<Uint8Array> {
    const writer = new RowWriter()
    for (const table of this.#tables) yield* this.#rows(writer, table)
  }

  release(): void {
    this.#db?.close()
    this.#db = undefined
  }

  #placeOf(item: Uint8Array): Uint8Array {
    return item.slice(0, new RowReader(this.#tables, item).keyBytes())
  }

  *#from(place: Uint8Array): Generator<Uint8Array> {
    const { table } = new RowReader(this.#tables, place).key()
    const writer = new RowWriter()
    yield* this.#rows(writer, table, this.#beginAt(place))
    for (const later of this.#tables.slice(table.number + 1)) yield* this.#rows(writer, later)
  }

  *#rows(writer: RowWriter, table: Table, from?: Begin): Generator<Uint8Array> {
    let last: Cell[] | undefined
    for (const row of this.#select(table.selectSql(from), from)) {
      const item = writer.write(table, row)
      if (item === undefined) {
        return yield* this.#exactRows(writer, table, last === undefined ? from : after(table, last))
      }
      last = row
      yield item
    }
  }

  *#exactRows(writer: RowWriter, table: Table, from?: Begin): Generator<Uint8Array> {
    for (const row of this.#select(table.exactSql(from), from)) yield writer.writeExact(table, row)
  }

  *#select(sql: string, from?: Begin): Generator<Cell[]> {
    if (this.#db === undefined) throw new SnapshotReleased()
    // A statement of its own: several readers may be in one table.
    for (const row of this.#db.prepare(sql).iterate(...(from?.key ?? []))) {
      yield row as unknown as Cell[]
      if (this.#db === undefined) throw new SnapshotReleased()
    }
  }

  #beginAt(place: Uint8Array): Begin {
    const { cells, isText } = new RowReader(this.#tables, place).key()
    // SQLite finds a key faster that is given as it is.
    const key = cells.map((cell, i) => {
      const isPlain = isText[i] === true && cell instanceof Uint8Array && isUtf8(cell)
      return isPlain ? Buffer.from(cell).toString() : cell
    })
    const isBytes = key.map((cell, i) => isText[i] === true && typeof cell !== 'string')
    return { operator: '>=', isBytes, key }
  }
}

/** Behind a row that `Table.selectSql` read. */
function after({ keyLength }: Table, row: readonly Cell[]): Begin {
  const key = row.slice(0, keyLength)
  return { operator: '>', isBytes: key.map(() => false), key }
}
