/** A column whose values are part of a row's item. */
export interface Column {
  readonly name: string
  /** What its values can be: SQLite is asked for the type of each only where both are possible. */
  readonly holds: 'text' | 'no text' | 'any'
}

export interface TableInit {
  readonly name: string
  /** Its place among the tables. */
  readonly number: number
  /** The name under which the row's number is read; undefined for a table without such numbers. */
  readonly rowid: string | undefined
  /** The primary key of a table without row numbers. */
  readonly keys: readonly Column[]
  /** All other columns. */
  readonly columns: readonly Column[]
}

/** Columns of one mask: a mask is one integer, of which JavaScript's operators take 31 bits. */
const MASK_COLUMNS = 30

/**
 * A table of the schema, and the SQL that reads and writes its rows whole. Text is read and written as its
 * bytes: SQLite takes any bytes for text, and JavaScript does not.
 */
export class Table {
  readonly name: string
  readonly number: number
  readonly hasRowid: boolean
  /** The values by which rows are in order, first, and then the others. */
  readonly columns: readonly Column[]
  /** The number of values by which rows are in order. */
  readonly keyLength: number
  /** The number of masks that a row is read with, before its values. */
  readonly masks: number

  constructor({ name, number, rowid, keys, columns }: TableInit) {
    this.name = name
    this.number = number
    this.hasRowid = rowid !== undefined
    this.columns = [
      ...(rowid === undefined ? keys : [{ name: rowid, holds: 'no text' } as const]),
      ...columns,
    ]
    this.keyLength = rowid === undefined ? keys.length : 1
    this.masks = Math.ceil(this.columns.length / MASK_COLUMNS)
  }

  /** Reads all rows in order: the masks of those values that are text, and the values. */
  get selectSql(): string {
    return `${this.#select} ${this.#order}`
  }

  /** Reads the rows from a key on. @param isText which values of the key are text */
  selectFromSql(isText: readonly boolean[]): string {
    const keys = this.columns.slice(0, this.keyLength)
    const names = keys.map(({ name }) => quoted(name)).join(', ')
    const values = keys.map((_, i) => parameter(isText[i]!)).join(', ')
    return `${this.#select} WHERE (${names}) >= (${values}) ${this.#order}`
  }

  /** Writes a row. @param isText which of its values are text */
  insertSql(isText: readonly boolean[]): string {
    const names = this.columns.map(({ name }) => quoted(name)).join(', ')
    return `INSERT INTO ${quoted(this.name)} (${names}) VALUES (${isText.map(parameter).join(', ')})`
  }

  /** Whether value `i` of a row is text, by the row's masks. */
  isText(row: readonly unknown[], i: number): boolean {
    const { holds } = this.columns[i]!
    if (holds !== 'any') return holds === 'text'
    return ((Number(row[Math.floor(i / MASK_COLUMNS)]) >> (i % MASK_COLUMNS)) & 1) === 1
  }

  get #select(): string {
    const masks: string[] = []
    for (let from = 0; from < this.columns.length; from += MASK_COLUMNS) {
      const bits = this.columns
        .slice(from, from + MASK_COLUMNS)
        .flatMap(({ name, holds }, bit) =>
          holds === 'any' ? [`((typeof(${quoted(name)}) = 'text') << ${bit})`] : [],
        )
      masks.push(bits.join(' | ') || '0')
    }
    const values = this.columns.map(({ name, holds }) => {
      const column = quoted(name)
      if (holds === 'no text') return column
      if (holds === 'text') return `CAST(${column} AS BLOB)`
      return `CASE typeof(${column}) WHEN 'text' THEN CAST(${column} AS BLOB) ELSE ${column} END`
    })
    return `SELECT ${[...masks, ...values].join(', ')} FROM ${quoted(this.name)}`
  }

  get #order(): string {
    const keys = this.columns.slice(0, this.keyLength)
    return `ORDER BY ${keys.map(({ name }) => quoted(name)).join(', ')}`
  }
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function parameter(isText: boolean): string {
  return isText ? 'CAST(? AS TEXT)' : '?'
}
