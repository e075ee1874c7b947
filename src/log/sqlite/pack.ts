import { LogUnusable } from '../errors.ts'
import type { EntryKind, LogBatch, LogEntry, LogTail, NewEntry } from '../log.ts'
import { type EntryWriter, StoredEntry } from '../stored-entry.ts'

/**
 * Entries cross between threads as two buffers, which are transferred. So an entry costs neither side a copy,
 * a promise or a message of its own. A kind crosses as its index in this list.
 */
const KINDS: readonly EntryKind[] = ['command', 'control']

/** New entries: `[end of the payload, kind]` for each, and all payloads end to end. */
export interface PackedAppend {
  readonly columns: Float64Array<ArrayBuffer>
  readonly payload: Uint8Array<ArrayBuffer>
}

/** Columns of one new entry. */
const APPEND_STRIDE = 2

export function packAppend(entries: readonly NewEntry[]): PackedAppend {
  const columns = new Float64Array(entries.length * APPEND_STRIDE)
  const bytes = entries.reduce((sum, entry) => sum + entry.payload.byteLength, 0)
  const payload = new Uint8Array(bytes)
  let end = 0
  let at = 0
  for (const entry of entries) {
    payload.set(entry.payload, end)
    end += entry.payload.byteLength
    columns[at++] = end
    columns[at++] = KINDS.indexOf(entry.kind)
  }
  return { columns, payload }
}

/** The entries in their order: up to `max` payloads of one kind, which is a number. The payloads are views. */
export function* unpackAppend(
  { columns, payload }: PackedAppend,
  max: number,
): Generator<{ readonly kind: number; readonly payloads: readonly Uint8Array[] }> {
  let begin = 0
  for (let at = 0; at < columns.length; ) {
    const kind = columns[at + 1]!
    const payloads: Uint8Array[] = []
    for (; columns[at + 1] === kind && payloads.length < max; at += APPEND_STRIDE) {
      const end = columns[at]!
      payloads.push(payload.subarray(begin, end))
      begin = end
    }
    yield { kind, payloads }
  }
}

/**
 * A handle that has appended. Its entries refer to it by `ref`. An entry's id is the writer's nonce and the
 * entry's `seq`.
 */
export interface Writer extends EntryWriter {
  readonly ref: number
}

/** A row of `entries`: idx, ts, writer, seq, kind, and the size of its payload in bytes. */
export type EntryRow = readonly [number, number, number, number, number, number]

/**
 * Consecutive entries: `[end of the payload, timestamp, writer, seq, kind]` for each, and all payloads end to
 * end.
 */
export interface PackedBatch {
  readonly first: number
  readonly newest: LogTail
  readonly columns: Float64Array<ArrayBuffer>
  readonly payload: Uint8Array<ArrayBuffer>
  /** The writers of the entries, by `ref`. */
  readonly writers: ReadonlyMap<number, Writer>
}

/** Columns of one entry of a batch. */
const BATCH_STRIDE = 5

export function packBatch(
  rows: readonly EntryRow[],
  payload: Uint8Array<ArrayBuffer>,
  newest: LogTail,
  writerOf: (ref: number) => Writer,
): PackedBatch {
  const columns = new Float64Array(rows.length * BATCH_STRIDE)
  const writers = new Map<number, Writer>()
  let end = 0
  let at = 0
  for (const [, timestampMs, writer, seq, kind, bytes] of rows) {
    if (!writers.has(writer)) writers.set(writer, writerOf(writer))
    end += bytes
    columns[at++] = end
    columns[at++] = timestampMs
    columns[at++] = writer
    columns[at++] = seq
    columns[at++] = kind
  }
  if (end !== payload.byteLength) {
    throw new LogUnusable(`SQLite joined payloads of ${end} bytes to ${payload.byteLength}`)
  }
  return { first: rows[0]![0], newest, columns, payload, writers }
}

/** The entries of a batch. Their payloads are views of one buffer. */
export function unpackBatch(
  { columns, payload, first, newest, writers }: PackedBatch,
  epoch: string,
): LogBatch {
  const entries = new Array<LogEntry>(columns.length / BATCH_STRIDE)
  let begin = 0
  let writer: Writer | undefined
  for (let n = 0, at = 0; at < columns.length; n++, at += BATCH_STRIDE) {
    const end = columns[at]!
    if (writer?.ref !== columns[at + 2]) writer = writers.get(columns[at + 2]!)
    entries[n] = new UnpackedEntry(
      first + n,
      columns[at + 1]!,
      epoch,
      KINDS[columns[at + 4]!]!,
      payload.subarray(begin, end),
      writer!,
      columns[at + 3]!,
    )
    begin = end
  }
  return { entries, newest }
}

class UnpackedEntry extends StoredEntry {
  get id(): string {
    return entryId(this.writer.nonce, this.seq)
  }
}

export function entryId(nonce: string, seq: number): string {
  return `${nonce}-${seq}`
}
