import type { Connection, Submittable } from 'pg'

/** What the stream of `COPY … (FORMAT binary)` begins with, in front of its first row. */
const HEADER_BYTES = 19
/** Rows are kept in buffers of this size. */
const SLAB_BYTES = 64 * 1024
const NO_BYTES = Buffer.alloc(0)
/** The number of fields of a row, which is -1 after the last one. */
const END = -1

/**
 * `COPY … TO STDOUT (FORMAT binary)`. It is the one way on which the client hands bytes on as they are: it takes
 * the results of queries for text, in which a byte has two characters.
 */
export class CopyOut implements Submittable {
  readonly #text: string
  readonly #rows: Buffer[] = []
  readonly #copied = Promise.withResolvers<readonly Buffer[]>()
  #hasBegun = false
  #slab = NO_BYTES
  #used = 0
  /** The client gives a query without one a promise of its own. */
  readonly callback = (): void => {}

  constructor(text: string) {
    this.#text = text
  }

  /** Each row as the server sent it: the number of fields, then the length and the bytes of each. */
  get rows(): Promise<readonly Buffer[]> {
    return this.#copied.promise
  }

  submit(connection: Connection): void {
    connection.query(this.#text)
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    const row = this.#hasBegun ? chunk : chunk.subarray(HEADER_BYTES)
    this.#hasBegun = true
    if (row.byteLength > 0 && row.readInt16BE(0) !== END) this.#rows.push(this.#kept(row))
  }

  /** A copy, because the client uses its buffer again. */
  #kept(row: Buffer): Buffer {
    if (this.#used + row.byteLength > this.#slab.byteLength) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, row.byteLength))
      this.#used = 0
    }
    const kept = this.#slab.subarray(this.#used, this.#used + row.byteLength)
    kept.set(row)
    this.#used += row.byteLength
    return kept
  }

  handleError(error: unknown): void {
    this.#copied.reject(error)
  }

  handleReadyForQuery(): void {
    this.#copied.resolve(this.#rows)
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleCommandComplete(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyInResponse(): void {}
}
