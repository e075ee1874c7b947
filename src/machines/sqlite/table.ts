export interface TableInit {
  readonly name: string
  /** Its place among the tables. */
  readonly number: number
  /** The name under which the row's number is read; undefined for a table without such numbers. */
  readonly rowid: string | undefined
  /** The columns of the primary key of a table without row numbers. */
  readonly keys: readonly string[]
  /** All other columns. */
  readonly columns: readonly string[]
}

/** Columns of one mask: a mask is one integer, of which JavaScript's operators take 31 bits. */
const MASK_COLUMNS = 30

/** Where to begin to read: at a key, or behind it. */
export interface From {
  readonly operator: '>=' | '>'
  /** Which values of the key are text that is given as bytes. */
  readonly isBytes: readonly boolean[]
}

/** A table of the schema, and the SQL that reads and writes its rows whole. */
export class Table {
  readonly name: string
  readonly number: number
  readonly hasRowid: boolean
  /** The values by which rows are in order, first, and then the others. */
  readonly columns: readonly string[]
  /** The number of values by which rows are in order. */
  readonly keyLength: number
  /** The number of masks with which `exactSql` reads a row, before its values. */
  readonly masks: number

  constructor({ name, number, rowid, keys, columns }: TableInit) {
    this.name = name
    this.number = number
    this.hasRowid = rowid !== undefined
    this.columns = [...(rowid === undefined ? keys : [rowid]), ...columns].map(quoted)
    this.keyLength = rowid === undefined ? keys.length : 1
    this.masks = Math.ceil(this.columns.length / MASK_COLUMNS)
  }

  /** Reads rows in order. Text is read as text, which is several times as fast as reading bytes. */
  selectSql(from?: From): string {
    return this.#select(this.columns, from)
  }

  /**
   * As `selectSql`, for text that is not UTF-8, of which JavaScript would read something else: text is read as
   * bytes, and masks before the values tell which of them are text.
   */
  exactSql(from?: From): string {
    const masks = Array.from({ length: this.masks }, (_, mask) => this.#maskSql(mask * MASK_COLUMNS))
    const values = this.columns.map(
      (column) => `CASE typeof(${column}) WHEN 'text' THEN CAST(${column} AS BLOB) ELSE ${column} END`,
    )
    return this.#select([...masks, ...values], from)
  }

  /** Whether value `i` of a row that `exactSql` read is text, by the row's masks. */
  isText(row: readonly unknown[], i: number): boolean {
    return ((Number(row[Math.floor(i / MASK_COLUMNS)]) >> (i % MASK_COLUMNS)) & 1) === 1
  }

  /** Writes a row. @param isText which of its values are text, and given as bytes */
  insertSql(isText: readonly boolean[]): string {
    return `INSERT INTO ${quoted(this.name)} (${this.columns}) VALUES (${isText.map(parameter)})`
  }

  #select(values: readonly string[], from: From | undefined): string {
    const keys = this.columns.slice(0, this.keyLength)
    const begin = from && `WHERE (${keys}) ${from.operator} (${from.isBytes.map(parameter)})`
    return `SELECT ${values} FROM ${quoted(this.name)} ${begin ?? ''} ORDER BY ${keys}`
  }

  #maskSql(from: number): string {
    return this.columns
      .slice(from, from + MASK_COLUMNS)
      .map((column, bit) => `((typeof(${column}) = 'text') << ${bit})`)
      .join(' | ')
  }
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function parameter(isBytes: boolean): string {
  return isBytes ? 'CAST(? AS TEXT)' : '?'
}
