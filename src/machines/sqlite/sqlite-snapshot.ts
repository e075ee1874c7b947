import type { DatabaseSync } from 'node:sqlite'
import { SnapshotReleased } from '../../machine/errors.ts'
import type { Places, Snapshot } from '../../machine/machine.ts'
import { type Cell, RowReader, RowWriter } from './row-codec.ts'
import type { Table } from './table.ts'

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
    for (const table of this.#tables) yield* this.#rows(writer, table, table.selectSql, [])
  }

  release(): void {
    this.#db?.close()
    this.#db = undefined
  }

  #placeOf(item: Uint8Array): Uint8Array {
    return item.slice(0, new RowReader(this.#tables, item).keyBytes())
  }

  *#from(place: Uint8Array): Generator<Uint8Array> {
    const { table, cells, isText } = new RowReader(this.#tables, place).key()
    const writer = new RowWriter()
    yield* this.#rows(writer, table, table.selectFromSql(isText), cells)
    for (const later of this.#tables.slice(table.number + 1)) {
      yield* this.#rows(writer, later, later.selectSql, [])
    }
  }

  *#rows(writer: RowWriter, table: Table, sql: string, from: readonly Cell[]): Generator<Uint8Array> {
    if (this.#db === undefined) throw new SnapshotReleased()
    // A statement of its own: several readers may be in one table.
    for (const row of this.#db.prepare(sql).iterate(...from)) {
      yield writer.write(table, row as unknown as Cell[])
      if (this.#db === undefined) throw new SnapshotReleased()
    }
  }
}
