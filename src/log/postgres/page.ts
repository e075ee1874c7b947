import { BATCH_BYTES_MAX, BATCH_ENTRIES_MAX } from '../limits.ts'
import type { EntryKind, LogBatch, LogEntry, LogTail } from '../log.ts'
import { type EntryWriter, StoredEntry } from '../stored-entry.ts'
import { CURSOR, HEAD } from './statements.ts'

/** Kinds as the table has them: their index in this list. */
export const KINDS: readonly EntryKind[] = ['command', 'control']

/** Where the columns of a row begin: each has its length, of four bytes, in front. */
const INDEX = 6
const AT = 18
const WRITER = 30
const SEQ = 42
const KIND = 54
const PAYLOAD = 60

/** What the log was when a page was read. */
export interface Head {
  readonly newest: LogTail
  readonly first: number
  /** The largest payload that was ever appended, in bytes. */
  readonly largest: number
  readonly epoch: string
}

/** Rows of one moment: the log, the entry at the cursor, and entries after it. */
export class Page {
  /** Undefined if there is no such log. */
  readonly head: Head | undefined
  /** The id of the entry at the cursor; undefined if there is none. */
  readonly cursorId: string | undefined
  readonly #rows: readonly Buffer[]

  constructor(rows: readonly Buffer[]) {
    const entries: Buffer[] = []
    for (const row of rows) {
      const kind = row.readInt16BE(KIND)
      if (kind === HEAD) this.head = headOf(row)
      else if (kind === CURSOR) this.cursorId = idOf(row)
      else entries.push(row)
    }
    this.#rows = entries
  }

  get length(): number {
    return this.#rows.length
  }

  /** The index of the first entry. */
  get firstIndex(): number {
    return int8(this.#rows[0]!, INDEX)
  }

  get lastIndex(): number {
    return int8(this.#rows.at(-1)!, INDEX)
  }

  /** The id of the last entry. */
  get lastId(): string {
    return idOf(this.#rows.at(-1)!)
  }

  /** Those who appended the entries. */
  writers(): ReadonlySet<string> {
    const keys = new Set<string>()
    let before: Buffer | undefined
    for (const row of this.#rows) {
      if (before === undefined || !isSameWriter(before, row)) keys.add(writerKey(row))
      before = row
    }
    return keys
  }

  /** Entries up to an index, in batches. There is no gap: `missing` is the index before which one would be. */
  *batches(until: number, epoch: string, writers: ReadonlyMap<string, EntryWriter>): Generator<LogBatch> {
    const { newest } = this.head!
    let entries: LogEntry[] = []
    let bytes = 0
    let before: Buffer | undefined
    let writer: EntryWriter | undefined
    for (const row of this.#rows) {
      const index = int8(row, INDEX)
      if (index > until) break
      const payload = row.subarray(PAYLOAD)
      bytes += payload.byteLength
      if (entries.length === BATCH_ENTRIES_MAX || (bytes > BATCH_BYTES_MAX && entries.length > 0)) {
        yield { entries, newest }
        entries = []
        bytes = payload.byteLength
      }
      if (before === undefined || !isSameWriter(before, row)) writer = writers.get(writerKey(row))
      before = row
      entries.push(
        new PostgresEntry(
          index,
          int8(row, AT),
          epoch,
          KINDS[row.readInt16BE(KIND)]!,
          payload,
          writer!,
          int8(row, SEQ),
        ),
      )
    }
    if (entries.length > 0) yield { entries, newest }
  }
}

class PostgresEntry extends StoredEntry {
  get id(): string {
    return entryId(this.writer.nonce, this.seq, this.timestampMs)
  }
}

/**
 * The time is a part of it: a promoted server may not have an entry that others have read. If its writer sends it
 * again, what is before it may be another history.
 *
 * @param writer its number, in hexadecimal
 */
export function entryId(writer: string, seq: number, atMs: number): string {
  return `${writer}-${seq}-${atMs}`
}

function idOf(row: Buffer): string {
  return entryId(writerKey(row), int8(row, SEQ), int8(row, AT))
}

function headOf(row: Buffer): Head {
  return {
    newest: { index: int8(row, INDEX), timestampMs: int8(row, AT) },
    first: int8(row, WRITER),
    largest: int8(row, SEQ),
    epoch: row.toString('utf8', PAYLOAD),
  }
}

function writerKey(row: Buffer): string {
  return row.toString('hex', WRITER, WRITER + 8)
}

function isSameWriter(a: Buffer, b: Buffer): boolean {
  return (
    a.readUInt32BE(WRITER) === b.readUInt32BE(WRITER) &&
    a.readUInt32BE(WRITER + 4) === b.readUInt32BE(WRITER + 4)
  )
}

/** A `bigint` that is not negative and below 2^53. */
function int8(row: Buffer, at: number): number {
  return row.readUInt32BE(at) * 2 ** 32 + row.readUInt32BE(at + 4)
}
